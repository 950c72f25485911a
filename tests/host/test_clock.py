import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from durable_host import Host, RealClock, SkipClock
from tests.golden_app import GOLDEN_APP
from tests.host.stepped import SteppedClock

HOUR = timedelta(hours=1)
MOMENT = timedelta(milliseconds=20)


def test_a_clock_shows_utc_and_does_not_run_back() -> None:
    clock = RealClock()

    first, second = clock.now(), clock.now()

    assert first.tzinfo is UTC
    assert first <= second


def test_skipping_to_an_instant_puts_the_clock_ahead_to_just_there() -> None:
    clock = RealClock()
    at = clock.now() + HOUR

    clock.skip_to(at)

    assert at <= clock.now() < at + HOUR
    assert timedelta(0) < clock.skipped <= HOUR


def test_skipping_to_the_past_moves_nothing() -> None:
    clock = RealClock()

    clock.skip_to(clock.now() - HOUR)

    assert clock.skipped == timedelta(0)


async def test_skipping_wakes_who_waits() -> None:
    clock = RealClock()
    waiting = asyncio.create_task(clock.wait(clock.now() + HOUR, is_idle=True))
    await asyncio.sleep(0)  # noqa: TID251 - Lets the task begin; waits for nothing.

    clock.skip_to(clock.now() + HOUR)

    await waiting


async def test_a_wait_ends_when_its_instant_comes() -> None:
    clock = RealClock()
    due = clock.now() + MOMENT

    while clock.now() < due:
        clock.wake.clear()
        await clock.wait(due, is_idle=True)

    assert clock.now() < due + HOUR
    assert clock.skipped == timedelta(0)


async def test_a_wait_for_the_past_ends_at_once_without_being_woken() -> None:
    clock = RealClock()

    await clock.wait(clock.now() - HOUR, is_idle=True)

    assert not clock.wake.is_set()


@pytest.mark.parametrize("days", [None, 30])
async def test_a_long_wait_looks_at_the_clock_again_after_a_second(days: int | None) -> None:
    # A system's clock may be set, and a laptop may sleep.
    clock = RealClock()
    began = clock.now()

    await clock.wait(None if days is None else began + timedelta(days=days), is_idle=True)

    assert timedelta(seconds=0.9) < clock.now() - began < timedelta(seconds=5)


async def test_sleepers_wake_once_the_clock_shows_their_instant_the_earliest_first() -> None:
    clock = RealClock()
    began = clock.now()
    woken: list[int] = []

    async def sleep(hours: int) -> None:
        await clock.sleep_until(began + hours * HOUR)
        woken.append(hours)

    third, first, second = (asyncio.create_task(sleep(hours)) for hours in (3, 1, 2))
    await clock.wake.wait()
    assert clock.next_sleeper() == began + HOUR

    clock.skip_to(began + 2 * HOUR)
    clock.release()
    await asyncio.wait((first, second))

    assert woken == [1, 2]
    assert clock.next_sleeper() == began + 3 * HOUR
    clock.skip_to(began + 3 * HOUR)
    clock.release()
    await third
    assert clock.next_sleeper() is None


async def test_a_clock_that_is_set_back_lets_nobody_sleep_longer() -> None:
    clock = SteppedClock()
    sleeping = asyncio.create_task(clock.sleep_until(clock.now() + HOUR))
    await clock.wake.wait()

    clock.step -= 24 * HOUR
    clock.release()
    assert not sleeping.done()
    clock.skip_to(clock.now() + HOUR)
    clock.release()

    await sleeping


async def test_a_sleeper_that_gave_up_holds_nobody_up() -> None:
    clock = RealClock()
    at = clock.now() + HOUR
    sleepers = [asyncio.create_task(clock.sleep_until(at)) for _ in range(2)]
    await clock.wake.wait()

    sleepers[0].cancel()
    await asyncio.wait(sleepers[:1])
    clock.skip_to(at)
    clock.release()

    await sleepers[1]


async def test_a_skip_clock_jumps_to_what_is_due_when_idle_and_no_further() -> None:
    clock = SkipClock()
    due = clock.now() + timedelta(days=30)

    await clock.wait(due, is_idle=True)

    assert due <= clock.now() < due + HOUR


async def test_a_skip_clock_does_not_jump_while_something_runs() -> None:
    clock = SkipClock()
    clock.wake.set()

    await clock.wait(clock.now() + HOUR, is_idle=False)

    assert clock.skipped == timedelta(0)


async def test_a_skip_clock_with_nothing_due_waits_for_work() -> None:
    clock = SkipClock()
    clock.wake.set()

    await clock.wait(None, is_idle=True)

    assert clock.skipped == timedelta(0)


@pytest.mark.parametrize("clock_class", [RealClock, SkipClock])
def test_no_skip_leads_to_the_end_of_time(clock_class: type[RealClock]) -> None:
    clock = clock_class()

    with pytest.raises(OverflowError, match="the clock ends with the year 9999"):
        clock.skip_to(datetime.max.replace(tzinfo=UTC))

    assert clock.skipped == timedelta(0)


async def test_a_skip_clock_does_not_jump_to_the_end_of_time() -> None:
    clock = SkipClock()
    clock.wake.set()

    await clock.wait(datetime.max.replace(tzinfo=UTC), is_idle=True)

    assert clock.skipped == timedelta(0)


def test_one_clock_serves_hosts_in_two_event_loops(tmp_path: Path) -> None:
    clock = RealClock()

    async def serve(name: str) -> str:
        async with Host(GOLDEN_APP, hub=tmp_path / name, clock=clock, in_process=True) as host:
            return str((await host.wait(await host.start("T_Instant")))["runtimeStatus"])

    assert [asyncio.run(serve("one.db")), asyncio.run(serve("two.db"))] == ["Completed", "Completed"]
