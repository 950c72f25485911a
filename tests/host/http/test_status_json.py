import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from durable_host.engine import events
from durable_host.engine.events import Status
from durable_host.http.status_json import history_json, json_or_text, status_json
from durable_host.hub.records import Record
from tests.golden_replay import recording

JSON = Any
AT = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
START = events.execution_started(
    AT, instance_id="an-id", execution_id="e", name="Main", input_text='{"a": 1}', generation=0
)


RECORD = Record(
    id="an-id",
    name="Main",
    execution_id="e",
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


def shown(*texts: str, show_input: bool = True, show_outputs: bool = True) -> list[JSON]:
    return history_json(events.parse(texts), show_input, show_outputs)


# Stored values.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("", ""),
        ("because I said", "because I said"),
        ("5", 5),
        ('{"a": 1.0}', {"a": 1.0}),
        ('"2024-01-02T03:04:05Z"', "2024-01-02T03:04:05Z"),
        ("12345678901234567890", 12345678901234567890),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_stored_text_is_shown_parsed_if_it_is_json_else_as_it_is(text: str | None, value: JSON) -> None:
    assert json_or_text(text) == value


# Statuses.


def test_a_status_has_the_recorded_keys_in_their_order() -> None:
    (recorded,) = (
        json.loads(each.answer_body)
        for each in recording.load("e_hello").exchanges
        if '"historyEvents":' in each.answer_body
    )

    assert list(status_json(RECORD, history=[])) == list(recorded)


def test_a_status_shows_whole_seconds() -> None:
    status = status_json(replace(RECORD, updated_at=AT.replace(second=59, microsecond=999_999)))

    assert (status["createdTime"], status["lastUpdatedTime"]) == ("2026-01-02T03:04:05Z", "2026-01-02T03:04:59Z")


def test_a_status_shows_no_history_unless_it_is_given_one() -> None:
    assert "historyEvents" not in status_json(RECORD)
    assert status_json(RECORD, history=[])["historyEvents"] == []


def test_a_status_hides_its_input_where_asked_in_the_history_too() -> None:
    full = status_json(RECORD, history=events.parse([START]))
    bare = status_json(RECORD, history=events.parse([START]), show_input=False)

    assert (full["input"], full["historyEvents"][0]["Input"]) == ({"a": 1}, '{"a": 1}')
    assert bare["input"] is None
    assert "Input" not in bare["historyEvents"][0]


# Histories.


def test_a_call_is_shown_while_it_is_open_and_folded_into_its_result_then() -> None:
    later = AT.replace(minute=5)
    call = events.task_scheduled(AT, 0, "Check")

    (waiting,) = shown(call)
    (completed,) = shown(call, events.task_completed(later, 0, '{"a":1}'))

    assert (waiting["EventType"], waiting["Name"]) == ("TaskScheduled", "Check")
    assert completed == {
        "EventType": "TaskCompleted",
        "Result": {"a": 1},
        "Timestamp": "2026-01-02T03:05:05.6789Z",
        "ScheduledTime": "2026-01-02T03:04:05.6789+00:00",
        "FunctionName": "Check",
        "Input": None,
    }


def test_a_failure_keeps_its_reason_when_outputs_are_hidden_and_a_result_goes() -> None:
    call, other = events.task_scheduled(AT, 0, "Check"), events.task_scheduled(AT, 1, "Check")
    over = events.execution_completed(AT, 2, Status.Failed, "why")

    failure, result, end = shown(
        call,
        other,
        events.task_failed(AT, 0, "why", "{}"),
        events.task_completed(AT, 1, "1"),
        over,
        show_outputs=False,
    )

    assert (failure["Reason"], failure["Details"]) == ("why", "{}")
    assert "Result" not in result
    assert "Result" not in end


def test_hidden_inputs_are_hidden_in_calls_and_results_too() -> None:
    call, result = events.task_scheduled(AT, 0, "Check"), events.task_completed(AT, 0, "1")

    assert shown(call, show_input=False)[0]["Input"] is None
    assert "Input" not in shown(call, result, show_input=False)[0]


def test_a_sub_orchestration_is_shown_like_a_call() -> None:
    created = events.sub_orchestration_created(AT, 0, "Child", "child-id", None)

    (waiting,) = shown(created)
    (failed,) = shown(created, events.sub_orchestration_failed(AT, 0, "why", None))

    assert (waiting["EventType"], waiting["InstanceId"]) == ("SubOrchestrationInstanceCreated", "child-id")
    assert "Version" not in waiting
    assert (failed["EventType"], failed["FunctionName"]) == ("SubOrchestrationInstanceFailed", "Child")


@pytest.mark.parametrize(
    "name", ["e_fan_out_fail", "e_sub_fail", "e_race_timer", "e_event_twice", "suspend_resume"]
)
def test_a_recorded_history_is_shown_as_recorded(name: str) -> None:
    """What an instance's last episode was given is, but for its end, what the API then showed."""
    loaded = recording.load(name)
    statuses = [json.loads(e.answer_body) for e in loaded.exchanges if '"historyEvents":' in e.answer_body]
    finished = {
        s["instanceId"]: s["historyEvents"] for s in statuses if s["runtimeStatus"] in ("Completed", "Failed")
    }

    assert finished
    for instance_id, rows in finished.items():
        given = loaded.instances[instance_id][-1].history
        assert history_json(given, show_input=True, show_outputs=True) == rows[:-1]
