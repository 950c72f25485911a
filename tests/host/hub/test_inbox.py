import asyncio

import pytest

from durable_host import HostError, RealClock
from durable_host.hub.inbox import Inbox


async def test_a_change_waits_until_it_is_taken_and_answered() -> None:
    clock = RealClock()
    inbox = Inbox(clock)

    submitted = asyncio.create_task(inbox.submit(lambda: "made"))
    await clock.wake.wait()

    assert len(inbox) == 1
    ((change, done),) = inbox.take(10)
    assert not submitted.done()
    done.set_result(change())
    assert await submitted == "made"
    assert len(inbox) == 0


async def test_a_change_that_is_refused_raises_where_it_was_submitted() -> None:
    clock = RealClock()
    inbox = Inbox(clock)

    submitted = asyncio.create_task(inbox.submit(lambda: None))
    await clock.wake.wait()
    inbox.take(1)[0][1].set_exception(LookupError("no such instance"))

    with pytest.raises(LookupError, match="no such instance"):
        await submitted


async def test_changes_are_taken_oldest_first_and_no_more_than_asked_for() -> None:
    inbox = Inbox(RealClock())
    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(inbox.submit(lambda number=number: number))  # type: ignore[misc]
        await asyncio.sleep(0)  # noqa: TID251 - Lets the tasks submit; waits for nothing.

        taken = [inbox.take(2), inbox.take(2), inbox.take(2)]

        assert [[change() for change, _ in some] for some in taken] == [[0, 1], [2], []]
        for _, done in taken[0] + taken[1]:
            done.set_result(None)


async def test_a_closed_inbox_fails_all_who_wait_and_whoever_comes() -> None:
    clock = RealClock()
    inbox = Inbox(clock)
    waiting = asyncio.create_task(inbox.submit(lambda: None))
    gone = asyncio.create_task(inbox.submit(lambda: None))
    await asyncio.sleep(0)  # noqa: TID251 - Lets the tasks submit; waits for nothing.
    gone.cancel()
    await asyncio.wait((gone,))

    inbox.close(HostError("over"))

    with pytest.raises(HostError, match="over"):
        await waiting
    with pytest.raises(HostError, match="over"):
        await inbox.submit(lambda: None)
    assert len(inbox) == 0
