"""`python -m sandbox`, in a process of its own."""

import asyncio
import json
import re
from urllib.parse import urlsplit

import requests

from sandbox.server import Sandbox
from tests.processes import mains, running


async def test_it_prints_its_urls_and_the_settings_to_set() -> None:
    async with running(program="sandbox") as program:
        printed, port = program.printed, urlsplit(program.url).port
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
    async with running(program="sandbox") as program:
        github, printed = f"{program.url}/github", program.printed
        await asyncio.to_thread(requests.put, f"{github}/repos/octo/cat", data='{"status": "drip"}', timeout=30)
        with await asyncio.to_thread(requests.get, f"{github}/repos/octo/cat/issues", stream=True, timeout=30):
            assert await program.end() == 0
    assert program.printed == printed


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
