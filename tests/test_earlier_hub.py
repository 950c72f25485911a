"""A hub that an earlier version of the app left behind (tests/data/hub-of-50c8bb4.sh): its monitors go on."""

import json
import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_host import Clock, Host
from sandbox.server import Sandbox
from tests.conftest import ROOT
from tests.crash.clock import FrozenClock

HUB = Path(__file__).parent / "data" / "hub-of-50c8bb4.db"
WAITING = {"first-generation": 3, "later-generation": 14}


@pytest.fixture
def clock() -> Clock:
    """It stands before all that the hub waits for, whatever the date is."""
    return FrozenClock()


@pytest.fixture
async def host(sandbox: Sandbox, clock: Clock, tmp_path: Path) -> AsyncIterator[Host]:
    """The app on a copy of the hub."""
    hub = shutil.copy(HUB, tmp_path / "hub.db")
    async with Host(ROOT, hub=hub, clock=clock, in_process=True) as host:
        await host.idle()
        yield host


async def status_of(host: Host, instance_id: str) -> dict[str, Any]:
    status = await host.status(instance_id)
    assert status is not None
    return status


async def test_what_had_ended_stays_as_it_was(host: Host) -> None:
    finished, failed = await status_of(host, "finished"), await status_of(host, "failed")

    assert (finished["runtimeStatus"], finished["output"]["outcome"]) == ("Completed", "alerted")
    assert failed["runtimeStatus"] == "Failed"
    assert "GitHub finds no repository octo/failed (404)" in failed["output"]


async def test_monitors_that_waited_go_on_from_their_last_check_at_their_due_times(host: Host) -> None:
    before = {instance_id: (await status_of(host, instance_id))["customStatus"] for instance_id in WAITING}

    for _ in WAITING:
        await host.skip()

    for instance_id, checks in WAITING.items():
        status = await status_of(host, instance_id)
        assert status["runtimeStatus"] == "Running"
        assert before[instance_id]["checks"] == checks
        assert status["customStatus"]["lastCheck"][:22] == before[instance_id]["nextCheck"][:22]
        assert status["customStatus"] == {
            "checks": checks + 1,
            "lastCheck": status["customStatus"]["lastCheck"],
            "openIssues": "not too many",
            "nextCheck": later(before[instance_id]["nextCheck"], 3_600),
            "expires": before[instance_id]["expires"],
        }


async def test_monitors_that_waited_send_their_alert(host: Host, sandbox: Sandbox) -> None:
    for instance_id in WAITING:
        sandbox.set_repository(f"octo/{instance_id}", open_issues=5)

    for _ in WAITING:
        await host.skip()

    for instance_id, checks in WAITING.items():
        output = (await status_of(host, instance_id))["output"]
        assert (output["outcome"], output["checks"]) == ("alerted", checks + 1)
    assert {sms["body"].split()[0] for sms in sandbox.sms} == {f"octo/{instance_id}" for instance_id in WAITING}


async def test_monitors_that_waited_hand_over_their_request_and_progress_from_then_on(host: Host) -> None:
    expires = {each: (await status_of(host, each))["customStatus"]["expires"] for each in WAITING}
    for _ in range(12 * len(WAITING)):
        await host.skip()

    for instance_id, checks in WAITING.items():
        status = await status_of(host, instance_id)
        handed = json.loads(status["input"])
        assert handed["request"]["repo"] == f"octo/{instance_id}"
        assert handed["progress"]["checks"] == (checks + 12) // 12 * 12
        assert handed["progress"]["expires"] == status["customStatus"]["expires"] == expires[instance_id]


async def test_monitors_that_waited_too_long_expire(host: Host, clock: Clock, sandbox: Sandbox) -> None:
    for instance_id in WAITING:
        sandbox.set_repository(f"octo/{instance_id}", open_issues=5)

    clock.skip_to(clock.now() + timedelta(days=366))
    await host.idle()

    ends = {instance_id: (await status_of(host, instance_id))["output"] for instance_id in WAITING}
    # The last check of this one was refused.
    assert ends["later-generation"].pop("lastError").endswith("check its name; a private one needs GITHUB_TOKEN")
    assert ends == {each: {"outcome": "expired", "checks": checks} for each, checks in WAITING.items()}
    assert sandbox.sms == []


def later(instant: str, seconds: float) -> str:
    return (datetime.fromisoformat(instant) + timedelta(seconds=seconds)).isoformat()
