import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_host.engine import events
from durable_host.engine.actions import (
    Action,
    Answer,
    CallActivity,
    CallSubOrchestrator,
    ContinueAsNew,
    CreateTimer,
    RetryPolicy,
    WaitForExternalEvent,
    WhenAll,
    WhenAny,
)
from durable_host.engine.episode import (
    ActivityCall,
    ChildStart,
    Decision,
    Instance,
    Timer,
    decide,
    open_episode,
    orchestrator_missing,
)
from durable_host.engine.events import EventType, Parent, Status
from durable_host.engine.registry import Registry
from durable_host.values import JSON, instant, stamp

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=1)
REGISTRY = Registry(("Main", "Child"), ("Check", "Alert"))
PARENT = Parent("Top", "top-id", "top-execution", 4, None)
INSTANCE = Instance("an-id", "Main", "execution", '{"a":1}', "v1", None)
CHILD = Instance("an-id", "Main", "execution", None, None, PARENT)
CHECK = CallActivity("Check", '"x"', None)
WAIT = WaitForExternalEvent("Go")


def started(instance: Instance = INSTANCE) -> str:
    return events.execution_started(
        BEFORE,
        instance_id=instance.id,
        execution_id=instance.execution_id,
        name=instance.name,
        input_text=instance.input_text,
        generation=0,
    )


def first(answer: Answer, instance: Instance = INSTANCE, *more: str) -> Decision:
    """What the first episode decides; `more` are messages that come with the start."""
    opening = open_episode(instance, [], [started(instance), *more], NOW)
    return decide(instance, opening, answer, REGISTRY)


def second(before: Answer, answer: Answer, *messages: str, instance: Instance = INSTANCE) -> Decision:
    """What the episode after the first decides."""
    opening = open_episode(instance, first(before, instance).history, messages, NOW)
    return decide(instance, opening, answer, REGISTRY)


def answer(*actions: Action, **more: Any) -> Answer:
    return Answer(is_done=False, actions=actions, **more)


def done(*actions: Action, output: str | None = None) -> Answer:
    return Answer(is_done=True, actions=actions, output=output)


def written(decision: Decision) -> list[tuple[str, int, bool]]:
    """The events that it adds to the history: type, id, and whether they are played."""
    wires = events.parse(decision.history)
    return [(EventType(w["EventType"]).wire_name, w["EventId"], w["IsPlayed"]) for w in wires]


def parsed(text: str | None) -> JSON:
    assert text is not None
    return json.loads(text)


# The context.


def test_the_first_context_holds_the_start_and_is_no_replay() -> None:
    context = parsed(open_episode(INSTANCE, [], [started()], NOW).context)

    history = context.pop("history")
    assert [(each["EventType"], each["IsPlayed"]) for each in history] == [(12, False), (0, False)]
    assert context == {
        "input": {"a": 1},
        "instanceId": "an-id",
        "isReplaying": False,
        "parentInstanceId": None,
        "sourceInstanceId": None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 3,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
    }


def test_a_later_context_replays_the_history_and_ends_with_what_arrived() -> None:
    history = first(answer(CHECK)).history

    opening = open_episode(INSTANCE, history, [events.task_completed(NOW, 0, "1")], NOW)

    context = parsed(opening.context)
    assert context["isReplaying"] is True
    assert [each["EventType"] for each in context["history"]] == [12, 0, 4, 13, 12, 5]
    assert [each["IsPlayed"] for each in context["history"]] == [False, True, False, False, False, False]


def test_an_instance_of_a_parent_knows_it_and_odd_ids_are_escaped() -> None:
    odd = Instance('a"ü', "Main", "execution", None, None, Parent("Top", 'p"ü', "e", 0, None))

    context = parsed(open_episode(odd, [], [started(odd)], NOW).context)

    assert (context["instanceId"], context["parentInstanceId"], context["input"]) == ('a"ü', 'p"ü', None)


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        ('{"a": 1.0, "b": "1e5"}', '{"a": 1.0, "b": "1e5"}'),
        ('{"a": 1e400, "b": -1E+400}', '{"a":"Infinity","b":"-Infinity"}'),
    ],
)
def test_an_input_is_given_as_it_was_stored_but_for_numbers_too_large_to_be_one(stored: str, given: str) -> None:
    instance = Instance("an-id", "Main", "execution", stored, None, None)

    context = open_episode(instance, [], [started(instance)], NOW).context

    assert f'"input":{given},"instanceId"' in context


# Waiting.


def test_new_calls_are_written_in_the_order_of_their_ids_with_the_work_behind_them() -> None:
    child = CallSubOrchestrator("Child", '"y"', None, "v2", None)
    fire_at = NOW + timedelta(seconds=3)

    decision = first(answer(WhenAny((CHECK, CreateTimer(fire_at, is_canceled=False), child))))

    assert written(decision) == [
        ("OrchestratorStarted", -1, False),
        ("ExecutionStarted", -1, True),
        ("TaskScheduled", 0, False),
        ("TimerCreated", 1, False),
        ("SubOrchestrationInstanceCreated", 2, False),
        ("OrchestratorCompleted", -1, False),
    ]
    assert decision.activities == [ActivityCall(0, "Check", '"x"')]
    assert decision.timers == [Timer(1, fire_at)]
    parent = Parent("Main", "an-id", "execution", 2, "v1")
    assert decision.children == [ChildStart("execution:2", "Child", r'"\"y\""', "v2", parent)]
    assert decision.status is Status.Running


def test_the_times_of_new_events_tell_their_order_and_the_last_is_the_instances() -> None:
    decision = first(answer(WhenAny((CHECK, CHECK))))

    wires = events.parse(decision.history)
    one, other, closed = (instant(wire["Timestamp"]) for wire in wires[-3:])
    assert NOW < one < other == closed == decision.last_at
    assert decision.last_at - NOW < timedelta(milliseconds=1)


def test_a_child_without_an_input_gets_the_text_null() -> None:
    decision = first(answer(CallSubOrchestrator("Child", None, None, None, None)))

    assert decision.children[0].input_text == '"null"'


def test_what_an_earlier_episode_scheduled_is_not_scheduled_again() -> None:
    calls = answer(CHECK, WAIT)

    decision = second(calls, calls, events.task_completed(NOW, 0, "1"))

    assert written(decision) == [
        ("OrchestratorStarted", -1, False),
        ("TaskCompleted", -1, True),
        ("OrchestratorCompleted", -1, False),
    ]
    assert decision.activities == []


def test_each_episode_replaces_the_custom_status() -> None:
    assert first(answer(WAIT, custom_status='"checking"')).custom_status == '"checking"'
    assert second(answer(WAIT, custom_status='"checking"'), answer(WAIT)).custom_status is None


# The end.


def test_a_finished_orchestrator_completes_with_its_output_and_the_next_id() -> None:
    decision = second(answer(CHECK), done(CHECK, output='"fine"'), events.task_completed(NOW, 0, "1"))

    assert (decision.status, decision.output) == (Status.Completed, '"fine"')
    assert written(decision)[-2:] == [("ExecutionCompleted", 1, False), ("OrchestratorCompleted", -1, False)]


def test_an_orchestrator_that_returned_runs_on_until_no_task_is_open() -> None:
    race = WhenAny((WAIT, CHECK))
    raised = events.event_raised(NOW, "Go", "1")

    decision = second(answer(race), done(race, output='"fine"'), raised)

    assert (decision.status, decision.output) == (Status.Running, None)


def test_an_orchestrator_that_raised_fails_once_no_task_is_open() -> None:
    race = WhenAny((WAIT, CHECK))
    raised = events.event_raised(NOW, "Go", "1")
    broken = answer(race, error="'phone'")

    waiting = second(answer(race), broken, raised)
    over = second(answer(race), broken, raised, events.task_completed(NOW, 0, "1"))

    assert waiting.status is Status.Running
    assert (over.status, over.output) == (Status.Failed, "Orchestrator function 'Main' failed: 'phone'")


def test_a_function_that_is_gone_fails_its_instances_and_says_so_whatever_they_have_done() -> None:
    decision = second(answer(CHECK), orchestrator_missing("Main", Registry(("Other",), ())))

    assert decision.status is Status.Failed
    assert decision.output == (
        "Orchestrator function 'Main' failed: The function 'Main' doesn't exist, is disabled, or is not an "
        "orchestrator function. Additional info: The following are the known orchestrator functions: 'Other'."
    )


def test_a_failure_without_the_sdks_state_is_told_whatever_the_history_has() -> None:
    decision = second(answer(CHECK), answer(error="One or more errors occurred. (...)", raw=True))

    assert decision.output == "Orchestrator function 'Main' failed: One or more errors occurred. (...)"


def test_another_order_of_calls_fails_the_instance_without_our_prefix_and_schedules_nothing() -> None:
    timer = CreateTimer(NOW, is_canceled=False)

    decision = second(answer(CHECK), answer(WhenAny((timer, CHECK))))

    assert decision.status is Status.Failed
    assert decision.output is not None
    assert decision.output.startswith("Non-Deterministic workflow detected: ")
    assert (decision.activities, decision.timers, decision.children) == ([], [], [])


def test_a_call_of_an_unknown_activity_fails_the_instance_and_schedules_nothing() -> None:
    decision = first(answer(WhenAny((CHECK, CallActivity("Missing", "1", None)))))

    assert decision.status is Status.Failed
    assert decision.output is not None
    assert decision.output.startswith("Orchestrator function 'Main' failed: The function 'Missing' doesn't exist")
    assert decision.activities == []


@pytest.mark.parametrize(("characters", "failed"), [(8701, False), (8702, True)])
def test_a_custom_status_above_16_kb_fails_the_instance_before_anything_is_done(
    characters: int, failed: bool
) -> None:
    # With its quotes, two bytes a character: 17 KB are 8,704 characters.
    status = json.dumps("x" * characters)

    decision = first(answer(CHECK, custom_status=status))

    assert (decision.status is Status.Failed) is failed
    assert decision.custom_status == (None if failed else status)
    assert len(decision.activities) == (0 if failed else 1)
    if failed:
        assert decision.output == (
            "Orchestrator function 'Main' failed: The UTF-16 size of the JSON-serialized payload must not exceed "
            "16 KB. The current payload size is 17 KB."
        )


# Suspend and terminate.


@pytest.mark.parametrize("reason", ["hold", None])
def test_a_suspended_instance_shows_its_reason_and_schedules_nothing(reason: str | None) -> None:
    suspended = events.execution_suspended(NOW, reason)
    raised = events.event_raised(NOW, "Go", "1")

    decision = second(answer(WAIT), done(WAIT, CHECK, output="1"), suspended, raised)

    assert (decision.status, decision.output, decision.activities) == (Status.Suspended, reason, [])


def test_a_resumed_instance_goes_on_with_what_came_meanwhile() -> None:
    messages = (
        events.execution_suspended(NOW, "hold"),
        events.event_raised(NOW, "Go", "1"),
        events.execution_resumed(NOW, "go on"),
    )

    decision = second(answer(WAIT), answer(WAIT, CHECK), *messages)

    assert (decision.status, decision.output) == (Status.Running, "go on")
    assert decision.activities == [ActivityCall(0, "Check", '"x"')]


@pytest.mark.parametrize("reason", ["enough", None])
def test_a_terminated_instance_ends_with_the_reason_whatever_it_answers(reason: str | None) -> None:
    terminated = events.execution_terminated(NOW, reason)

    decision = second(answer(CHECK), answer(CHECK, error="boom"), terminated)

    assert (decision.status, decision.output) == (Status.Terminated, reason)


def test_an_instance_terminated_at_its_start_has_still_made_its_first_calls() -> None:
    decision = first(answer(CHECK), INSTANCE, events.execution_terminated(NOW, "enough"))

    assert decision.status is Status.Terminated
    assert decision.activities == [ActivityCall(0, "Check", '"x"')]


# Parents.


def test_a_child_that_completes_tells_its_parent_the_output() -> None:
    message = parsed(first(done(output='"fine"'), CHILD).for_parent)

    assert (message["EventType"], message["TaskScheduledId"], message["Result"]) == (8, 4, '"fine"')


def test_a_child_that_fails_tells_its_parent_why() -> None:
    message = parsed(first(answer(error="boom"), CHILD).for_parent)

    assert (message["EventType"], message["TaskScheduledId"]) == (9, 4)
    assert message["Reason"] == "Orchestrator function 'Main' failed: boom"
    assert message["Details"].startswith("Message: boom, StackTrace:    at Microsoft.Azure.WebJobs.Extensions.")


def test_a_child_that_is_terminated_tells_its_parent_the_reason() -> None:
    terminated = events.execution_terminated(NOW, "enough")

    message = parsed(first(answer(WAIT), CHILD, terminated).for_parent)

    assert (message["EventType"], message["Reason"], message["Details"]) == (9, "enough", None)


def test_an_instance_without_a_parent_tells_nobody() -> None:
    assert first(done()).for_parent is None


# A retry beside a caught failure.


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_retry_that_is_mixed_up_with_what_is_asked_for_next_is_told(order: tuple[int, int]) -> None:
    twice = RetryPolicy(2, timedelta(seconds=1))
    both = WhenAll((CallActivity("Check", '"x"', twice), CHECK))
    failures = [events.task_failed(NOW, number, "boom", "") for number in order]

    caught, waiting = (second(answer(both), answer(*actions), *failures) for actions in ((both, CHECK), (both,)))

    assert waiting.warnings == []
    assert caught.warnings == [
        "an-id: Main caught a failure in a task_all while a retry in it went on. What it asked for next gets the "
        "retry's result, here as on Azure: wait for the retry in a try of its own."
    ]


# Continue as new.


def test_an_instance_that_continues_as_new_starts_over_with_the_new_input() -> None:
    decision = first(done(ContinueAsNew("2")), CHILD)

    generation = decision.next_generation
    assert generation is not None
    assert decision.status is Status.Running
    assert len(generation.execution_id) == 32
    assert generation.input_text == '"2"'
    start, closed = events.parse([generation.opening])
    assert (start["Input"], start["Generation"], start["Version"]) == ('"2"', None, None)
    assert start["ParentInstance"]["OrchestrationInstance"]["InstanceId"] == "top-id"
    assert start["OrchestrationInstance"] == {"InstanceId": "an-id", "ExecutionId": generation.execution_id}
    # Recorded: the first episode of such a generation finds itself closed already.
    assert closed["EventType"] == EventType.ORCHESTRATOR_COMPLETED


def test_continuing_as_new_without_an_input_starts_over_without_one() -> None:
    generation = first(done(ContinueAsNew(None))).next_generation

    assert generation is not None
    assert generation.input_text is None


def test_events_that_came_after_the_last_wait_go_to_the_new_generation() -> None:
    late = datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC)
    messages = events.event_raised(NOW, "Go", "1"), events.event_raised(late, "Go", '{"b":2}')

    decision = second(answer(WAIT), done(WAIT, ContinueAsNew("2")), *messages)

    assert decision.next_generation is not None
    _, carried, _ = events.parse([decision.next_generation.opening])
    assert (carried["Name"], carried["Input"], carried["IsPlayed"]) == ("Go", '{"b":2}', True)
    assert carried["Timestamp"] == stamp(late)


def test_a_suspend_behind_the_last_wait_holds_the_new_generation_back() -> None:
    raised, suspended = events.event_raised(NOW, "Go", "1"), events.execution_suspended(NOW, "hold")
    held = second(answer(WAIT), done(WAIT, ContinueAsNew("2")), raised, suspended)

    assert (held.status, held.output, held.next_generation) == (Status.Suspended, "hold", None)


def test_an_open_task_keeps_an_instance_from_continuing_as_new() -> None:
    race = WhenAny((WAIT, CHECK))

    decision = second(answer(race), done(race, ContinueAsNew("2")), events.event_raised(NOW, "Go", "1"))

    assert (decision.next_generation, decision.status) == (None, Status.Running)


def test_an_answer_that_is_not_done_and_waits_for_nothing_leaves_the_instance_running() -> None:
    assert first(answer()).status is Status.Running
