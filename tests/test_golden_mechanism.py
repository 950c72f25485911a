"""The comparison behind `test_golden.py`, on made-up runs: it must report what differs, and only that."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.golden_replay.binding import Binding
from tests.golden_replay.comparing import compare, compare_histories
from tests.golden_replay.known import Entry, KnownDifferences
from tests.golden_replay.recording import Exchange, Recording
from tests.golden_replay.responses import Answer, compare_exchange

BEGAN_AT = datetime(2026, 11, 24, 11, 30, tzinfo=UTC)
STARTED, DONE = {"EventType": 12}, {"EventType": 13}


@pytest.fixture
def binding() -> Binding:
    return Binding(Recording("made_up", [], {}, [], BEGAN_AT), port=50123)


def differing(recorded: Any, here: Any, binding: Binding) -> list[str]:
    return [difference.path for difference in compare("body", recorded, here, binding, ordered=True)]


def history(*events: dict[str, Any], second: int = 0) -> list[dict[str, Any]]:
    """The events with the fields that all have; each is stamped a millisecond later than the one before it."""
    stamps = [f"2026-11-24T11:31:{second:02}.{i:03}1Z" for i in range(len(events))]
    common = {"EventId": -1, "IsPlayed": False}
    return [{**common, "Timestamp": stamp, **event} for stamp, event in zip(stamps, events, strict=True)]


def scheduled(event_id: int, name: str = "T_Echo") -> dict[str, Any]:
    return {"EventType": 4, "EventId": event_id, "Name": name}


def completed(task_id: int, result: str = "1", *, played: bool = False) -> dict[str, Any]:
    return {"EventType": 5, "TaskScheduledId": task_id, "Result": result, "IsPlayed": played}


def differing_histories(recorded: list[Any], here: list[Any], binding: Binding) -> list[str]:
    return [difference.path for difference in compare_histories("history", recorded, here, binding)]


def test_a_changed_field_is_reported_with_both_sides_and_its_path(binding: Binding) -> None:
    (difference,) = compare("body", {"a": [{"b": 1}]}, {"a": [{"b": 2}]}, binding)

    assert str(difference).split() == ["body.a[0].b", "recorded:", "1", "here:", "2"]


@pytest.mark.parametrize(
    ("recorded", "here", "path"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, "body.b"),
        ({"a": 1}, {"a": 1, "b": 2}, "body.b"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "body (order of keys)"),
        ([1, 2], [1], "body (length)"),
        (1, 1.0, "body"),
        (1, True, "body"),
        (None, "", "body"),
        ('{"a": 1}', '{"a":1}', "body (layout of the JSON)"),
        ('failed \n {"a":{"b":1}}', 'failed \n {"a":{"b":2}}', "body{}.a.b"),
        ('"{\\"a\\": 1}"', '"{\\"a\\": 2}"', "body{}{}.a"),
        ("2001-01-01T00:00:00Z", "2001-01-01T00:00:01Z", "body"),
        ("2026-11-24T11:30:01.5Z", "2026-11-24T11:30:01.5+00:00", "body"),
    ],
)
def test_a_difference_in_shape_type_or_text_is_reported(
    recorded: Any, here: Any, path: str, binding: Binding
) -> None:
    assert differing(recorded, here, binding) == [path]


@pytest.mark.parametrize(
    ("recorded", "here", "later_here"),
    [
        ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210", "f" * 32),
        ("5bef5d45-8043-4447-97ff-a5fe5a7f3c4a:0", f"{uuid.UUID(int=1)}:0", f"{uuid.UUID(int=2)}:0"),
        ("2026-11-24T11:30:01.1234567Z", "2026-11-24T11:30:01.1234577Z", "2026-11-24T11:30:01.1234587Z"),
        ("2026-11-24T11:30:01Z", "2026-11-24T11:30:02Z", "2026-11-24T11:30:06Z"),
        ("http://localhost:7071/", "http://localhost:50123/", "http://localhost:50124/"),
        (
            "http://localhost:7071/x?code=FAKE1==&a=b",
            "http://localhost:50123/x?code=b&a=b",
            "http://localhost:50123/x?code=c&a=b",
        ),
    ],
)
def test_what_was_equal_in_the_recording_must_be_equal_here(
    recorded: str, here: str, later_here: str, binding: Binding
) -> None:
    assert differing([recorded, recorded], [here, here], binding) == []
    assert differing([recorded], [later_here], binding) == ["body[0]"]


def test_two_ids_of_the_recording_may_not_be_one_here(binding: Binding) -> None:
    assert differing(["a" * 32, "b" * 32], ["c" * 32, "c" * 32], binding) == ["body[1]"]


def test_a_request_is_sent_with_the_values_that_are_bound_here(binding: Binding) -> None:
    differing(["a" * 32, "2026-11-24T11:30:01Z"], ["c" * 32, "2030-01-01T00:00:00Z"], binding)
    later = datetime(2030, 1, 1, tzinfo=UTC) - BEGAN_AT

    sent = binding.translate_target(
        f"/instances/{'a' * 32}?from=2026-11-24T11%3A30%3A01Z&to=2026-11-24T11:31:00Z", later
    )

    assert sent == f"/instances/{'c' * 32}?from=2030-01-01T00:00:00Z&to=2030-01-01T00:01:00Z"


def test_a_missing_event_is_reported(binding: Binding) -> None:
    recorded = history(STARTED, scheduled(0), scheduled(1), DONE, STARTED, completed(0))
    here = history(STARTED, scheduled(0), DONE, STARTED, completed(0))

    assert differing_histories(recorded, here, binding) == ["history (events)"]


def test_a_changed_result_reason_or_played_mark_is_reported(binding: Binding) -> None:
    recorded = history(STARTED, scheduled(0), DONE, STARTED, completed(0))

    assert differing_histories(
        recorded, history(STARTED, scheduled(0), DONE, STARTED, completed(0, "2")), binding
    ) == ["history[4].Result"]
    here = history(STARTED, scheduled(0), DONE, STARTED, completed(0, played=True))
    assert differing_histories(recorded, here, binding) == ["history[4].IsPlayed"]


def test_another_batching_of_work_that_ran_side_by_side_is_no_difference(binding: Binding) -> None:
    start = [STARTED, scheduled(0), scheduled(1), scheduled(2), DONE, STARTED]
    recorded = history(*start, completed(1, "b", played=True), DONE, STARTED, completed(2, "c"), completed(0, "a"))
    here = history(*start, completed(0, "a"), completed(1, "b"), completed(2, "c"))

    assert differing_histories(recorded, here, binding) == []


def test_a_decision_after_another_message_is_a_difference(binding: Binding) -> None:
    def run(first: int, second: int) -> list[dict[str, Any]]:
        answers = [completed(first, played=True), scheduled(2, f"T_{first}"), DONE, STARTED, completed(second)]
        return history(STARTED, scheduled(0), scheduled(1), DONE, STARTED, *answers)

    assert differing_histories(run(0, 1), run(1, 0), binding) == ["history[4].Name"]


def test_a_timer_is_compared_by_how_far_off_it_was(binding: Binding) -> None:
    def run(due: str, second: int) -> list[dict[str, Any]]:
        return history(STARTED, {"EventType": 10, "EventId": 0, "FireAt": due}, DONE, STARTED, second=second)

    recorded = run("2026-11-24T11:31:02.0001Z", second=0)

    assert differing_histories(recorded, run("2026-11-24T11:31:22.0001Z", second=20), binding.copy()) == []
    assert differing_histories(recorded, run("2026-11-24T11:31:22.9Z", second=20), binding.copy()) == [
        "history[1].FireAt (after the start of the episode)"
    ]


def exchange(body: Any, status: int = 200) -> Exchange:
    return Exchange(
        BEGAN_AT,
        0,
        None,
        "GET",
        "/runtime/webhooks/durabletask/instances/one",
        7071,
        {},
        None,
        status,
        {},
        json.dumps(body),
    )


def test_an_instance_that_is_further_here_is_compared_in_all_but_its_state(binding: Binding) -> None:
    recorded = exchange({"instanceId": "one", "runtimeStatus": "Pending", "name": "A"}, status=202)
    answer = Answer(200, {}, json.dumps({"instanceId": "one", "runtimeStatus": "Completed", "name": "B"}))

    def paths(loose: set[str]) -> list[str]:
        return [d.path for d in compare_exchange("", recorded, answer, binding, loose)]

    assert paths(set()) == [".status", ".body.runtimeStatus", ".body.name"]
    assert paths({"one"}) == [".body.name"]


def test_instances_of_other_scenarios_in_a_list_are_passed_over() -> None:
    binding = Binding(Recording("made_up", [], {"one": []}, [], BEGAN_AT), port=50123)
    own, other = {"instanceId": "one", "input": 1}, {"instanceId": "another", "input": 1}
    answer = Answer(200, {}, json.dumps([own]))

    assert list(compare_exchange("", exchange([other, own]), answer, binding, set())) == []


def test_a_known_difference_is_passed_over_and_one_that_is_gone_is_stale(binding: Binding) -> None:
    there = Entry("http/made_up.json", "body.*.StackTrace", "it is .NET's")
    gone = Entry("http/made_up.json", "body.status", "no longer so")
    elsewhere = Entry("http/not_in_the_folder.json", "body", "passed over")
    known = KnownDifferences([there, gone, elsewhere])
    recorded, here = (
        {"error": {"StackTrace": "at A", "Message": "m"}},
        {"error": {"StackTrace": "", "Message": "n"}},
    )

    differences = list(compare("body", recorded, here, binding))
    unknown = [d.path for d in differences if known.is_unknown("http/made_up.json", d)]

    assert unknown == ["body.error.Message"]
    assert known.stale("http/made_up.json") == [gone]
