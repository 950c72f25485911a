import asyncio
import importlib.metadata
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from azure.durable_functions.models.history import HistoryEvent, HistoryEventType
from dateutil.parser import parse as dateutil_parse  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from durable_host import Host, SkipClock, sdk
from durable_host.events import stamp
from tests.host.conftest import GOLDEN_APP

executor: Any = sys.modules["azure.durable_functions.models.TaskOrchestrationExecutor"]
NO_ISO_TIME = "Jan 2 2026 03:04:05Z"  # dateutil reads it, an ISO parser does not.


def read(timestamp: str) -> datetime:
    """A history event's timestamp as the SDK reads it."""
    event = HistoryEvent(
        EventType=HistoryEventType.ORCHESTRATOR_STARTED, EventId=-1, IsPlayed=False, Timestamp=timestamp
    )
    at: datetime = event.timestamp
    return at


def reads_fast() -> bool:
    try:
        read(NO_ISO_TIME)
    except ValueError:
        return True
    return False


@pytest.fixture
def fast() -> Iterator[None]:
    undo = sdk.speed_up_replay()
    yield
    undo()


# Timestamps.

digits = st.integers(0, 7)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 9_999_999), digits, st.sampled_from(["Z", "+00:00"]))
def test_the_standard_library_reads_what_dotnet_writes_as_dateutil_does(
    at: datetime, fraction: int, count: int, zone: str
) -> None:
    seconds = at.replace(microsecond=0, tzinfo=None).isoformat()
    text = f"{seconds}.{fraction:07}"[: 20 + count].rstrip(".") + zone

    ours, theirs = datetime.fromisoformat(text), dateutil_parse(text)

    assert ours == theirs
    assert (ours.microsecond, ours.utcoffset()) == (theirs.microsecond, theirs.utcoffset())


@given(st.datetimes(timezones=st.just(UTC)))
def test_it_reads_what_this_host_writes_too(at: datetime) -> None:
    assert datetime.fromisoformat(stamp(at)) == dateutil_parse(stamp(at)) == at


@pytest.mark.usefixtures("fast")
def test_sped_up_the_sdk_reads_the_same_instants() -> None:
    text = "2026-01-02T03:04:05.1234567Z"

    assert reads_fast()
    assert read(text) == dateutil_parse(text)


def test_the_sdk_is_as_it_was_afterwards() -> None:
    defined = executor.namedtuple
    undo = sdk.speed_up_replay()
    assert executor.namedtuple is not defined

    undo()

    assert not reads_fast()
    assert executor.namedtuple is defined


@pytest.mark.usefixtures("fast")
def test_sped_up_each_replay_uses_the_same_class() -> None:
    one, other = (executor.TaskOrchestrationExecutor().event_to_SetTaskValuePayload for _ in range(2))

    assert one == other
    assert {type(each) for each in one.values()} == {type(each) for each in other.values()}


@pytest.mark.parametrize(("setting", "is_fast"), [("0", False), ("1", True), ("", True)])
def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, setting: str, is_fast: bool) -> None:
    monkeypatch.setenv("DURABLE_HOST_FAST_REPLAY", setting)

    undo = sdk.speed_up_replay()

    assert reads_fast() is is_fast
    undo()
    assert not reads_fast()


def test_an_sdk_whose_inside_was_not_read_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.8.0")

    undo = sdk.speed_up_replay()

    assert sdk.version() == "1.8.0"
    assert not reads_fast()
    undo()


async def test_a_host_speeds_replays_up_while_it_runs(tmp_path: Path) -> None:
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db"):
        assert reads_fast()

    assert not reads_fast()


@pytest.mark.parametrize("setting", ["0", "1"])
async def test_instances_end_alike_however_the_sdk_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("DURABLE_HOST_FAST_REPLAY", setting)
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=SkipClock()) as host:
        status = await host.wait(await host.start("T_Context"))

    first, second, third = status["output"]
    assert first[1].endswith("+00:00")
    assert first[1] < second[0] < third[0]


# Its one HTTP session.


async def start_over_http(app: Path, hub: Path) -> str:
    """What an instance returned that the app's own starter started."""
    async with Host(app, hub=hub) as host, ClientSession(host.url) as client:
        async with client.post("/api/orchestrators/T_Hello", json="x") as answer:
            assert answer.status == 202
            instance_id = (await answer.json())["id"]
        output: str = (await host.wait(instance_id))["output"]
    return output


def test_a_second_host_in_the_same_process_works_on_a_loop_of_its_own(tmp_path: Path) -> None:
    for name in ("one.db", "two.db"):
        assert asyncio.run(start_over_http(GOLDEN_APP, tmp_path / name)) == "x"


async def test_a_second_host_on_the_same_loop_works_too(tmp_path: Path) -> None:
    for name in ("one.db", "two.db"):
        assert await start_over_http(GOLDEN_APP, tmp_path / name) == "x"


async def test_without_a_session_there_is_nothing_to_close() -> None:
    await sdk.close_session()
    await sdk.close_session()


# Its warnings.


async def test_an_event_that_nobody_waits_for_fails_nothing_where_warnings_are_errors(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("error")
        before = list(warnings.filters)
        async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=SkipClock()) as host:
            instance_id = await host.start("T_LateListener")
            await host.raise_event(instance_id, "Go", 1)
            assert (await host.wait(instance_id))["output"] == 1

        assert warnings.filters == before
        assert shown == []


def test_filters_that_are_gone_already_are_no_trouble() -> None:
    with warnings.catch_warnings():
        undo = sdk.quiet_warnings()
        warnings.resetwarnings()

        undo()

        assert warnings.filters == []
