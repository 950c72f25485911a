import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_host.errors import AppError
from durable_host.values import (
    JSON,
    compact,
    from_microseconds,
    instant,
    microseconds,
    pick,
    read_object,
    stamp,
    storable,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
texts = st.text(st.characters(exclude_categories=()))  # Lone surrogates too.


def read(tmp_path: Path, content: str | bytes) -> dict[str, object]:
    file = tmp_path / "host.json"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_object(file, f"{file}:")


def test_comments_trailing_commas_and_a_byte_order_mark_are_read_over(tmp_path: Path) -> None:
    text = '\ufeff{ // why\n "a": [1, 2, /* three */ ], /* , } */\n "b": {"c": null,},\n}\n// end'

    assert read(tmp_path, text) == {"a": [1, 2], "b": {"c": None}}


def test_what_looks_like_a_comment_inside_a_string_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, r'{"url": "http://x/*y*/", "quote": "\"//", "comma": ",}"}') == {
        "url": "http://x/*y*/",
        "quote": '"//',
        "comma": ",}",
    }


def test_an_error_names_file_line_and_column_of_the_users_text(tmp_path: Path) -> None:
    with pytest.raises(AppError, match=r"host\.json: Line 3, column 9: Expecting ',' delimiter\.$"):
        read(tmp_path, '{ /* a\n comment */ "a": 1,\n "b": 2 "c": 3}')


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", r"Line 1, column 1: Expecting value"),
        ("[1]", "Expected a JSON object, found list"),
        ("{} x", r"Line 1, column 4: Extra data"),
        (b'{"a": "\xff"}', r"It is not UTF-8 text \(byte 7\)"),
        ("[" * 100_000, "It is nested too deeply"),
        ('{"a": ' + "1" * 5_000 + "}", "It holds a number of too many digits"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: str | bytes, problem: str) -> None:
    with pytest.raises(AppError, match=problem):
        read(tmp_path, content)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppError, match=r"^Broken\. Is a directory\.$"):
        read_object(tmp_path, "Broken.")


def test_keys_are_found_in_any_letter_case_and_the_last_spelling_wins() -> None:
    assert pick({"Route": "a", "ROUTE": "b"}, "route") == "b"
    assert pick({"Route": "a"}, "methods") is None


@pytest.mark.parametrize(
    ("microsecond", "fraction"),
    [(0, ""), (500_000, ".5"), (59_180, ".05918"), (1, ".000001"), (123_456, ".123456")],
)
def test_a_timestamp_drops_the_zeros_that_end_its_fraction(microsecond: int, fraction: str) -> None:
    assert stamp(AT.replace(microsecond=microsecond)) == f"2026-01-02T03:04:05{fraction}Z"


def test_a_timestamp_of_ten_million_parts_is_cut_to_the_microsecond() -> None:
    assert instant("2026-01-02T03:04:05.1234567Z") == AT.replace(microsecond=123_456)


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_its_timestamp_and_its_number(at: datetime) -> None:
    assert instant(stamp(at)) == at
    assert from_microseconds(microseconds(at)) == at


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_the_numbers_of_instants_are_in_their_order(one: datetime, other: datetime) -> None:
    span = timedelta(microseconds=microseconds(one) - microseconds(other))

    assert span == one - other


@given(st.recursive(texts | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_compact_json_can_be_stored_and_read_back(value: JSON) -> None:
    text = compact(value)

    assert json.loads(text.encode()) == value


def test_compact_json_escapes_half_a_character() -> None:
    assert compact(["\ud800", "ü"]) == r'["\ud800","\u00fc"]'


def test_compact_json_keeps_what_is_not_ascii_and_has_no_blanks() -> None:
    assert compact({"a": [1, 2.0, None], "ü": "☃😀"}) == '{"a":[1,2.0,null],"ü":"☃😀"}'


def test_compact_json_writes_what_no_json_number_can_as_text() -> None:
    values = json.loads("[1e400, -Infinity, NaN, 1.5]")

    assert compact(values) == '["Infinity","-Infinity","NaN",1.5]'


def test_a_text_with_half_a_character_can_be_stored() -> None:
    assert storable("a\ud800b \udc80 😀") == "a\ufffdb \ufffd 😀"
