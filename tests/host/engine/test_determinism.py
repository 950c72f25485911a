from datetime import UTC, datetime

import pytest

from durable_host.engine import events
from durable_host.engine.actions import CallActivity, CallSubOrchestrator, CreateTimer
from durable_host.engine.determinism import Scheduled, mismatch
from durable_host.engine.events import Event

AT = datetime(2026, 1, 1, tzinfo=UTC)
CHECK = CallActivity("Check", "1", None)
CHILD = CallSubOrchestrator("Child", "1", None, None, None)
TIMER = CreateTimer(AT, is_canceled=False)
CHILD_BEFORE = "a sub-orchestration task with sequence ID 3 and name 'Child' (version '', instance ID 'child-id'),"
UNSCHEDULED = "but the current replay execution hasn't (yet?) scheduled this task."
BEFORE = "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled"
AFTER = "Was a change made to the orchestrator code after this instance had already started running?"


def recorded(text: str) -> Event:
    return events.read(*events.parse([text]))


SCHEDULED = recorded(events.task_scheduled(AT, 3, "Check"))
CREATED = recorded(events.sub_orchestration_created(AT, 3, "Child", "child-id", None))
TIMED = recorded(events.timer_created(AT, 3, AT))


@pytest.mark.parametrize(
    ("event", "action"),
    [
        (SCHEDULED, CHECK),
        (SCHEDULED, CallActivity("CHECK", "other input", None)),
        (CREATED, CHILD),
        (CREATED, CallSubOrchestrator("child", "other input", "other-id", "2", None)),
        (TIMED, TIMER),
        (TIMED, CreateTimer(AT.replace(year=2030), is_canceled=True)),
    ],
)
def test_names_in_any_case_other_inputs_and_due_times_are_no_change(event: Event, action: Scheduled) -> None:
    assert mismatch(event, action) is None


@pytest.mark.parametrize(
    ("event", "action", "problem"),
    [
        (
            SCHEDULED,
            CallActivity("Alert", "1", None),
            "an activity task with sequence number 3 named 'Check', but the current orchestration replay instead "
            # Two blanks, as recorded.
            "scheduled an activity task named 'Alert' with this sequence number. ",
        ),
        (
            SCHEDULED,
            TIMER,
            "an activity task with sequence number 3 named 'Check', but the current orchestration replay instead "
            "produced a CreateTimerOrchestratorAction action with this sequence number.",
        ),
        (
            SCHEDULED,
            None,
            f"an activity task with sequence ID 3 and name 'Check' (version ''), {UNSCHEDULED}",
        ),
        (
            CREATED,
            CallSubOrchestrator("Other", "1", None, None, None),
            f"{CHILD_BEFORE} but the current orchestration replay instead scheduled a sub-orchestration task with "
            "name 'Other' at this sequence number.",
        ),
        (
            CREATED,
            CHECK,
            f"{CHILD_BEFORE} but the current orchestration replay instead produced a "
            "ScheduleTaskOrchestratorAction action with this sequence number.",
        ),
        (CREATED, None, f"{CHILD_BEFORE} {UNSCHEDULED}"),
        (
            TIMED,
            CHILD,
            "a timer task with sequence number 3 named but the current orchestration replay instead produced a "
            "CreateSubOrchestrationAction action with this sequence number.",
        ),
        (TIMED, None, f"a timer task with sequence number 3 {UNSCHEDULED}"),
    ],
)
def test_a_replay_that_does_other_things_is_told_in_the_engines_words(
    event: Event, action: Scheduled | None, problem: str
) -> None:
    assert mismatch(event, action) == f"{BEFORE} {problem} {AFTER}"


def test_an_event_that_was_sent_cannot_be_repeated_here() -> None:
    sent = Event(events.EventType.EVENT_SENT, "2026-01-01T00:00:00Z", event_id=3, name="Go")

    problem = mismatch(sent, None)

    assert problem == f"{BEFORE} an event with sequence number 3 named 'Go', {UNSCHEDULED} {AFTER}"
