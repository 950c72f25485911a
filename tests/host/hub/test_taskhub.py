"""The task hub and its file (`taskhub`, `file`, `records`)."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from durable_host.engine.episode import ActivityCall, Decision, Generation, Instance
from durable_host.engine.events import Parent, Status
from durable_host.hub.records import Activity, Filter, Record
from durable_host.hub.taskhub import TaskHub
from tests.host.disk import full_disk

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
SECOND = timedelta(seconds=1)
RECORD = Record(
    id="an-id",
    name="Main",
    execution_id="execution",
    status=Status.Running,
    input_text='{"a": 1}',
    output=None,
    custom_status=None,
    version=None,
    parent=None,
    generation=0,
    created_at=AT,
    updated_at=AT,
)
EVERYTHING = Filter()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


@pytest.fixture
def hub(path: Path) -> Iterator[TaskHub]:
    with TaskHub(path) as hub:
        yield hub


def put(hub: TaskHub, *records: Record) -> None:
    with hub.batch():
        for each in records:
            hub.put_instance(each)


def message(hub: TaskHub, instance_id: str, due_at: datetime, event: str, execution_id: str | None = None) -> None:
    with hub.batch():
        hub.put_message(instance_id, execution_id, due_at, event)


def due(hub: TaskHub, now: datetime) -> list[tuple[str, list[str]]]:
    """The messages that are due: the instance and its events."""
    return [(each, [message.event for message in hub.messages(each, now)]) for each in hub.waiting(now)]


def ids(records: list[Record]) -> list[str]:
    return [record.id for record in records]


# Transactions.


def test_what_a_batch_wrote_is_there_after_a_restart(path: Path) -> None:
    full = replace(
        RECORD,
        output="why",
        custom_status='"ü"',
        version="2",
        parent=Parent("Top", "top-id", "top-execution", 3, None),
        generation=4,
        updated_at=AT + SECOND,
    )
    with TaskHub(path) as hub:
        put(hub, full)
        message(hub, "an-id", AT, '{"EventType":15}')

    with TaskHub(path) as hub:
        assert hub.record("an-id") == full
        assert due(hub, AT) == [("an-id", ['{"EventType":15}'])]


def refused() -> None:
    raise LookupError


def test_a_batch_that_raises_has_written_nothing(hub: TaskHub) -> None:
    with suppress(LookupError), hub.batch():
        hub.put_instance(RECORD)
        refused()

    assert hub.record("an-id") is None
    put(hub, RECORD)
    assert hub.record("an-id") == RECORD


def test_a_change_that_raises_is_undone_alone(hub: TaskHub) -> None:
    with hub.batch():
        with hub.change():
            hub.put_instance(replace(RECORD, id="before"))
        with suppress(LookupError), hub.change():
            hub.put_instance(replace(RECORD, id="undone"))
            refused()
        with hub.change():
            hub.put_instance(replace(RECORD, id="after"))

    assert ids(hub.page(EVERYTHING, "", 10)) == ["after", "before"]


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_what_undoes_a_batch_goes_on_to_the_caller(hub: TaskHub, error: type[BaseException]) -> None:
    with pytest.raises(error), hub.batch(), hub.change():
        raise error


def test_a_full_disk_undoes_the_batch_and_the_hub_goes_on_once_there_is_room(path: Path, hub: TaskHub) -> None:
    put(hub, RECORD)

    with full_disk(path), pytest.raises(sqlite3.Error), hub.batch(), hub.change():
        hub.put_instance(replace(RECORD, id="lost", input_text="x" * 10_000_000))

    put(hub, replace(RECORD, id="kept"))
    assert ids(hub.page(EVERYTHING, "", 10)) == ["an-id", "kept"]


def test_skipped_time_is_kept(path: Path) -> None:
    skipped = timedelta(days=400, microseconds=3)
    with TaskHub(path) as hub:
        assert hub.skipped == timedelta(0)
        with hub.batch():
            hub.save_skipped(skipped)
        with hub.batch():
            hub.save_skipped(skipped)

    with TaskHub(path) as hub:
        assert hub.skipped == skipped


def test_skipped_time_of_a_batch_that_raised_is_kept_by_the_next(path: Path) -> None:
    skipped = timedelta(days=1)
    with TaskHub(path) as hub:
        with suppress(LookupError), hub.batch():
            hub.save_skipped(skipped)
            refused()
        with hub.batch():
            hub.save_skipped(skipped)

    with TaskHub(path) as hub:
        assert hub.skipped == skipped


# Instances.


def test_an_instance_that_is_not_there_is_none(hub: TaskHub) -> None:
    assert hub.record("an-id") is None
    assert hub.history("an-id") == []


def test_an_instance_replaces_one_of_its_id_with_its_history_and_messages(hub: TaskHub) -> None:
    put(hub, RECORD)
    message(hub, "an-id", AT, "old")
    with hub.batch():
        hub.apply(RECORD, Decision(AT, AT, history=["{}"]), [])

    put(hub, replace(RECORD, name="Other", generation=1))

    record = hub.record("an-id")
    assert record is not None
    assert (record.name, record.generation) == ("Other", 1)
    assert hub.history("an-id") == []
    assert due(hub, AT) == []


def test_a_deleted_instance_is_gone_with_its_history_and_messages_and_others_stay(hub: TaskHub) -> None:
    other = replace(RECORD, id="other")
    put(hub, RECORD, other)
    for record in (RECORD, other):
        message(hub, record.id, AT, "event")
        with hub.batch():
            hub.apply(record, Decision(AT, AT, history=["{}"]), [])

    with hub.batch():
        assert hub.delete_instance("an-id")
        assert not hub.delete_instance("an-id")

    assert hub.record("an-id") is None
    assert (hub.history("an-id"), hub.history("other")) == ([], ["{}"])
    assert due(hub, AT) == [("other", ["event"])]


def test_what_an_episode_needs_of_an_instance_is_in_its_row() -> None:
    parent = Parent("Top", "top-id", "top-execution", 3, None)

    assert replace(RECORD, version="2", parent=parent).instance == Instance(
        "an-id", "Main", "execution", '{"a": 1}', "2", parent
    )


# Messages.


def test_messages_are_due_from_their_instant_on(hub: TaskHub) -> None:
    message(hub, "one", AT, "event")

    assert due(hub, AT - timedelta(microseconds=1)) == []
    assert due(hub, AT) == [("one", ["event"])]


def test_an_instances_messages_come_together_in_the_order_of_their_instants_then_of_arrival(hub: TaskHub) -> None:
    for instance_id, seconds, event in (("a", 2, "4"), ("b", 1, "3"), ("a", 0, "1"), ("a", 0, "2")):
        message(hub, instance_id, AT + seconds * SECOND, event)

    assert due(hub, AT + 2 * SECOND) == [("a", ["1", "2", "4"]), ("b", ["3"])]


def test_those_that_wait_longest_come_first(hub: TaskHub) -> None:
    for number in range(3):
        message(hub, f"instance-{number}", AT - number * SECOND, "event")

    assert hub.waiting(AT) == ["instance-2", "instance-1", "instance-0"]


def test_who_may_have_messages_due_is_told_once(hub: TaskHub) -> None:
    message(hub, "timer", AT, "fired")
    message(hub, "later", AT + SECOND, "fired")
    deliver(hub, "arrived", AT, "event")

    assert hub.next_untold() is not None
    assert hub.take_due(AT) == {"arrived": True, "timer": True}
    assert hub.take_due(AT) == {}
    assert hub.next_untold() == AT + SECOND
    deliver(hub, "arrived", AT, "event")
    assert list(hub.take_due(AT + SECOND)) == ["arrived", "later"]
    assert hub.next_untold() is None


def test_a_timer_in_the_past_is_due_at_once(hub: TaskHub) -> None:
    hub.take_due(AT)

    message(hub, "late", AT - SECOND, "fired")

    assert list(hub.take_due(AT)) == ["late"]


def test_timers_wait_again_for_a_clock_that_was_set_back(hub: TaskHub) -> None:
    hub.take_due(AT)
    message(hub, "timer", AT - SECOND, "fired")

    assert list(hub.take_due(AT - 2 * SECOND)) == ["timer"]
    assert hub.messages("timer", AT - 2 * SECOND) == []
    assert hub.next_untold() == AT - SECOND
    assert list(hub.take_due(AT)) == ["timer"]
    assert len(hub.messages("timer", AT)) == 1


def test_a_message_tells_its_id_and_the_generation_it_is_for(hub: TaskHub) -> None:
    message(hub, "a", AT, "timer", "execution")
    message(hub, "a", AT, "raised")

    timer, raised = hub.messages("a", AT)
    assert (timer.execution_id, timer.event) == ("execution", "timer")
    assert (raised.execution_id, raised.event) == (None, "raised")

    with hub.batch():
        hub.delete_messages([timer.id])
    assert due(hub, AT) == [("a", ["raised"])]


def deliver(hub: TaskHub, instance_id: str, at: datetime, event: str) -> None:
    with hub.batch():
        hub.deliver(instance_id, None, at, event)


def test_what_has_arrived_is_due_though_the_clock_is_set_back_in_the_order_of_arrival(hub: TaskHub) -> None:
    deliver(hub, "a", AT + 9 * SECOND, "first")
    deliver(hub, "a", AT + SECOND, "second")

    assert due(hub, AT) == [("a", ["first", "second"])]
    next_due = hub.next_due()
    assert next_due is not None
    assert next_due < AT


def test_what_has_arrived_comes_between_the_timers_that_were_due_before_and_after_it(hub: TaskHub) -> None:
    message(hub, "a", AT + 2 * SECOND, "3")
    message(hub, "a", AT, "1")
    deliver(hub, "a", AT + SECOND, "2")

    assert due(hub, AT + 2 * SECOND) == [("a", ["1", "2", "3"])]


def test_the_next_due_instant_is_the_earliest(hub: TaskHub) -> None:
    assert hub.next_due() is None

    message(hub, "a", AT + SECOND, "event")
    message(hub, "b", AT, "event")

    assert hub.next_due() == AT


def test_the_next_timer_is_neither_due_nor_a_message_that_has_arrived(hub: TaskHub) -> None:
    message(hub, "a", AT, "due")
    deliver(hub, "b", AT + 3 * SECOND, "arrived")
    assert hub.next_timer(AT) is None

    message(hub, "c", AT + 2 * SECOND, "waits")

    assert hub.next_timer(AT) == AT + 2 * SECOND


# Episodes.


def test_an_episodes_decision_is_committed_with_its_timers_and_activities(hub: TaskHub) -> None:
    put(hub, RECORD)
    calls = [ActivityCall(0, "Check", '"x"'), ActivityCall(2, "Alert", None)]
    decision = Decision(AT, AT + SECOND, history=["{}", "{}"], activities=calls, custom_status='"busy"')

    with hub.batch():
        activities = hub.apply(RECORD, decision, [(AT + 2 * SECOND, "fired")])

    assert hub.history("an-id") == ["{},{}"]
    assert hub.record("an-id") == replace(RECORD, custom_status='"busy"', updated_at=AT + SECOND)
    assert due(hub, AT + 2 * SECOND) == [("an-id", ["fired"])]
    assert hub.activities() == activities
    assert activities == [
        Activity(activities[0].id, "an-id", "execution", 0, "Check", '"x"'),
        Activity(activities[1].id, "an-id", "execution", 2, "Alert", None),
    ]


def test_an_activitys_result_becomes_a_message_in_the_step_that_removes_it(hub: TaskHub) -> None:
    put(hub, RECORD)
    with hub.batch():
        (activity,) = hub.apply(RECORD, Decision(AT, AT, activities=[ActivityCall(0, "Check", None)]), [])

    with hub.batch():
        hub.finish_activity(activity, "result", AT)

    assert hub.activities() == []
    assert [each[1:] for each in hub.messages("an-id", AT)] == [("execution", "result")]


def test_the_end_of_an_instance_drops_what_waits_for_it_and_tells_its_parent(hub: TaskHub) -> None:
    record = replace(RECORD, parent=Parent("Top", "top-id", "top-execution", 3, None))
    put(hub, record)
    message(hub, "an-id", AT, "late")
    decision = Decision(AT, AT, Status.Completed, history=["{}"], output="1", for_parent="done")

    with hub.batch():
        hub.apply(record, decision, [(AT, "timer")])

    assert hub.waiting(AT) == ["top-id"]
    assert [each[1:] for each in hub.messages("top-id", AT)] == [("top-execution", "done")]
    assert hub.record("an-id") == replace(record, status=Status.Completed, output="1")


def test_a_new_generation_starts_without_a_past_and_ahead_of_what_waits(hub: TaskHub) -> None:
    record = replace(RECORD, output="resumed")
    put(hub, record)
    with hub.batch():
        hub.apply(record, Decision(AT, AT, history=["{}"]), [])
    message(hub, "an-id", AT - SECOND, "raised")
    generation = Generation("next-execution", '"2"', "opening")
    decision = Decision(AT + SECOND, AT + SECOND, custom_status='"busy"', next_generation=generation)

    with hub.batch():
        assert hub.apply(record, decision, []) == []

    assert hub.history("an-id") == []
    assert due(hub, AT) == [("an-id", ["opening", "raised"])]
    assert hub.record("an-id") == replace(
        RECORD,
        execution_id="next-execution",
        input_text='"2"',
        custom_status='"busy"',
        created_at=AT + SECOND,
        updated_at=AT + SECOND,
    )


def test_a_rewound_instance_has_its_new_history_and_no_output(hub: TaskHub) -> None:
    put(hub, replace(RECORD, status=Status.Failed, output="why"))

    with hub.batch():
        hub.replace_history("an-id", ["1", "2"])
        hub.set_status("an-id", Status.Pending, AT + SECOND)

    assert hub.history("an-id") == ["1,2"]
    assert hub.record("an-id") == replace(RECORD, status=Status.Pending, updated_at=AT + SECOND)


# Lists.

LISTED = (
    replace(RECORD, id="B", status=Status.Completed, created_at=AT),
    replace(RECORD, id="a1", status=Status.Running, created_at=AT + SECOND),
    replace(RECORD, id="a2", status=Status.Failed, created_at=AT + 2 * SECOND),
    replace(RECORD, id="a😀", status=Status.Completed, created_at=AT + 3 * SECOND),
    replace(RECORD, id="b_%", status=Status.Completed, created_at=AT + 4 * SECOND),
)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (EVERYTHING, ["B", "a1", "a2", "a😀", "b_%"]),
        (Filter(prefix="a"), ["a1", "a2", "a😀"]),
        (Filter(prefix="b_"), ["b_%"]),
        (Filter(prefix="%"), []),
        (Filter(statuses=(Status.Failed, Status.Running)), ["a1", "a2"]),
        (Filter(statuses=(Status.Completed,), prefix="b"), ["b_%"]),
        (Filter(created_from=AT + SECOND, created_to=AT + 2 * SECOND), ["a1", "a2"]),
        (Filter(created_from=AT + 4 * SECOND + timedelta(microseconds=1)), []),
        (Filter(statuses=(Status.Completed, Status.Failed), created_to=AT + 2 * SECOND), ["B", "a2"]),
    ],
)
def test_a_list_is_filtered_and_in_ordinal_order(hub: TaskHub, where: Filter, expected: list[str]) -> None:
    put(hub, *LISTED)

    assert ids(hub.page(where, "", 10)) == expected
    with_all = where if where.statuses else replace(where, statuses=tuple(Status))
    assert sorted(hub.ids(with_all)) == sorted(expected)


@pytest.mark.parametrize("where", [EVERYTHING, Filter(statuses=tuple(Status))])
def test_a_list_comes_in_pages(hub: TaskHub, where: Filter) -> None:
    put(hub, *LISTED)

    assert ids(hub.page(where, "", 2)) == ["B", "a1"]
    assert ids(hub.page(where, "a2", 2)) == ["a2", "a😀"]
    assert ids(hub.page(where, "b", 2)) == ["b_%"]
    assert ids(hub.page(where, "c", 2)) == []


def test_the_statements_that_run_can_be_watched(hub: TaskHub) -> None:
    seen: list[str] = []

    hub.trace(seen.append)
    put(hub, RECORD)
    hub.trace(None)
    hub.record("an-id")

    assert (seen[0], seen[-1]) == ("BEGIN IMMEDIATE", "COMMIT")
    assert any("an-id" in each for each in seen)
