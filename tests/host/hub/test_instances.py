"""Operations on instances, but for what `test_golden` replays: events, restarts, rewinds, purges of one."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from durable_host import Host, SkipClock
from durable_host.engine.events import Status
from durable_host.errors import InstanceExists, InstanceFinished, InstanceNotFound, NotAllowed
from durable_host.hub.records import Filter, Record
from durable_host.hub.taskhub import TaskHub
from tests.golden_app import GOLDEN_APP

Operation = Callable[[Host, str], Awaitable[object]]
OPERATIONS: dict[str, Operation] = {
    "raise_event": lambda host, name: host.raise_event(name, "Go"),
    "terminate": lambda host, name: host.terminate(name),
    "suspend": lambda host, name: host.suspend(name),
    "resume": lambda host, name: host.resume(name),
}
TO_LIVE_ONES = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))


async def status_of(host: Host, instance_id: str) -> str:
    """Its runtime status once nothing is left to do."""
    await host.idle()
    return host.instances.get(instance_id).status.name


async def generation(host: Host, instance_id: str) -> int | None:
    """What its ExecutionStarted says."""
    await host.idle()
    started, *_ = (event for event in host.instances.history(instance_id) if event["EventType"] == 0)
    number: int | None = started["Generation"]
    return number


# Start.


async def test_an_instance_is_there_once_its_start_returns(host: Host) -> None:
    instance_id = await host.start("T_WaitEvent")

    assert host.instances.get(instance_id).status in (Status.Pending, Status.Running)
    assert len(instance_id) == 32
    assert instance_id != await host.start("T_WaitEvent")


async def test_an_instance_may_have_any_id(host: Host) -> None:
    assert await host.start("T_WaitEvent", instance_id="an id/with ü") == "an id/with ü"
    assert await status_of(host, "an id/with ü") == "Running"


@pytest.mark.parametrize("suspended", [False, True])
async def test_the_id_of_a_live_instance_cannot_be_taken(host: Host, suspended: bool) -> None:
    await host.start("T_WaitEvent", instance_id="mine")
    if suspended:
        await host.suspend("mine")
    status = await status_of(host, "mine")

    with pytest.raises(InstanceExists) as refusal:
        await host.start("T_Instant", instance_id="mine")

    assert str(refusal.value) == f"An Orchestration instance with the status {status} already exists."
    assert refusal.value.runtime_status == status
    assert host.instances.get("mine").name == "T_WaitEvent"


async def test_the_id_of_a_finished_instance_is_taken_over_by_the_next_generation(host: Host) -> None:
    await host.start("T_Hello", "old", "mine")
    await host.wait("mine")
    first = await generation(host, "mine")

    await host.start("T_WaitEvent", "new", "mine")

    assert await status_of(host, "mine") == "Running"
    record = host.instances.get("mine")
    assert (record.name, record.input_text, record.output) == ("T_WaitEvent", r'"\"new\""', None)
    assert (first, await generation(host, "mine")) == (0, 1)
    assert [event["EventType"] for event in host.instances.history("mine")] == [12, 0, 13]


# What goes to live instances.


@TO_LIVE_ONES
async def test_what_is_sent_to_an_unknown_instance_is_refused(host: Host, operation: Operation) -> None:
    with pytest.raises(InstanceNotFound):
        await operation(host, "nobody")


@TO_LIVE_ONES
@pytest.mark.parametrize("orchestrator", ["T_Instant", "T_Raise"])
async def test_what_is_sent_to_a_finished_instance_is_refused(
    host: Host, operation: Operation, orchestrator: str
) -> None:
    await host.start(orchestrator, instance_id="over")
    await host.wait("over")

    with pytest.raises(InstanceFinished):
        await operation(host, "over")


async def test_an_instance_is_suspended_once_and_resumed_once(host: Host) -> None:
    instance_id = await host.start("T_WaitEvent")
    await host.idle()

    with pytest.raises(NotAllowed) as not_suspended:
        await host.resume(instance_id)
    await host.suspend(instance_id, "hold")
    assert await status_of(host, instance_id) == "Suspended"
    with pytest.raises(NotAllowed) as suspended:
        await host.suspend(instance_id)
    await host.resume(instance_id)
    assert await status_of(host, instance_id) == "Running"

    assert str(not_suspended.value) == (
        f"Cannot resume the orchestration instance {instance_id} because instance is in the Running state."
    )
    assert str(suspended.value) == (
        f"Cannot suspend the orchestration instance {instance_id} because instance is in the Suspended state."
    )


async def test_a_timer_of_a_suspended_instance_goes_on_and_takes_effect_on_resume(host: Host) -> None:
    instance_id = await host.start("T_Wait")
    await host.suspend(instance_id)
    await host.advance(7200)
    assert await status_of(host, instance_id) == "Suspended"

    await host.resume(instance_id)

    assert (await host.wait(instance_id))["output"] == "woke"


# Restart.


async def test_a_restart_under_the_same_id_replaces_a_finished_instance_only(host: Host) -> None:
    await host.start("T_WaitEvent", instance_id="mine")
    await host.idle()
    with pytest.raises(InstanceExists):
        await host.instances.restart("mine", "mine")
    await host.terminate("mine")
    await host.wait("mine")

    assert await host.instances.restart("mine", "mine") == "mine"

    assert await status_of(host, "mine") == "Running"
    assert await generation(host, "mine") == 1


async def test_a_restart_without_an_input_stores_the_text_null(host: Host) -> None:
    old = await host.start("T_Instant")

    new = await host.instances.restart(old, "new")

    assert host.instances.get(new).input_text == "null"


async def test_an_unknown_instance_cannot_be_restarted(host: Host) -> None:
    with pytest.raises(InstanceNotFound):
        await host.instances.restart("nobody", "new")


# Rewind.


async def test_only_a_failed_instance_can_be_rewound(host: Host) -> None:
    with pytest.raises(InstanceNotFound) as unknown:
        await host.instances.rewind("nobody", None)
    await host.start("T_WaitEvent", instance_id="live")
    await host.idle()
    with pytest.raises(NotAllowed) as live:
        await host.instances.rewind("live", None)

    assert str(unknown.value) == "nobody"
    assert str(live.value) == (
        'This orchestration has status Running, but only orchestrations in the "Failed" state can be rewound.'
    )


# Purge.


async def test_a_live_instance_is_not_purged(host: Host) -> None:
    await host.start("T_WaitEvent", instance_id="live")
    await host.idle()

    with pytest.raises(NotAllowed) as refusal:
        await host.purge("live")

    assert str(refusal.value) == (
        "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID live has "
        "status Running"
    )


@pytest.mark.parametrize(
    ("statuses", "left"),
    [
        ((), []),
        ((Status.Failed, Status.Running), ["completed", "live"]),
        ((Status.Running,), ["completed", "failed", "live"]),
    ],
)
async def test_a_purge_of_many_leaves_live_instances_alone_when_it_names_statuses(
    host: Host, statuses: tuple[Status, ...], left: list[str]
) -> None:
    for name, instance_id in (("T_Instant", "completed"), ("T_Raise", "failed"), ("T_WaitEvent", "live")):
        await host.start(name, instance_id=instance_id)
    await host.idle()

    count = await host.instances.purge_many(Filter(statuses=statuses))

    assert [record.id for record in host.instances.page(Filter(), "", 10)] == left
    assert count == 3 - len(left)


async def test_a_purge_of_very_many_counts_them_all(tmp_path: Path) -> None:
    clock = SkipClock()
    at = clock.now()
    record = Record("", "T_Instant", "e", Status.Completed, None, None, None, None, None, 0, at, at)
    with TaskHub(tmp_path / "hub.db") as hub, hub.batch():
        for number in range(1201):
            hub.put_instance(replace(record, id=f"{number:04}", created_at=at + timedelta(seconds=number)))

    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=clock, in_process=True) as host:
        window = Filter(created_from=at + timedelta(seconds=1))
        assert await host.instances.purge_many(window) == 1200
        assert await host.instances.purge_many(window) == 0
        assert [left.id for left in host.instances.page(Filter(), "", 10)] == ["0000"]
