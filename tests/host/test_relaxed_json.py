from pathlib import Path

import pytest

from durable_host.errors import AppError
from durable_host.relaxed_json import pick, read_object


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
