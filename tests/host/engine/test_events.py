import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_host.engine import events
from durable_host.engine.events import Event, EventType, Parent, Status
from durable_host.values import JSON, instant, stamp
from tests.golden_replay import recording

AT = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
texts = st.text(st.characters(exclude_categories=()))  # Lone surrogates too.


def parent_of(wire: JSON) -> Parent | None:
    if wire is None:
        return None
    instance = wire["OrchestrationInstance"]
    return Parent(
        wire["Name"], instance["InstanceId"], instance["ExecutionId"], wire["TaskScheduleId"], wire["Version"]
    )


def started(at: datetime, wire: JSON) -> str:
    return events.execution_started(
        at,
        instance_id=wire["OrchestrationInstance"]["InstanceId"],
        execution_id=wire["OrchestrationInstance"]["ExecutionId"],
        name=wire["Name"],
        input_text=wire["Input"],
        generation=wire["Generation"],
        version=wire["Version"],
        parent=parent_of(wire["ParentInstance"]),
    )


WRITERS: dict[EventType, Callable[[datetime, JSON], str]] = {
    EventType.EXECUTION_STARTED: started,
    EventType.TASK_SCHEDULED: lambda at, e: events.task_scheduled(at, e["EventId"], e["Name"]),
    EventType.TASK_COMPLETED: lambda at, e: events.task_completed(at, e["TaskScheduledId"], e["Result"]),
    EventType.TASK_FAILED: lambda at, e: events.task_failed(at, e["TaskScheduledId"], e["Reason"], e["Details"]),
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED: lambda at, e: events.sub_orchestration_created(
        at, e["EventId"], e["Name"], e["InstanceId"], e["Version"]
    ),
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED: lambda at, e: events.sub_orchestration_completed(
        at, e["TaskScheduledId"], e["Result"]
    ),
    EventType.SUB_ORCHESTRATION_INSTANCE_FAILED: lambda at, e: events.sub_orchestration_failed(
        at, e["TaskScheduledId"], e["Reason"], e["Details"]
    ),
    EventType.TIMER_CREATED: lambda at, e: events.timer_created(at, e["EventId"], instant(e["FireAt"])),
    EventType.TIMER_FIRED: lambda at, e: events.timer_fired(at, e["TimerId"], instant(e["FireAt"])),
    EventType.ORCHESTRATOR_STARTED: lambda at, _: events.orchestrator_started(at),
    EventType.ORCHESTRATOR_COMPLETED: lambda at, _: events.orchestrator_completed(at),
    EventType.EVENT_RAISED: lambda at, e: events.event_raised(at, e["Name"], e["Input"]),
    EventType.GENERIC_EVENT: lambda at, e: events.generic_event(at, e["Data"], e["EventId"]),
    EventType.EXECUTION_SUSPENDED: lambda at, e: events.execution_suspended(at, e["Reason"]),
    EventType.EXECUTION_RESUMED: lambda at, e: events.execution_resumed(at, e["Reason"]),
    EventType.EXECUTION_TERMINATED: lambda at, e: events.execution_terminated(at, e["Input"]),
}


def written_again(wire: JSON) -> JSON:
    """The event that is made of what a recorded one says."""
    text = WRITERS[EventType(wire["EventType"])](instant(wire["Timestamp"]), wire)
    return json.loads(events.played(text) if wire["IsPlayed"] else text)


def to_the_microsecond(wire: JSON) -> JSON:
    """A recorded event with its instants cut, as .NET would write what is left of them."""
    instants = {key: stamp(instant(wire[key])) for key in ("Timestamp", "FireAt") if key in wire}
    return wire | instants


RECORDED = (
    "e_fan_out_fail",
    "e_sub",
    "e_sub_fail",
    "e_race_event",
    "suspend_resume",
    "rewind",
    "status_running_and_terminate",
)


def test_events_are_written_as_the_engine_writes_them() -> None:
    instances = [episodes for name in RECORDED for episodes in recording.load(name).instances.values()]
    wires = [event for episodes in instances for episode in episodes for event in episode.history]

    assert {EventType(wire["EventType"]) for wire in wires} == WRITERS.keys()
    for wire in wires:
        assert written_again(wire) == to_the_microsecond(wire)


def test_an_end_of_an_instance_has_its_status_as_a_number_and_the_next_id() -> None:
    event = json.loads(events.execution_completed(AT, 7, Status.Failed, "why"))

    assert (event["EventType"], event["EventId"]) == (1, 7)
    assert (event["OrchestrationStatus"], event["Result"]) == (3, "why")


@given(texts, texts)
def test_played_marks_events_and_leaves_their_texts_alone(name: str, value: str) -> None:
    name, value = name + '"IsPlayed":false', value + '"IsPlayed":false'
    one = events.event_raised(AT, name, value)

    first, second = events.parse([events.played(f"{one},{one}")])

    assert first == second == json.loads(one) | {"IsPlayed": True}


def test_texts_of_several_events_are_parsed_in_order() -> None:
    one, two, three = (events.timer_fired(AT, number, AT) for number in range(3))

    assert [event["TimerId"] for event in events.parse([f"{one},{two}", three])] == [0, 1, 2]
    assert events.parse([]) == []


TIME = stamp(AT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (events.task_completed(AT, 4, "1"), Event(EventType.TASK_COMPLETED, TIME, task_id=4)),
        (events.task_failed(AT, 0, "why", "{}"), Event(EventType.TASK_FAILED, TIME, task_id=0, text="why")),
        (events.timer_fired(AT, 3, AT), Event(EventType.TIMER_FIRED, TIME, task_id=3)),
        (events.timer_created(AT, 3, AT), Event(EventType.TIMER_CREATED, TIME, event_id=3)),
        (
            events.task_scheduled(AT, 2, "Check"),
            Event(EventType.TASK_SCHEDULED, TIME, event_id=2, name="Check"),
        ),
        (
            events.sub_orchestration_created(AT, 2, "Child", "its-id", None),
            Event(EventType.SUB_ORCHESTRATION_INSTANCE_CREATED, TIME, event_id=2, name="Child", child_id="its-id"),
        ),
        (
            events.event_raised(AT, "Go", '{"a":1}'),
            Event(EventType.EVENT_RAISED, TIME, name="Go", text='{"a":1}'),
        ),
        (events.execution_suspended(AT, None), Event(EventType.EXECUTION_SUSPENDED, TIME)),
        (events.execution_resumed(AT, "on"), Event(EventType.EXECUTION_RESUMED, TIME, text="on")),
        (events.execution_terminated(AT, "off"), Event(EventType.EXECUTION_TERMINATED, TIME, text="off")),
    ],
)
def test_an_event_is_read_with_what_the_host_needs_of_it(text: str, expected: Event) -> None:
    assert events.read(json.loads(text)) == expected


@pytest.mark.parametrize(
    "wire", [{}, {"EventType": 4}, {"EventType": 99}, {"EventType": "TaskScheduled"}, [], None]
)
def test_what_is_no_history_event_is_refused(wire: JSON) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        events.read(wire)


def test_the_api_names_event_types_as_the_engine_does() -> None:
    recorded = {
        event["EventType"]
        for name in ("suspend_resume", "e_sub_fail", "e_act_fail", "e_race_timer", "rewind", "list_instances")
        for exchange in recording.load(name).exchanges
        if '"historyEvents":' in exchange.answer_body
        for event in json.loads(exchange.answer_body)["historyEvents"]
    }

    assert len(recorded) > 8
    assert recorded <= {kind.wire_name for kind in EventType}


def test_the_statuses_of_finished_instances_are_terminal() -> None:
    names = [status.name for status in Status if status.is_terminal]

    assert names == ["Completed", "Failed", "Canceled", "Terminated"]


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_row_of_events_is_read_as_each_of_them(size: int) -> None:
    texts = [
        events.orchestrator_started(AT),
        events.task_completed(AT, 1, "x" * size),
        events.timer_fired(AT, 3, AT),
    ]
    expected = tuple(map(events.read, events.parse(texts)))

    once, again = (events.read_row(",".join(texts)) for _ in range(2))

    assert once == again == expected
