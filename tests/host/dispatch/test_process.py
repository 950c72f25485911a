"""What an app does to its own process: prints, reads, forks, and leaves processes behind. The pipe carries on."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from tests.conftest import ROOT
from tests.host.apps import POISON_APP, do, ended
from tests.processes import running

# What an app prints, in each of the ways that there are, with the line that its reader sees.
PRINTS = {
    "print('to stdout')": "to stdout",
    "import sys; print('to stderr', file=sys.stderr)": "to stderr",
    "import os; os.write(1, b'written to 1\\n'); os.write(2, b'')": "written to 1",
    "import subprocess; subprocess.run(['echo', 'by a child'], check=True)": "by a child",
    "import os\nif not os.fork(): os.write(1, b'by a fork\\n'); os._exit(0)": "by a fork",
    "print('\\udcff \\u00e4')": "\\udcff \u00e4",
    "import os; os.write(1, b'\\xff no text\\n')": "\\xff no text",
    "print('x' * 50_000)": "x" * 50_000,
    # What looks like a message is none.
    "print('[\"Ready\", -1, {}]')": '["Ready", -1, {}]',
}

# What a function meets there, with what it returns.
FORK = """import os
pid = os.fork()
if not pid: {child}; os._exit(7)
return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"""
POOL = """import multiprocessing
with multiprocessing.get_context({how!r}).Pool(2) as pool: return pool.map(abs, [-1, 2])"""
LIST = """import subprocess
return subprocess.check_output(['ls', '/proc/self/fd'], text=True, close_fds=False).split()"""
MEETS: dict[str, object] = {
    "import sys; return sys.stdin.read()": "",
    "try: input()\nexcept EOFError: return 'no input'": "no input",
    FORK.format(child="print('forked')"): 7,
    POOL.format(how="fork"): [1, 2],
    POOL.format(how="spawn"): [1, 2],
    # Its own children inherit nothing of the pipe; the fourth is what `ls` itself opens.
    LIST: ["0", "1", "2", "3"],
}


async def test_what_an_app_prints_comes_out_as_lines_with_a_time(tmp_path: Path) -> None:
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        for body, line in PRINTS.items():
            await do(host.url, body)
            await host.until(f"Z] {line}\n")


async def test_neither_input_nor_children_of_an_app_meet_the_pipe(tmp_path: Path) -> None:
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        for body, returned in MEETS.items():
            assert await do(host.url, body) == returned, body


async def test_a_child_that_outlives_the_app_holds_nothing_up(tmp_path: Path) -> None:
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        child = await do(host.url, "import subprocess\nreturn subprocess.Popen(['sleep', '600']).pid")
        try:
            await host.start("Call", "mine", ["Act", "import os; os._exit(3)"])

            assert (await host.ended("mine"))["runtimeStatus"] == "Failed"
            assert await do(host.url, "return 'again'") == "again"
            assert await host.end() == 0
        finally:
            os.kill(child, signal.SIGKILL)


async def test_a_hundred_megabytes_hold_no_small_call_up(tmp_path: Path) -> None:
    async with (
        running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host,
        ClientSession(host.url) as client,
    ):

        async def size(count: int) -> int:
            async with client.post("/Size", data=BytesIO(bytes(count))) as answer:
                return int(await answer.text())

        large = asyncio.create_task(size(100_000_000))
        small = 0
        while not large.done():
            assert await do(host.url, "return 1") == 1
            small += 1

        assert await large == 100_000_000
        assert small > 1


async def test_a_host_whose_output_nobody_reads_goes_on(tmp_path: Path, unused_tcp_port: int) -> None:
    arguments = ("--script-root", POISON_APP, "--hub", tmp_path / "hub.db", "--port", str(unused_tcp_port))
    host = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "durable_host", *arguments), cwd=ROOT, stdout=PIPE, stderr=PIPE, limit=1
    )
    url = f"http://localhost:{unused_tcp_port}"
    try:
        while True:
            try:
                assert await do(url, "for _ in range(10_000): print('x' * 1_000)\nreturn 'printed'") == "printed"
                break
            except ClientError:
                await asyncio.sleep(0.05)  # noqa: TID251 - Another process's start cannot be awaited unread.

        assert await do(url, "return 'again'") == "again"
    finally:
        host.kill()
        await host.communicate()


# The host's death.


@pytest.mark.parametrize(
    "busy",
    [
        "while True: pass",
        # C code that keeps Python's lock: no thread of the worker runs any more.
        "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    ],
)
async def test_a_worker_ends_with_its_host_whatever_it_runs(busy: str, tmp_path: Path) -> None:
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        pid = await do(host.url, "import os; return os.getpid()")
        await host.start("Run", "busy", f"print('busy')\n{busy}")
        await host.until("Z] busy\n")

        await host.end(signal.SIGKILL)
        await ended(pid)


async def test_a_worker_ends_with_a_host_that_is_stopped(tmp_path: Path) -> None:
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        pid = await do(host.url, "import os; return os.getpid()")

        assert await host.end(signal.SIGTERM) == 0
        await ended(pid)
