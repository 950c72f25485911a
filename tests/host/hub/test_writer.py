import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from durable_host import HostError, RealClock
from durable_host.errors import HubError, InstanceNotFound
from durable_host.hub.taskhub import TaskHub
from durable_host.hub.writer import Writer
from tests.host.disk import full_disk

NOW = RealClock().now()


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    with TaskHub(tmp_path / "hub.db") as hub:
        yield Writer(hub, RealClock())


async def submitted(writer: Writer, *changes: Callable[[], object]) -> list["asyncio.Task[object]"]:
    tasks = [asyncio.create_task(writer.submit(change)) for change in changes]
    await asyncio.sleep(0)  # noqa: TID251 - Lets the tasks submit; waits for nothing.
    return tasks


def put(writer: Writer, size: int = 1) -> None:
    writer.hub.put_message("an-id", None, NOW, "x" * size)


async def test_a_change_is_made_in_the_next_batch_and_its_caller_told_after_it(writer: Writer) -> None:
    (task,) = await submitted(writer, lambda: "made")

    with writer.batch():
        assert not task.done()

    assert await task == "made"
    assert not writer.has_changes


async def test_a_change_that_is_refused_undoes_nothing_of_the_others(writer: Writer) -> None:
    def refuse() -> None:
        put(writer)
        raise InstanceNotFound("nobody")

    good, bad = await submitted(writer, lambda: put(writer), refuse)
    with writer.batch():
        pass

    await good
    with pytest.raises(InstanceNotFound, match="nobody"):
        await bad
    assert len(writer.hub.messages("an-id", NOW)) == 1


async def test_callers_are_served_in_their_order(writer: Writer) -> None:
    made: list[int] = []
    tasks = await submitted(writer, *(lambda number=number: made.append(number) for number in range(100)))

    while writer.has_changes:
        with writer.batch():
            pass

    await asyncio.gather(*tasks)
    assert made == list(range(100))


async def test_a_bug_in_a_batch_is_told_to_all_whom_it_took_with_it(writer: Writer) -> None:
    (task,) = await submitted(writer, lambda: "made")

    def break_down() -> None:
        with writer.batch():
            put(writer)
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        break_down()

    with pytest.raises(HostError, match=r"The host has stopped working \(ZeroDivisionError: a bug\)"):
        await task
    assert writer.hub.waiting(NOW) == []


async def test_a_closed_writer_fails_all_who_wait_and_whoever_comes(writer: Writer) -> None:
    waiting, gone = await submitted(writer, lambda: None, lambda: None)
    gone.cancel()
    await asyncio.wait((gone,))

    writer.close(HostError("over"))

    with pytest.raises(HostError, match="over"):
        await waiting
    with pytest.raises(HostError, match="over"):
        await writer.submit(lambda: None)
    assert not writer.has_changes


async def test_an_outage_is_told_to_its_callers_and_once_to_the_console(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    with full_disk(writer.hub.path):
        for _ in range(3):
            (task,) = await submitted(writer, lambda: put(writer, 100_000))
            with pytest.raises(HubError), writer.batch():
                pass
            with pytest.raises(
                HubError, match=r"cannot be written \(.*\)\. Nothing of it is lost; free the disk\."
            ):
                await task
        assert writer.problem is not None

    with writer.batch():
        pass

    assert writer.problem is None
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    assert caplog.messages[1] == "The task hub can be written again."
