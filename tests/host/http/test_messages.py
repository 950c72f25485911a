import json
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_host.engine.events import Status
from durable_host.http.messages import Query, failure, json_problem

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# Queries.


def test_a_query_is_read_in_any_letter_case_and_decoded() -> None:
    query = Query("Reason=a+b%20%C3%BC&empty=")

    assert query.text("reason") == query.text("REASON") == "a b ü"
    assert query.text("empty") == ""
    assert query.text("absent") is None


def test_a_repeated_name_has_its_values_joined() -> None:
    assert Query("runtimeStatus=Failed&RuntimeStatus=Completed").text("runtimeStatus") == "Failed,Completed"


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("TRUE", True), ("+false+", False), ("1", None), ("yes", None), ("", None)],
)
def test_a_flag_is_true_or_false_and_anything_else_its_default(text: str, value: bool | None) -> None:
    query = Query(f"showInput={text}")

    assert [query.flag("showInput", default) for default in (True, False)] == (
        [True, False] if value is None else [value, value]
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5),
        ("0.25", 0.25),
        ("-1", -1),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e300", None),
    ],
)
def test_seconds_are_a_number_that_a_clock_can_wait_for(text: str, seconds: float | None) -> None:
    assert Query(f"timeout={text}").seconds("timeout") == seconds


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1234567Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05%2B02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_an_instant_is_utc_unless_it_says_otherwise(text: str, at: datetime | None) -> None:
    assert Query(f"createdTimeFrom={text}").time("createdTimeFrom", NOW) == at


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        ("Failed", (Status.Failed,)),
        ("Failed,%20Completed", (Status.Completed, Status.Failed)),
        ("1,3", (Status.Completed, Status.Failed)),
        ("failed", ()),
        ("Bogus,Failed", (Status.Failed,)),
        ("", ()),
    ],
)
def test_statuses_are_names_or_numbers_and_unknown_ones_are_dropped(
    text: str, statuses: tuple[Status, ...]
) -> None:
    assert Query(f"runtimeStatus={text}").statuses() == statuses


@settings(max_examples=30)
@given(st.text())
def test_any_value_arrives_as_it_was_sent_and_no_value_is_an_error(value: str) -> None:
    query = Query(urlencode({"reason": value, "timeout": value, "createdTimeFrom": value, "runtimeStatus": value}))

    assert query.text("reason") == value
    assert isinstance(query.seconds("timeout"), float | None)
    assert isinstance(query.time("createdTimeFrom", NOW), datetime | None)
    assert all(isinstance(each, Status) for each in query.statuses())


# Errors.


def test_a_long_error_has_the_extensions_keys() -> None:
    reply = failure(500, "Something went wrong", "details ü", "System.Exception")

    assert reply.status == 500
    assert reply.body == (
        '{"Message":"Something went wrong","ExceptionMessage":"details ü",'
        '"ExceptionType":"System.Exception","StackTrace":""}'
    )


@pytest.mark.parametrize("text", ["null", "5", '"a"', " [1, 2] ", '{"a": "\\ud800"}', "1e400"])
def test_json_is_no_problem(text: str) -> None:
    assert json_problem(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Recorded.
        ("plain text", "Unexpected character encountered while parsing value: p. Path '', line 0, position 0."),
        ("", "Error reading JToken from JsonReader. Path '', line 0, position 0."),
        # In Newtonsoft's words.
        (
            ' {"a": 1} x',
            "Additional text encountered after finished reading JSON content: x. Path '', line 1, position 10.",
        ),
        ('{"a": 1,\n b}', "Unexpected character encountered while parsing value: b. Path '', line 2, position 1."),
        ('{"a": ', "Unexpected end of content while loading JSON. Path '', line 1, position 6."),
        ("NaN", "NaN is no JSON value."),
        ("[-Infinity]", "-Infinity is no JSON value."),
        ("[" * 100_000, "The JSON is nested too deeply."),
    ],
)
def test_what_is_no_json_is_refused_and_says_where(text: str, words: str) -> None:
    reply = json_problem(text)

    assert reply is not None
    assert reply.status == 400
    error = json.loads(reply.body)
    assert (error["Message"], error["ExceptionMessage"]) == ("Invalid JSON content", words)
    assert error["ExceptionType"] == "Newtonsoft.Json.JsonReaderException"


def nested(depth: int, opening: str = "[", closing: str = "]", inside: str = "") -> str:
    return opening * depth + inside + closing * depth


REFUSED_JSON = [
    *("", "{", "NaN", "Infinity", "-Infinity", '{"a": NaN}', "nul", '"a', "'a'", '{"a":1,}', "[1", "1 2", "\0"),
    *("1" * 5_000, "-" + "9" * 10_000, "[" + "1" * 10_000 + "]", "00", "+1", "0x10", "1_000", ".5"),
    *(nested(depth) for depth in (501, 600, 900, 970, 1_000, 1_490, 5_000, 9_990, 100_000)),
    *(nested(depth, '{"a":', "}", "1") for depth in (501, 990, 100_000)),
    *("[" * 100_000, '{"a":' * 100_000, '"\\u12"', '"\t"', "\ufffe"),
]


def test_what_is_not_strict_nested_too_deeply_or_too_long_a_number_is_refused() -> None:
    assert [text[:40] for text in REFUSED_JSON if json_problem(text) is None] == []
