"""Monitors with thousands of checks, as a process of its own: `python -m bench.endless real 972`.

    real COUNT       the app's E3_Monitor with time skipped
    renewed COUNT    the bench's Monitor with time skipped; it continues as new after every 12th check
    grown COUNT      a Monitor's next check, and its end, after so many without continue as new
Prints the seconds of each episode, its commit and the activity before it included. Console lines are off. A
process's first episodes are its slowest, so that the last two kinds run twice, and the second time is shown.
Not here: what is made of them (`growth`).
"""

import asyncio
import itertools
import json
import logging
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.client import MONITOR_REQUEST
from bench.processes import ROOT
from durable_host import Host, SkipClock
from durable_host.engine import events
from durable_host.engine.episode import Decision
from durable_host.engine.events import Status
from durable_host.hub.records import Record
from durable_host.hub.taskhub import TaskHub
from durable_host.values import compact
from sandbox.server import Sandbox

APP = ROOT / "bench" / "app"
CHECKS_PER_GENERATION = 12
_TIMEOUT_S = 300
_INTERVAL = timedelta(minutes=1)


def main(kind: str, count: int) -> None:
    """Measure one monitor and print it."""
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(dir=os.environ["BENCH_OUT"]) as folder:
        hub = Path(folder) / "hub.db"
        match kind:
            case "real":
                expiry_s = count * _INTERVAL // timedelta(seconds=1)
                request = {**MONITOR_REQUEST, "interval_seconds": 60, "expiry_seconds": expiry_s}
                seconds = asyncio.run(_real(hub, request))
            case "renewed":
                for turn, checks in enumerate((CHECKS_PER_GENERATION, count)):
                    request = {**_request(checks), "per_generation": CHECKS_PER_GENERATION}
                    seconds = asyncio.run(_run(hub.with_name(f"hub{turn}.db"), request))
            case _:
                for turn in range(2):
                    grown = hub.with_name(f"hub{turn}.db")
                    _grow(grown, count)
                    seconds = asyncio.run(_run(grown, None))
    print(json.dumps(seconds))


async def _real(hub: Path, request: dict[str, Any]) -> list[float]:
    async with Sandbox(port=0) as sandbox:
        os.environ.update(sandbox.settings, GITHUB_TOKEN="", NO_PROXY="localhost", no_proxy="localhost")
        return await _run(hub, request, ROOT, "E3_Monitor")


async def _run(hub: Path, request: object, root: Path = APP, name: str = "Monitor") -> list[float]:
    """The seconds of each episode of an instance, until it is completed; without a request it is there already."""
    async with AsyncExitStack() as stack:
        ends = [time.perf_counter()]

        def ended(*_: object) -> None:
            ends.append(time.perf_counter())

        host = await stack.enter_async_context(Host(root, hub=hub, clock=SkipClock(), on_episode=ended))
        ends[0] = time.perf_counter()
        instance_id = "grown" if request is None else await host.start(name, request)
        status = await host.wait(instance_id, _TIMEOUT_S)
        if status["runtimeStatus"] != "Completed":
            raise RuntimeError(f"{name} ended as {status['runtimeStatus']}: {status['output']}")
        return [end - begin for begin, end in itertools.pairwise(ends)]


def _request(polls: int) -> dict[str, Any]:
    return {"repo": "octo/cat", "polls": polls, "interval_ms": 60_000}


def _grow(hub: Path, checks: int) -> None:
    """Write a hub with a Monitor that sleeps after `checks` checks, its history as the host writes it."""
    at = datetime.now(UTC) - (checks + 1) * _INTERVAL
    record = Record(
        id="grown",
        name="Monitor",
        execution_id="grown",
        status=Status.Running,
        input_text=compact(json.dumps(_request(checks + 1))),
        output=None,
        custom_status=None,
        version=None,
        parent=None,
        generation=0,
        created_at=at,
        updated_at=at,
    )
    started = events.execution_started(
        at, instance_id="grown", execution_id="grown", name="Monitor", input_text=record.input_text, generation=0
    )
    scheduled, completed = events.task_scheduled(at, 0, "Check"), events.orchestrator_completed(at)
    rows = [[events.orchestrator_started(at), events.played(started), scheduled, completed]]
    for check in range(checks):
        task_id, timer_id = 2 * check, 2 * check + 1
        fire_at = at + _INTERVAL
        result = events.played(events.task_completed(at, task_id, "false"))
        created = events.timer_created(at, timer_id, fire_at)
        rows.append([events.orchestrator_started(at), result, created, events.orchestrator_completed(at)])
        fired = events.timer_fired(at, timer_id, fire_at)
        at = fire_at
        scheduled = events.task_scheduled(at, task_id + 2, "Check")
        rows.append(
            [events.orchestrator_started(at), events.played(fired), scheduled, events.orchestrator_completed(at)]
        )
    rows.pop()  # The last timer is still to fire.
    with TaskHub(hub) as written, written.batch():
        written.put_instance(record)
        for row in rows:
            written.apply(record, Decision(at, at, history=row), ())
        written.put_message("grown", "grown", at, fired)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
