"""Programs in processes of their own: hosts and sandboxes that serve, others that end, and what they all print."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from durable_host.http.webhooks import BASE
from tests.conftest import ROOT

# The last line that each prints before it waits for requests.
SERVES = {"durable_host": b"Dashboard:", "sandbox": b"Ctrl+C"}


class Running:
    """A program that serves."""

    def __init__(self, process: Process, url: str, printed: list[str], came: asyncio.Condition) -> None:
        self.process = process
        self.url = url
        self._printed = printed
        self._came = came

    @property
    def printed(self) -> str:
        """All that it has printed so far, to either stream."""
        return "".join(self._printed)

    async def until(self, text: str, times: int = 1) -> None:
        """Return once it has printed this text, so many times."""
        async with self._came, asyncio.timeout(50):
            await self._came.wait_for(lambda: self.printed.count(text) >= times)

    def memory_mb(self) -> float:
        """Its largest resident size so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024

    async def start(self, name: str, instance_id: str, value: Any = None) -> None:
        """Start an instance. The SDK's orchestrators expect a string that holds JSON, as its client sends it."""
        url = f"{self.url}{BASE}/orchestrators/{name}/{instance_id}"
        async with ClientSession() as client, client.post(url, json=json.dumps(value)) as answer:
            assert answer.status == 202

    async def ended(self, instance_id: str) -> Any:
        """An instance's status once it has ended."""
        async with ClientSession() as client:
            while True:
                async with client.get(f"{self.url}{BASE}/instances/{instance_id}") as answer:
                    if answer.status != 202:
                        return await answer.json()
                await asyncio.sleep(0.02)  # noqa: TID251 - Another process's instance cannot be awaited.

    async def end(self, by: signal.Signals = signal.SIGINT, timeout_s: float = 30) -> int:
        """Send the signal; the exit code."""
        self.process.send_signal(by)
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()


@asynccontextmanager
async def running(
    *arguments: str | Path,
    program: str = "durable_host",
    port: int | None = 0,
    python: Sequence[str] = (),
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    limit: Callable[[], None] | None = None,
) -> AsyncIterator[Running]:
    """A program once it serves, on a free port unless told otherwise; killed if it still runs in the end.

    Args:
        port: None for the one that the app's settings name.
        python: options of the interpreter's.
        limit: runs in the new process before Python does.
    """

    def prepare() -> None:
        # Tests that run in the background of a shell ignore SIGINT, and a child would inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if limit is not None:
            limit()

    at = () if port is None else ("--port", str(port))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(*python, "-m", program, *at, *map(str, arguments)),
        cwd=cwd,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "NO_PROXY": "localhost,127.0.0.1", "PYTHONUNBUFFERED": "1", **(env or {})},
        preexec_fn=prepare,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    printed: list[str] = []
    came = asyncio.Condition()
    serves = asyncio.Event()

    async def read(stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            async with came:
                printed.append(line.decode())
                came.notify_all()
            if line.startswith(SERVES[program]):
                serves.set()
        serves.set()

    readers = [asyncio.create_task(read(stream)) for stream in (process.stdout, process.stderr)]
    try:
        async with asyncio.timeout(50):
            await serves.wait()
        found = re.search(r"(?:Dashboard:|Page) +(http://localhost:\d+)/", "".join(printed))
        assert found is not None, "".join(printed)
        yield Running(process, found[1], printed, came)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*readers)


async def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Exit code and output of a program that ends by itself, its errors among the output."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, stdout=PIPE, stderr=STDOUT, env={**os.environ, **(env or {})}
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


_MAINS = """
import sys
from {program}.__main__ import main

for arguments in {runs!r}:
    try:
        code = main(arguments)
    except SystemExit as end:  # argparse's.
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        print({mark!r}, code, file=stream, flush=True)
"""
_MARK = "-- end of a run:"


async def mains(*runs: Sequence[str | Path], program: str = "durable_host") -> list[tuple[int, str, str]]:
    """Exit code, output and error output of hosts that end by themselves, one after the other in one process."""
    arguments = [[str(argument) for argument in run] for run in runs]
    code = _MAINS.format(program=program, runs=arguments, mark=_MARK)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # A host goes to its app's folder.
    )
    async with asyncio.timeout(50):
        printed, errors = (stream.decode() for stream in await process.communicate())
    assert process.returncode == 0, errors
    ends = re.findall(f"{_MARK} (.+)\n", printed)
    parts = zip(*(re.split(f"{_MARK} .+\n", stream)[:-1] for stream in (printed, errors)), strict=True)
    return [(int(code), *part) for code, part in zip(ends, parts, strict=True)]
