"""The system's clock jumps, and the machine sleeps: timers are neither lost nor early, and no time runs back."""

import asyncio
import json
import random
import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Host, SkipClock
from durable_host.engine.events import EventType, Status
from durable_host.errors import FunctionFailed
from durable_host.http.webhooks import BASE
from durable_host.hub.instances import put_start
from durable_host.hub.records import Start
from durable_host.hub.taskhub import TaskHub
from sandbox.server import Sandbox
from tests.conftest import ROOT
from tests.golden_app import GOLDEN_APP
from tests.host.apps import ORCHESTRATOR, write_function
from tests.host.stepped import SteppedClock
from tests.hostile.conftest import Count
from tests.processes import running

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
JUMPS = (-DAY, DAY, 30 * DAY)
# Its timer is due at the instant of its input; it returns that, and what it saw when it woke.
SLEEP = """
from datetime import datetime
import azure.durable_functions as df

def sleep(context):
    due = datetime.fromisoformat(context.get_input())
    yield context.create_timer(due)
    return [due.isoformat(), context.current_utc_datetime.isoformat()]

main = df.Orchestrator.create(sleep)
"""
jumps = pytest.mark.parametrize("jump", JUMPS, ids=lambda jump: f"{jump.days:+}d")


class Witness:
    """Looks at each episode: time runs on from one to the next, and no timer has fired before it was due."""

    def __init__(self) -> None:
        self.episodes = 0

    def __call__(self, instance_id: str, name: str, context: str, answer: str | FunctionFailed) -> None:
        now = datetime(1, 1, 1, tzinfo=UTC)
        for event in json.loads(context)["history"]:
            if event["EventType"] == EventType.ORCHESTRATOR_STARTED:
                at = datetime.fromisoformat(event["Timestamp"])
                assert at >= now, f"{instance_id}: time runs back from {now} to {at}"
                now = at
            elif event["EventType"] == EventType.TIMER_FIRED:
                fire_at = datetime.fromisoformat(event["FireAt"])
                assert fire_at <= now, f"{instance_id}: the timer of {fire_at} fires at {now}"
        self.episodes += 1


def is_early(status: dict[str, Any]) -> bool:
    due, woke = map(datetime.fromisoformat, status["output"])
    return woke < due


@pytest.fixture
def sleepers(tmp_path: Path) -> Path:
    """An app whose orchestrator sleeps until the instant of its input."""
    write_function(tmp_path / "app", "Sleep", SLEEP, ORCHESTRATOR)
    return tmp_path / "app"


@pytest.mark.parametrize("seed", range(4))
async def test_timers_are_neither_lost_nor_early_however_the_clock_jumps_and_the_host_restarts(
    seed: int, sleepers: Path, tmp_path: Path, count: Count
) -> None:
    chance, clock, witness = random.Random(seed), SteppedClock(), Witness()
    due: dict[str, datetime] = {}
    latest = clock.now()
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(
            Host(sleepers, hub=tmp_path / "hub.db", clock=clock, on_episode=witness, in_process=True)
        )
        for _ in range(12):
            for _ in range(5):
                at = clock.now() + chance.random() ** 3 * 40 * DAY
                due[await host.start("Sleep", at.isoformat())] = at
            await host.idle()
            step = chance.choice((*JUMPS, -SECOND, timedelta(hours=1)))
            clock.step += step
            if chance.random() < 0.5:
                await stack.aclose()
                host = await stack.enter_async_context(
                    Host(sleepers, hub=tmp_path / "hub.db", clock=clock, on_episode=witness, in_process=True)
                )
            shown = clock.now()
            await host.idle()
            latest = max(latest, clock.now())

            for instance_id, at in due.items():
                has_woken = host.instances.get(instance_id).status is Status.Completed
                if at <= shown:
                    assert has_woken, f"{instance_id} of {at} is lost at {shown}"
                if at > latest:
                    assert not has_woken, f"{instance_id} of {at} was early at {latest}"
        clock.step += 80 * DAY
        ends = [await host.wait(instance_id) for instance_id in due]

    assert [end["runtimeStatus"] for end in ends] == ["Completed"] * len(due)
    assert all(
        datetime.fromisoformat(at) <= datetime.fromisoformat(woke) for at, woke in (e["output"] for e in ends)
    )
    assert witness.episodes >= 2 * len(due)  # The SDK cuts a long timer into pieces.
    count(len(due) * 13)


@pytest.mark.parametrize("restarts", [False, True])
@jumps
async def test_a_monitor_ends_by_its_expiry_whatever_the_clock_did(
    jump: timedelta, restarts: bool, sandbox: Sandbox, tmp_path: Path
) -> None:
    clock, witness = SteppedClock(), Witness()
    request = {"repo": "octo/cat", "phone": "+14255550167", "interval_seconds": 60, "expiry_seconds": 300}
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(
            Host(ROOT, hub=tmp_path / "hub.db", clock=clock, on_episode=witness, in_process=True)
        )
        url = f"{host.url}/orchestrators/E3_Monitor/mine"
        async with ClientSession() as client, client.post(url, json=request) as response:
            assert response.status == 202
        await host.advance(90)

        clock.step += jump
        if restarts:
            await stack.aclose()
            host = await stack.enter_async_context(
                Host(ROOT, hub=tmp_path / "hub.db", clock=clock, on_episode=witness, in_process=True)
            )
        await host.idle()
        status = await host.status("mine")
        if jump < timedelta(0):
            assert status is not None
            # Its next check is due at the instant that it was told before.
            assert (status["runtimeStatus"], status["customStatus"]["checks"]) == ("Running", 2)
            await host.advance(DAY.total_seconds() + 300)
        end = await host.wait("mine")

    checks = 5 if jump < timedelta(0) else 2
    assert (end["runtimeStatus"], end["output"]) == ("Completed", {"outcome": "expired", "checks": checks})
    assert sandbox.sms == []


@pytest.mark.parametrize("jump", [DAY, 30 * DAY], ids=lambda jump: f"{jump.days:+}d")
async def test_a_machine_that_has_slept_wakes_its_timers_within_seconds(
    jump: timedelta, sleepers: Path, tmp_path: Path, count: Count
) -> None:
    clock = SteppedClock()
    async with Host(sleepers, hub=tmp_path / "hub.db", clock=clock, in_process=True) as host:
        due = (clock.now() + jump - SECOND).isoformat()
        ids = [await host.start("Sleep", due) for _ in range(20)]
        await host.idle()

        # The wall's clock has moved on, the one by which the event loop waits has not.
        clock.step += jump
        for each in ids:
            await host.wait(each, timeout_s=30)
    count(len(ids))


@jumps
async def test_what_was_accepted_before_a_jump_runs_at_once(jump: timedelta, tmp_path: Path, count: Count) -> None:
    clock = SteppedClock()
    now = clock.now()
    ids = [f"instance-{number}" for number in range(20)]
    with TaskHub(tmp_path / "hub.db") as hub, hub.batch():
        # The host was killed after it had answered, before it ran them.
        text = json.dumps(json.dumps("x"))  # As the SDK's client sends it.
        for each in ids:
            put_start(hub, Start(each, "T_Instant", each, text, None), now)

    clock.step += jump
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=clock, in_process=True) as host:
        ends = [await host.wait(each, timeout_s=30) for each in ids]

    assert [end["runtimeStatus"] for end in ends] == ["Completed"] * len(ids)
    count(len(ids))


@jumps
async def test_an_event_reaches_who_waits_for_it_across_a_jump(jump: timedelta, tmp_path: Path) -> None:
    clock, witness = SteppedClock(), Witness()
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=clock, on_episode=witness, in_process=True) as host:
        instance_id = await host.start("T_WaitEvent")
        await host.idle()

        clock.step += jump
        await host.raise_event(instance_id, "Go", "now")

        assert (await host.wait(instance_id, timeout_s=30))["runtimeStatus"] == "Completed"


@jumps
async def test_a_caller_who_waits_for_an_output_is_answered_in_time_whatever_the_clock_does(
    jump: timedelta, tmp_path: Path
) -> None:
    clock = SteppedClock()
    async with (
        Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=clock, in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        url = f"{BASE}/orchestrators/T_WaitEvent/mine?timeout=1&pollingInterval=0.1"
        call = asyncio.create_task(client.post(url))
        while await host.status("mine") is None:
            await host.idle()

        clock.step += jump
        async with asyncio.timeout(30), await call as answer:
            assert answer.status == 202


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=lambda jump: f"{jump.days:+}d")
async def test_skipped_time_is_kept_though_the_clock_jumps_while_no_host_runs(
    jump: timedelta, sleepers: Path, tmp_path: Path
) -> None:
    skipping = SkipClock()
    async with Host(sleepers, hub=tmp_path / "hub.db", clock=skipping, in_process=True) as host:
        due = (skipping.now() + 3 * DAY).isoformat()
        await host.wait(await host.start("Sleep", due))
        skipped = host.hub.skipped

    clock = SteppedClock(jump)
    async with Host(sleepers, hub=tmp_path / "hub.db", clock=clock, in_process=True) as host:
        assert clock.skipped == skipped
        later = (clock.now() + DAY).isoformat()
        instance_id = await host.start("Sleep", later)
        await host.idle()
        assert host.instances.get(instance_id).status is Status.Running
        await host.advance(DAY.total_seconds())
        assert (await host.wait(instance_id))["runtimeStatus"] == "Completed"


async def test_a_process_that_was_stopped_for_a_while_goes_on_where_it_was(
    sleepers: Path, tmp_path: Path, count: Count
) -> None:
    async with (
        running("--script-root", sleepers, "--hub", tmp_path / "hub.db") as host,
        ClientSession(host.url) as client,
    ):
        async with client.get("/durable-host/clock") as answer:
            now = datetime.fromisoformat((await answer.json())["now"])
        for number in range(20):
            await host.start("Sleep", f"{number}", (now + SECOND + number * SECOND / 20).isoformat())

        host.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2)  # noqa: TID251 - Real time goes by for a process that does not run.
        host.process.send_signal(signal.SIGCONT)

        for number in range(20):
            status = await host.ended(f"{number}")
            assert (status["runtimeStatus"], is_early(status)) == ("Completed", False)
    count(20)
