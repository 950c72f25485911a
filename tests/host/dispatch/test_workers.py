"""Calls to a worker, and what becomes of them when it dies."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Host
from tests.conftest import Gate
from tests.host.apps import POISON_APP, do

GET = "import requests\nreturn requests.get({url!r}).text"
PID = "import os; return os.getpid()"
DIES = "durable_host.dispatch.workers"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """The app that runs what it is sent, in a process of its own."""
    async with Host(POISON_APP, hub=tmp_path / "hub.db") as host:
        yield host


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the keeper of workers has logged as an error, but for the ends of calls."""
    records = [record for record in caplog.records if (record.name, record.levelno) == (DIES, logging.ERROR)]
    return [text for text in map(logging.LogRecord.getMessage, records) if not text.startswith("Executed")]


def reason(status: dict[str, Any]) -> str:
    """Why an instance failed, without the serialized exception that follows."""
    assert status["runtimeStatus"] == "Failed"
    first: str = status["output"].partition(" \n ")[0]
    return first


# A process that dies.


async def test_a_worker_that_is_killed_fails_its_activities_and_nothing_else(
    host: Host, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    pid = await do(host.url, PID)
    await host.start("Call", ["Act", GET.format(url=f"{gate.url}/?activity")], "activity")
    await host.start("Run", GET.format(url=f"{gate.url}/?episode"), "episode")
    await host.start("Monitor", 0.001, "healthy")
    async with ClientSession() as client:
        caller = asyncio.create_task(client.post(f"{host.url}/Do", data=GET.format(url=f"{gate.url}/?http")))
        for _ in range(3):
            await gate.came.acquire()

        os.kill(pid, signal.SIGKILL)
        failed = await host.wait("activity", 60)
        gate.opened.set()

        assert (await caller).status == 500
    assert reason(failed).endswith(f"{sys.executable} exited with code 137 (0x89)")
    assert (await host.wait("episode", 60))["output"] == "episode"
    assert (await host.wait("healthy", 60))["output"] == "healthy"
    assert await do(host.url, PID) != pid
    [line] = errors(caplog)
    assert line.startswith("The worker has ended: ")
    assert line.partition("It was running ")[2].count("'") >= 6, line


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os._exit(3)", "exited with code 3 (0x3)"),
        ("os._exit(0)", "exited with code 0 (0x0)"),
        ("os.abort()", "exited with code 134 (0x86)"),
    ],
)
async def test_an_activity_that_ends_its_process_fails_with_the_code(death: str, how: str, host: Host) -> None:
    instance_id = await host.start("Call", ["Act", f"import os; {death}"])

    assert reason(await host.wait(instance_id, 60)).endswith(how)
    assert await do(host.url, "return 'again'") == "again"


async def test_a_worker_that_dies_again_and_again_is_followed_each_time(host: Host) -> None:
    for _ in range(3):
        instance_id = await host.start("Call", ["Act", "import os; os._exit(3)"])
        assert (await host.wait(instance_id, 60))["runtimeStatus"] == "Failed"
