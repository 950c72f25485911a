from datetime import UTC, datetime, timedelta

import pytest

from durable_host.engine.actions import (
    Action,
    CallActivity,
    CallSubOrchestrator,
    ContinueAsNew,
    CreateTimer,
    RetryPolicy,
    Unsupported,
    WaitForExternalEvent,
    WhenAll,
    WhenAny,
)
from durable_host.engine.events import Event, EventType
from durable_host.engine.play import Fatal, Play
from durable_host.engine.registry import Options, Registry, missing_function
from durable_host.values import stamp

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
REGISTRY = Registry(("Parent", "Child"), ("Check", "Alert"))
EPISODE = Event(EventType.ORCHESTRATOR_STARTED, stamp(NOW))
START = Event(EventType.EXECUTION_STARTED, stamp(NOW))
TIMER = CreateTimer(LATER, is_canceled=False)


def activity(name: str, retry: RetryPolicy | None = None) -> CallActivity:
    return CallActivity(name, "1", retry)


def child(instance_id: str | None, name: str = "Child", retry: RetryPolicy | None = None) -> CallSubOrchestrator:
    return CallSubOrchestrator(name, "1", instance_id, None, retry)


def event(kind: EventType, task_id: int | None = None, name: str | None = None, text: str | None = None) -> Event:
    return Event(kind, stamp(NOW), task_id=task_id, name=name, text=text)


def done(task_id: int) -> Event:
    return event(EventType.TASK_COMPLETED, task_id)


def failed(task_id: int) -> Event:
    return event(EventType.TASK_FAILED, task_id)


def fired(task_id: int) -> Event:
    return event(EventType.TIMER_FIRED, task_id)


def raised(name: str, text: str = "null") -> Event:
    return event(EventType.EVENT_RAISED, name=name, text=text)


def play(actions: list[Action], *arrived: Event) -> Play:
    """The actions played from the instance's start through the events."""
    played = Play("me", "execution", "parent", actions, REGISTRY)
    for each in (EPISODE, START, *arrived):
        played.handle(each)
    return played


def created(played: Play) -> list[tuple[int, str]]:
    """All that exists: id, and the activity's or child's name, or "timer"."""
    decisions = played.decisions([])
    return [(number, "timer" if isinstance(each, CreateTimer) else each.name) for number, each, _ in decisions]


def test_the_next_action_exists_once_the_one_before_is_done() -> None:
    actions: list[Action] = [activity("Check"), activity("Alert")]

    assert created(play(actions)) == [(0, "Check")]
    assert created(play(actions, done(0))) == [(0, "Check"), (1, "Alert")]


def test_an_action_that_failed_counts_as_done() -> None:
    assert created(play([activity("Check"), activity("Alert")], failed(0))) == [(0, "Check"), (1, "Alert")]


def test_an_instance_is_settled_when_its_last_action_is_done() -> None:
    actions: list[Action] = [activity("Check"), TIMER]

    assert not play(actions).is_settled
    assert not play(actions, done(0)).is_settled
    assert play(actions, done(0), fired(1)).is_settled
    assert play([]).is_settled


def test_ids_count_the_parts_of_a_compound_depth_first() -> None:
    inner = WhenAll((activity("Check"), child(None)))

    played = play([WhenAny((activity("Alert"), inner, TIMER)), activity("Check")], done(0))

    assert created(played) == [(0, "Alert"), (1, "Check"), (2, "Child"), (3, "timer"), (4, "Check")]


def test_waits_take_no_id() -> None:
    played = play([WhenAny((WaitForExternalEvent("Go"), TIMER)), activity("Check")], raised("Go"))

    assert created(played) == [(0, "timer"), (1, "Check")]


def test_of_all_each_must_be_done() -> None:
    actions: list[Action] = [WhenAll((activity("Check"), activity("Alert"))), TIMER]

    assert len(created(play(actions, done(1)))) == 2
    assert len(created(play(actions, done(1), done(0)))) == 3


def test_of_all_the_last_is_the_end_whether_or_not_one_failed_before() -> None:
    # The SDK asks for the timer when the first has failed. Source: recorded, a_all_four_caught.
    actions: list[Action] = [WhenAll((activity("Check"), activity("Alert"))), TIMER]

    assert len(created(play(actions, failed(1)))) == 2
    assert not play(actions, failed(1)).is_settled
    assert created(play(actions, failed(1), done(0)))[-1] == (2, "timer")
    assert created(play(actions, failed(1), failed(0)))[-1] == (2, "timer")


@pytest.mark.parametrize("first", [done(0), failed(0), fired(1)])
def test_of_any_the_first_is_the_end_also_when_it_failed(first: Event) -> None:
    actions: list[Action] = [WhenAny((activity("Check"), TIMER)), activity("Alert")]

    assert created(play(actions, first))[-1] == (2, "Alert")


def test_a_failure_inside_ends_nothing_around_it() -> None:
    inner = WhenAll((activity("Check"), activity("Check")))
    actions: list[Action] = [WhenAll((inner, TIMER)), activity("Alert")]

    assert created(play(actions, failed(0), fired(2)))[-1] == (2, "timer")
    assert created(play(actions, failed(0), fired(2), done(1)))[-1] == (3, "Alert")


@pytest.mark.parametrize("empty", [WhenAll(()), WhenAny(())])
def test_a_compound_of_nothing_is_done_at_once(empty: Action) -> None:
    assert created(play([empty, activity("Check")])) == [(0, "Check")]
    assert play([WhenAll((empty,))]).is_settled


def test_the_loser_of_a_race_keeps_the_instance_from_ending_until_it_is_cancelled() -> None:
    def race(timer: CreateTimer) -> Play:
        return play([WhenAny((WaitForExternalEvent("Go"), timer))], raised("Go"))

    assert not race(TIMER).is_settled
    assert race(CreateTimer(LATER, is_canceled=True)).is_settled


@pytest.mark.parametrize("stray", [done(7), fired(7), failed(7), done(0), event(EventType.TASK_COMPLETED)])
def test_a_completion_that_nobody_waits_for_changes_nothing(stray: Event) -> None:
    played = play([activity("Check"), activity("Alert")], done(0), stray)

    assert created(played) == [(0, "Check"), (1, "Alert")]
    assert not played.is_settled


@pytest.mark.parametrize(
    "kind", [EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED, EventType.SUB_ORCHESTRATION_INSTANCE_FAILED]
)
def test_a_sub_orchestrations_end_lets_its_parent_go_on(kind: EventType) -> None:
    assert play([child(None), activity("Check")], event(kind, 0)).next_id == 2


# External events.


def test_an_event_matches_a_wait_in_any_letter_case() -> None:
    assert play([WaitForExternalEvent("Go")], raised("gO")).is_settled


def test_an_event_that_comes_before_its_wait_is_kept_each_for_one_wait() -> None:
    actions: list[Action] = [TIMER, WaitForExternalEvent("Go"), WaitForExternalEvent("Go")]

    assert not play(actions, raised("Go"), fired(0)).is_settled
    assert play(actions, raised("Go"), raised("Go"), fired(0)).is_settled
    assert play(actions, raised("Go"), fired(0), raised("Go")).is_settled


def test_an_event_of_another_name_does_not_end_a_wait() -> None:
    assert not play([WaitForExternalEvent("Go")], raised("Stop")).is_settled


def test_one_event_ends_one_wait() -> None:
    both = WhenAll((WaitForExternalEvent("Go"), WaitForExternalEvent("Go")))

    assert not play([both], raised("Go")).is_settled
    assert play([both], raised("Go"), raised("Go")).is_settled


def test_the_latest_wait_gets_the_event() -> None:
    # The first wait lost its race; the second is what the orchestrator waits for now.
    race = WhenAny((WaitForExternalEvent("Go"), TIMER))

    played = play([race, race, activity("Check")], fired(0), raised("Go"))

    assert created(played)[-1] == (2, "Check")


# Retries.

TWICE = RetryPolicy(2, timedelta(seconds=10))


def test_a_retry_waits_and_calls_again_under_new_ids() -> None:
    played = play([activity("Check", TWICE), activity("Alert")], failed(0), fired(1), done(2))

    assert created(played) == [(0, "Check"), (1, "timer"), (2, "Check"), (3, "Alert")]
    timer = next(each for number, each, _ in played.decisions([]) if number == 1)
    assert timer == CreateTimer(NOW + timedelta(seconds=10), is_canceled=False)


def test_after_the_last_failure_one_more_timer_fires_at_once_before_the_orchestrator_goes_on() -> None:
    actions: list[Action] = [activity("Check", TWICE), activity("Alert")]
    failures = failed(0), fired(1), failed(2)

    waiting = play(actions, *failures)
    over = play(actions, *failures, fired(3))

    assert created(waiting) == [(0, "Check"), (1, "timer"), (2, "Check"), (3, "timer")]
    assert list(waiting.decisions([]))[-1][1] == CreateTimer(NOW, is_canceled=False)
    assert created(over)[-1] == (4, "Alert")


def test_a_call_that_failed_for_good_ends_an_all_once_the_others_have() -> None:
    once = RetryPolicy(1, timedelta(seconds=10))
    actions: list[Action] = [WhenAll((activity("Check", once), activity("Alert"))), TIMER]

    before, after = play(actions, failed(0), fired(2)), play(actions, failed(0), fired(2), done(1))

    assert created(before) == [(0, "Check"), (1, "Alert"), (2, "timer")]
    assert created(after) == [(0, "Check"), (1, "Alert"), (2, "timer"), (3, "timer")]


def test_a_retry_that_goes_on_beside_a_caught_failure_is_mixed_up_with_what_is_asked_for_next() -> None:
    both = WhenAll((activity("Check", TWICE), activity("Alert")))

    caught = play([both, activity("Alert")], failed(1), failed(0))
    waiting = play([both], failed(1), failed(0))
    through = play([both, activity("Alert")], failed(1), failed(0), fired(2), done(3))

    assert (caught.is_mixed_up, waiting.is_mixed_up, through.is_mixed_up) == (True, False, False)


def test_more_actions_than_host_json_allows_fail_the_instance() -> None:
    few = Registry((), ("Check",), Options(max_actions=2))
    played = Play("me", "execution", None, [WhenAll((activity("Check"),) * 3)], few)
    played.handle(EPISODE)

    with pytest.raises(Fatal, match="more than 2 actions, which maxOrchestrationActions"):
        played.handle(START)


def test_each_attempt_of_a_sub_orchestration_has_an_id_of_its_own() -> None:
    failure = event(EventType.SUB_ORCHESTRATION_INSTANCE_FAILED, 0)

    played = play([child(None, retry=TWICE)], failure, fired(1))

    assert [child_id for _, _, child_id in played.decisions([])] == ["execution:0", "", "execution:2"]


# What cannot be called.


@pytest.mark.parametrize("instance_id", [None, "", "  "])
def test_a_sub_orchestration_without_an_id_gets_one_of_its_parents_execution(instance_id: str | None) -> None:
    assert [each[2] for each in play([child(instance_id)]).decisions([])] == ["execution:0"]


def test_a_sub_orchestration_keeps_the_id_that_it_is_given() -> None:
    assert [each[2] for each in play([child("mine")]).decisions([])] == ["mine"]


@pytest.mark.parametrize("instance_id", ["me", "parent", "@entity@key"])
def test_a_sub_orchestration_cannot_have_its_relatives_id_or_an_entitys(instance_id: str) -> None:
    with pytest.raises(Fatal, match=f"^A sub-orchestration cannot have the instance id '{instance_id}': "):
        play([child(instance_id)])


def test_names_are_found_in_any_letter_case() -> None:
    assert created(play([activity("CHECK"), child(None, "child")], done(0))) == [(0, "CHECK"), (1, "child")]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (
            activity("Missing"),
            "The function 'Missing' doesn't exist, is disabled, or is not an activity function. Additional info: "
            "The following are the known activity functions: 'Check', 'Alert'.",
        ),
        (
            child(None, "Check"),
            "The function 'Check' doesn't exist, is disabled, or is not an orchestrator function. Additional "
            "info: The following are the known orchestrator functions: 'Parent', 'Child'.",
        ),
        (Unsupported("call_http"), "call_http is not supported by the local host."),
    ],
)
def test_a_call_of_what_is_not_there_fails_the_instance(action: Action, text: str) -> None:
    with pytest.raises(Fatal) as failure:
        play([action])

    assert failure.value.text == text


def test_an_app_without_such_functions_is_told_so() -> None:
    assert missing_function("X", "activity", []).endswith("No activity functions are currently registered!")


# What earlier episodes have done.


def test_what_the_history_has_is_not_decided_again() -> None:
    scheduled = Event(EventType.TASK_SCHEDULED, stamp(NOW), event_id=0, name="Check")
    raced = Event(EventType.TIMER_CREATED, stamp(NOW), event_id=1)
    actions: list[Action] = [WhenAny((activity("Check"), TIMER)), activity("Alert")]

    played = play(actions, scheduled, raced, done(0))

    assert [number for number, _, _ in played.decisions([EPISODE, START, scheduled, raced])] == [2]


@pytest.mark.parametrize(
    "recorded",
    [
        Event(EventType.TASK_SCHEDULED, stamp(NOW), event_id=0, name="Alert"),
        Event(EventType.TIMER_CREATED, stamp(NOW), event_id=0),
        Event(EventType.TASK_SCHEDULED, stamp(NOW), event_id=1, name="Alert"),
    ],
)
def test_a_replay_that_leaves_its_history_fails_the_instance(recorded: Event) -> None:
    with pytest.raises(Fatal, match=r"^Non-Deterministic workflow detected: "):
        play([activity("Check")], recorded)


# Suspend, resume, terminate, continue as new.

SUSPENDED = event(EventType.EXECUTION_SUSPENDED, text="hold")
RESUMED = event(EventType.EXECUTION_RESUMED, text="go on")
TERMINATED = event(EventType.EXECUTION_TERMINATED, text="enough")


def test_what_comes_while_suspended_takes_effect_on_resume_in_its_order() -> None:
    actions: list[Action] = [activity("Check"), WaitForExternalEvent("Go"), activity("Alert")]

    held = play(actions, SUSPENDED, raised("Go"), done(0))
    resumed = play(actions, SUSPENDED, raised("Go"), done(0), RESUMED)

    assert (held.suspended, held.reason, created(held)) == (True, "hold", [(0, "Check")])
    assert (resumed.suspended, resumed.reason) == (False, "go on")
    assert created(resumed) == [(0, "Check"), (1, "Alert")]


def test_a_suspension_that_was_held_back_holds_again() -> None:
    played = play([activity("Check"), activity("Alert")], SUSPENDED, SUSPENDED, done(0), RESUMED)

    assert (played.suspended, created(played)) == (True, [(0, "Check")])


def test_a_suspended_instance_can_be_terminated() -> None:
    played = play([activity("Check")], SUSPENDED, TERMINATED)

    assert (played.terminated, played.reason) == (True, "enough")


def test_after_terminate_nothing_takes_effect() -> None:
    assert created(play([activity("Check"), activity("Alert")], TERMINATED, done(0))) == [(0, "Check")]


def test_events_after_continue_as_new_are_carried_over_and_earlier_ones_are_not() -> None:
    actions: list[Action] = [WaitForExternalEvent("Go"), ContinueAsNew("1")]

    played = play(actions, raised("Early"), raised("Go", "1"), raised("Go", "2"), raised("Other"))

    assert played.continued == ContinueAsNew("1")
    assert [each.text for each in played.carried] == ["2", "null"]
    assert played.is_settled
