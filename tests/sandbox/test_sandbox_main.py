"""`python -m sandbox`, in a process of its own."""

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

from sandbox.server import Sandbox
from tests.hostile.process import mains

ROOT = Path(__file__).parents[2]


async def launch(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "sandbox", *arguments),
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
        # Tests that run in the background of a shell ignore SIGINT, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """The process once it serves, and what it has printed; killed if a test leaves it running."""
    process = await launch(*arguments)
    assert process.stdout is not None
    try:
        yield process, (await process.stdout.readuntil(b"Ctrl+C")).decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_prints_its_urls_and_the_settings_to_set() -> None:
    async with running("--port", "0") as (_process, printed):
        port = urlsplit(re.findall(r"http://\S+", printed)[0]).port
        async with Sandbox(port=0) as other:
            expected = {
                name: value.replace(other.url, f"http://localhost:{port}")
                for name, value in other.settings.items()
            }

        settings = json.loads("{" + ",".join(re.findall(r'^ +("\w+": ".*"),?$', printed, re.MULTILINE)) + "}")
        assert settings == expected
        for path in ("/", "/github", "/twilio", "/sms"):
            assert f"http://localhost:{port}{path}\n" in printed
        assert (await asyncio.to_thread(requests.get, f"http://localhost:{port}/sms", timeout=30)).json() == []


async def test_ctrl_c_ends_it_at_once_with_exit_code_0_even_while_requests_hang() -> None:
    async with running("--port", "0") as (process, printed):
        github = json.loads(re.findall(r'"GITHUB_API_URL": (".*?")', printed)[0])
        await asyncio.to_thread(requests.put, f"{github}/repos/octo/cat", data='{"status": "drip"}', timeout=30)
        with await asyncio.to_thread(requests.get, f"{github}/repos/octo/cat/issues", stream=True, timeout=30):
            process.send_signal(signal.SIGINT)

            async with asyncio.timeout(30):
                assert await process.wait() == 0
    assert process.stderr is not None
    assert await process.stderr.read() == b""


async def test_a_place_where_it_cannot_listen_is_told_in_one_line_with_what_to_do() -> None:
    async with Sandbox(port=0) as sandbox:
        port = urlsplit(sandbox.url).port

        taken, elsewhere = await mains(
            ["--port", str(port)], ["--address", "192.0.2.1", "--port", "0"], program="sandbox"
        )

    assert taken == (
        1,
        "",
        f"sandbox: cannot listen on 127.0.0.1:{port}: the port is taken;"
        " stop what listens there, or choose another --port\n",
    )
    code, printed, error = elsewhere
    assert (code, printed) == (1, "")
    assert error.startswith("sandbox: cannot listen on 192.0.2.1:0: ")
    assert error.endswith("; choose another --port or --address\n")
    assert error.count("\n") == 1


async def test_a_port_that_is_none_is_wrong_usage_and_help_shows_an_example() -> None:
    ports = ["x", "-1", "65536"]

    *ended, (code, printed, _) = await mains(*(["--port", port] for port in ports), ["--help"], program="sandbox")

    for port, (wrong, _, error) in zip(ports, ended, strict=True):
        assert wrong == 2
        assert f"'{port}'" in error
    assert code == 0
    assert "python -m sandbox --port" in printed
    assert """-d '{"open_issues": 5}'""" in printed
