import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_host.engine.actions import (
    Action,
    Answer,
    CallActivity,
    CallSubOrchestrator,
    ContinueAsNew,
    CreateTimer,
    RetryPolicy,
    Unsupported,
    WaitForExternalEvent,
    WhenAll,
    WhenAny,
    parse_answer,
    parse_failure,
)
from durable_host.errors import FunctionFailed, ProtocolError
from tests.golden_replay import recording

JSON = Any
MARKER = "\n\n$OutOfProcData$:"
ACTIVITY = {"actionType": 0, "functionName": "Check", "input": '"octo/cat"'}
RETRY = {"firstRetryIntervalInMilliseconds": 2000, "maxNumberOfAttempts": 3}
CHILD = {"actionType": 2, "functionName": "Child", "input": "null", "instanceId": None, "version": None}


def state(*actions: JSON, **more: JSON) -> str:
    return json.dumps({"isDone": False, "schemaVersion": 2, "actions": [list(actions)], **more})


def nested(depth: int) -> JSON:
    """An activity in so many tasks around it."""
    action: JSON = ACTIVITY
    for _ in range(depth):
        action = {"actionType": 12, "compoundActions": [action]}
    return action


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (ACTIVITY, CallActivity("Check", '"octo/cat"', None)),
        (
            ACTIVITY | {"actionType": 1, "retryOptions": RETRY},
            CallActivity("Check", '"octo/cat"', RetryPolicy(3, timedelta(seconds=2))),
        ),
        (CHILD, CallSubOrchestrator("Child", "null", None, None, None)),
        (
            CHILD | {"actionType": 3, "instanceId": "mine", "version": "2", "retryOptions": RETRY},
            CallSubOrchestrator("Child", "null", "mine", "2", RetryPolicy(3, timedelta(seconds=2))),
        ),
        ({"actionType": 4, "input": "3"}, ContinueAsNew("3")),
        (
            {"actionType": 5, "fireAt": "2026-01-01T12:00:00.123456Z", "isCanceled": True},
            CreateTimer(datetime(2026, 1, 1, 12, 0, 0, 123456, UTC), is_canceled=True),
        ),
        (
            {"actionType": 6, "externalEventName": "Go", "reason": "ExternalEvent"},
            WaitForExternalEvent("Go"),
        ),
        (
            {
                "actionType": 11,
                "compoundActions": [ACTIVITY, {"actionType": 12, "compoundActions": [CHILD]}],
            },
            WhenAny(
                (
                    CallActivity("Check", '"octo/cat"', None),
                    WhenAll((CallSubOrchestrator("Child", "null", None, None, None),)),
                )
            ),
        ),
        ({"actionType": 7, "instanceId": "@counter@a"}, Unsupported("call_entity")),
        ({"actionType": 8, "httpRequest": {}}, Unsupported("call_http")),
        ({"actionType": 9, "instanceId": "@counter@a"}, Unsupported("signal_entity")),
        ({"actionType": 10, "instanceId": "@counter@a"}, Unsupported("signal_entity")),
    ],
)
def test_each_kind_of_action_is_understood(action: JSON, expected: Action) -> None:
    assert parse_answer(state(action)).actions == (expected,)


def test_an_answer_of_an_orchestrator_that_waits_says_nothing_else() -> None:
    assert parse_answer(state()) == Answer(is_done=False, actions=())


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (0, "0"), ("", '""'), ({"a": "ü"}, '{"a":"ü"}'), (1.0, "1.0")]
)
def test_output_and_custom_status_are_kept_as_compact_json_also_when_falsy(value: JSON, text: str) -> None:
    answer = parse_answer(state(isDone=True, output=value, customStatus=value))

    assert (answer.is_done, answer.output, answer.custom_status) == (True, text, text)


@pytest.mark.parametrize("error", [None, ""])
def test_an_empty_error_is_none(error: str | None) -> None:
    assert parse_answer(state(error=error)).error is None


@pytest.mark.parametrize(
    "name", ["e_fan_out", "e_retry_success", "e_race_event", "e_sub_id", "e_long_timer", "e_eternal"]
)
def test_every_recorded_answer_is_understood(name: str) -> None:
    episodes = [each for instance in recording.load(name).instances.values() for each in instance]

    answers = [parse_answer(json.dumps(each.outcome["out"])) for each in episodes]

    assert [len(answer.actions) for answer in answers] == [
        len(each.outcome["out"]["actions"][0]) for each in episodes
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "null",
        "5",
        "{}",
        '{"isDone": true}',
        '{"isDone": true, "actions": []}',
        '{"isDone": true, "actions": [[], []]}',
        '{"isDone": true, "actions": 5}',
        state(5),
        state({"actionType": 99}),
        state({"actionType": 5, "fireAt": "tomorrow", "isCanceled": False}),
        state(ACTIVITY | {"functionName": 5}),
        state(ACTIVITY | {"input": ["octo/cat"]}),
        state(CHILD | {"instanceId": 5}),
        state(CHILD | {"version": {"major": 1}}),
        state({"actionType": 4, "input": 3}),
        state({"actionType": 5, "fireAt": "2026-01-01T12:00:00", "isCanceled": False}),
        state({"actionType": 5, "fireAt": "9999-12-31T23:59:59-12:00", "isCanceled": False}),
        state(nested(101)),
        state({"actionType": 6, "externalEventName": 5}),
        state(ACTIVITY | {"retryOptions": RETRY | {"firstRetryIntervalInMilliseconds": 10**20}}),
        state(ACTIVITY | {"retryOptions": RETRY | {"maxNumberOfAttempts": "many"}}),
        state(error=5),
        "[" * 100_000,
    ],
)
def test_what_is_not_the_sdks_answer_is_refused_and_shown_in_part(text: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        parse_answer(text)

    message = str(refusal.value)
    assert message.startswith(f"expected the JSON of an orchestrator's state, found {text[:80]!r}")
    assert len(message) < 400


def test_texts_that_the_hub_cannot_hold_are_mended() -> None:
    answer = parse_answer(state(CHILD | {"functionName": "a\ud800", "instanceId": "b\udc80"}, error="c\udfff"))

    assert answer.actions == (CallSubOrchestrator("a\ufffd", "null", "b\ufffd", None, None),)
    assert answer.error == "c\ufffd"


def test_the_answer_of_an_orchestrator_that_raised_stands_in_the_exceptions_text() -> None:
    text = "'phone'" + MARKER + state(ACTIVITY, error="'phone'", customStatus="checking")

    answer = parse_failure(FunctionFailed("Exception", text))

    assert answer == Answer(
        is_done=False,
        actions=(CallActivity("Check", '"octo/cat"', None),),
        custom_status='"checking"',
        error="'phone'",
    )


@pytest.mark.parametrize("message", [f"a{MARKER}b", f"a{MARKER}{{}}", f"a{MARKER}{state(error='not this')}"])
def test_a_marker_in_the_users_own_text_does_not_mislead(message: str) -> None:
    text = f"{message}{MARKER}{state(error=message)}"

    assert parse_failure(FunctionFailed("Exception", text)).error == message


@pytest.mark.parametrize("message", ["no marker", f"a{MARKER}b", f"a{MARKER}{'[' * 100_000}", f"{MARKER}{MARKER}"])
def test_without_a_state_the_workers_raw_text_is_the_error(message: str) -> None:
    answer = parse_failure(FunctionFailed("AttributeError", message, "  File X\n"))

    assert answer == Answer(
        is_done=False,
        actions=(),
        error=(
            f"One or more errors occurred. (Result: Failure\nException: AttributeError: {message}\n"
            "Stack:   File X\n)"
        ),
        raw=True,
    )


def test_the_raw_text_is_mended_for_the_hub_too() -> None:
    answer = parse_failure(FunctionFailed("OSError", "no file \udcff"))

    assert answer.error is not None
    assert "no file \ufffd" in answer.error


@pytest.mark.parametrize(
    ("given_ms", "waited"), [(2000, timedelta(seconds=2)), (10**12, timedelta(days=6)), (-(10**12), timedelta(0))]
)
def test_the_wait_between_attempts_is_as_given_but_never_over_six_days_or_negative(
    given_ms: int, waited: timedelta
) -> None:
    options = {"firstRetryIntervalInMilliseconds": given_ms, "maxNumberOfAttempts": "3"}

    (action,) = parse_answer(state(ACTIVITY | {"actionType": 1, "retryOptions": options})).actions

    assert action == CallActivity("Check", '"octo/cat"', RetryPolicy(3, waited))
