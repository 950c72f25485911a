"""The app runs in a process of its own: what it cannot find there, and what it cannot stop."""

import json
import logging
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Host
from durable_host.http.webhooks import BASE
from tests.conftest import ROOT, Gate
from tests.host.apps import ACTIVITY, ORCHESTRATOR, POISON_APP, do, write_function
from tests.processes import run, running

OURS = ("HttpStart", "E3_Monitor", "E3_TooManyOpenIssues", "E3_SendAlert", "sandbox", "tests", "scripts", "bench")
# What each of these names would be imported from, and where modules are looked for.
LOOK = f"""
import importlib.util, sys
specs = {{name: importlib.util.find_spec(name) for name in {OURS}}}
places = {{name: spec.origin or list(spec.submodule_search_locations)[0] for name, spec in specs.items() if spec}}
return [places, sys.path, sys.prefix]
"""
# Calls an activity by the default of a request, in the copy's own words.
TELL = """
import azure.durable_functions as df
from E3_Monitor.monitoring_request import MonitoringRequest

def tell(context):
    return (yield context.call_activity(f"Find{MonitoringRequest('octo/cat', '+14255550167').threshold}", 0))

main = df.Orchestrator.create(tell)
"""
# Each keeps what is logged below a critical level from whoever listens in the same process.
MUTES = (
    "logging.disable()",
    "logging.getLogger().setLevel(logging.CRITICAL)",
    "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': True})",
    "logging.basicConfig(force=True, level=logging.CRITICAL, handlers=[logging.NullHandler()])",
)
WAIT_FOR_GATE = "import requests\nreturn requests.get({url!r}).text"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """The app that runs what it is sent, in a process of its own."""
    async with Host(POISON_APP, hub=tmp_path / "hub.db") as host:
        yield host


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the monitor whose requests have another default."""
    app = tmp_path / "app"
    for name in OURS[:4]:
        shutil.copytree(ROOT / name, app / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "host.json", app)
    shutil.copytree(POISON_APP / "Do", app / "Do")
    request = app / "E3_Monitor" / "monitoring_request.py"
    code = request.read_text()
    assert "threshold: int = 3\n" in code
    request.write_text(code.replace("threshold: int = 3\n", "threshold: int = 40\n"))
    write_function(app, "Tell", TELL, ORCHESTRATOR)
    write_function(app, "Find40", "def main(value): return 'its own'", ACTIVITY)
    return app


def assert_finds_only_its_own(found: Any, app: Path) -> None:
    places, path, prefix = found
    assert path[-1] == str(app)
    # A virtual environment may lie in this repository's folder.
    assert [each for each in path if Path(each).is_relative_to(ROOT) and not each.startswith(prefix)] == []
    assert [
        each for each in places.values() if Path(each).is_relative_to(ROOT) and not each.startswith(prefix)
    ] == []
    assert {name for name, place in places.items() if Path(place).is_relative_to(app)} == set(OURS[:4])


# What it finds.


async def test_an_app_that_is_served_from_this_folder_finds_its_own_modules_alone(
    copied: Path, tmp_path: Path
) -> None:
    async with (
        running("--script-root", copied, "--hub", tmp_path / "hub.db", "--sandbox", "0") as host,
        ClientSession(host.url) as client,
    ):
        found = await do(host.url, LOOK)
        request = {"repo": "octo/cat", "phone": "+14255550167"}
        async with client.post("/orchestrators/E3_Monitor/mine", json=request) as answer:
            assert answer.status == 202
        async with client.get(f"{BASE}/instances/mine") as answer:
            given = json.loads((await answer.json())["input"])
        await host.start("Tell", "tell")
        told = await host.ended("tell")

    assert_finds_only_its_own(found, copied)
    assert given["threshold"] == 40
    assert told["output"] == "its own"


async def test_so_does_the_app_of_a_tests_host(copied: Path, tmp_path: Path) -> None:
    async with Host(copied, hub=tmp_path / "hub.db") as host:
        found = await do(host.url, LOOK)
        told = await host.wait(await host.start("Tell"), 60)

    assert_finds_only_its_own(found, copied)
    assert told["output"] == "its own"


async def test_so_does_a_replay(copied: Path, tmp_path: Path) -> None:
    saved = {
        "name": "Tell",
        "instanceId": "mine",
        "runtimeStatus": "Running",
        "historyEvents": [
            {"EventType": "ExecutionStarted", "Input": "null", "Timestamp": "2026-01-01T00:00:00Z"},
            {"EventType": "TaskScheduled", "Name": "Find40", "Timestamp": "2026-01-01T00:00:01Z"},
        ],
    }
    (tmp_path / "saved.json").write_text(json.dumps(saved))

    code, printed = await run(
        sys.executable, "-m", "durable_host", "replay", tmp_path / "saved.json", "--script-root", copied
    )

    assert (code, printed.startswith("mine (Tell): replays")) == (0, True), printed


async def test_two_hosts_in_one_process_have_two_apps(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_function(tmp_path / name, "Tell", f"def main(value): return {name!r}", ACTIVITY)
        shutil.copytree(POISON_APP / "Call", tmp_path / name / "Call")

    async with (
        Host(tmp_path / "one", hub=tmp_path / "1.db") as one,
        Host(tmp_path / "two", hub=tmp_path / "2.db") as two,
    ):
        started = [(host, await host.start("Call", ["Tell", 0])) for host in (one, two, one)]

        assert [(await host.wait(each, 60))["output"] for host, each in started] == ["one", "two", "one"]


# What it cannot mute.


async def test_an_app_that_configures_logging_mutes_itself_alone(tmp_path: Path) -> None:
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        for times, mute in enumerate(MUTES, 1):
            await do(host.url, f"import logging, logging.config\n{mute}\nlogging.warning('unheard')")
            await host.until("Executed 'Functions.Do' (Succeeded", times)

    assert host.printed.count("Executing 'Functions.Do'") == len(MUTES)


async def test_what_an_app_logs_is_told_with_its_level(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    code = "import logging\nlog = logging.getLogger('mine')\nlog.error('%s', 'bad')\nlog.debug('unheard')"
    caplog.set_level(logging.DEBUG, "mine")

    await do(host.url, code)

    assert [record for record in caplog.record_tuples if record[0] == "mine"] == [("mine", logging.ERROR, "bad")]


# What it cannot stop.


async def test_an_orchestrator_may_run_a_loop_of_its_own(host: Host) -> None:
    instance_id = await host.start("Run", "import asyncio\nreturn asyncio.run(asyncio.sleep(0, 'ran'))")

    assert (await host.wait(instance_id, 60))["output"] == "ran"


async def test_a_coroutine_may_call_its_own_host_and_wait(host: Host) -> None:
    await host.start("Monitor", 3600, "mine")
    url = f"{host.url}{BASE}/instances/mine"
    body = f"import requests\nreturn requests.get({url!r}).json()['name']"

    assert await do(host.url, body, "AsyncDo") == "Monitor"
    instance_id = await host.start("Call", ["AsyncAct", body])
    assert (await host.wait(instance_id, 60))["output"] == "Monitor"


async def test_beside_a_coroutine_that_blocks_all_others_go_on(host: Host, gate: Gate) -> None:
    stuck = await host.start("Call", ["AsyncAct", WAIT_FOR_GATE.format(url=f"{gate.url}/?went-on")])
    await gate.came.acquire()

    healthy = [await host.start("Monitor", 0.001) for _ in range(3)]

    assert [(await host.wait(each, 60))["output"] for each in healthy] == ["healthy"] * 3
    assert await do(host.url, "return 'sync'") == "sync"
    gate.opened.set()
    assert (await host.wait(stuck, 60))["output"] == "went-on"


@pytest.mark.parametrize("stuck", ["while True: pass", "import threading\nthreading.Event().wait()"])
async def test_beside_an_orchestrator_that_never_ends_all_others_go_on(stuck: str, host: Host) -> None:
    await host.start("Run", stuck, "stuck")

    healthy = [await host.start("Monitor", 0.001) for _ in range(3)]

    assert [(await host.wait(each, 60))["output"] for each in healthy] == ["healthy"] * 3
    assert await do(host.url, "return 'sync'") == "sync"
    assert await do(host.url, "return 'async'", "AsyncDo") == "async"
    async with ClientSession() as client, client.get(f"{host.url}{BASE}/instances/stuck") as answer:
        assert (await answer.json())["runtimeStatus"] == "Pending"
