from http.cookies import SimpleCookie

import azure.functions as func
import pytest
from azure.functions.meta import Datum

from durable_host.worker.converters import encode
from durable_host.worker.http_answers import HttpAnswer, http_answer

TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
JSON = (("Content-Type", "application/json; charset=utf-8"),)


def answer(returned: object) -> HttpAnswer:
    return http_answer(encode("http", returned))


def test_a_response_keeps_its_status_headers_and_bytes() -> None:
    response = func.HttpResponse(b"\x00\xff", status_code=201, headers={"X-Name": "value"}, mimetype="image/png")

    assert answer(response) == HttpAnswer(201, (("X-Name", "value"), ("content-type", "image/png")), b"\x00\xff")


@pytest.mark.parametrize(
    ("response", "content_type"),
    [
        (func.HttpResponse("a"), "text/plain; charset=utf-8"),
        (func.HttpResponse("{}", mimetype="application/json"), "application/json"),
        (func.HttpResponse("a", headers={"Content-Type": "text/csv"}), "text/csv"),
    ],
)
def test_a_response_has_one_content_type(response: func.HttpResponse, content_type: str) -> None:
    assert [v for name, v in answer(response).headers if name.lower() == "content-type"] == [content_type]


def test_of_a_repeated_header_the_last_wins_but_every_cookie_is_set() -> None:
    response = func.HttpResponse("")
    for name, value in (("X", "1"), ("X", "2"), ("Set-Cookie", "a=1; Path=/; HttpOnly"), ("Set-Cookie", "b=2")):
        response.headers.add(name, value)

    headers = answer(response).headers

    assert [value for name, value in headers if name == "X"] == ["2"]
    cookies = [SimpleCookie(value) for name, value in headers if name == "Set-Cookie"]
    assert [{name: m.value for name, m in cookie.items()} for cookie in cookies] == [{"a": "1"}, {"b": "2"}]
    assert cookies[0]["a"]["path"] == "/"
    assert cookies[0]["a"]["httponly"]


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("plain words", "plain words"),
        ('{"a":1,"b":[]}', '{\n  "a": 1,\n  "b": []\n}'),
        ("[1]", "[\n  1\n]"),
        ("true", "True"),
        ('"quoted ü"', "quoted ü"),
        ("null", ""),
        ("", ""),
        ("1.0", "1"),
        ("1.5", "1.5"),
        ("5", "5"),
        ("{} {}", "{} {}"),
    ],
)
def test_a_returned_str_is_printed_as_the_host_parses_it(text: str, body: str) -> None:
    assert answer(text) == HttpAnswer(200, TEXT, body.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"body": "made", "statusCode": 201}', HttpAnswer(201, TEXT, b"made")),
        ('{"Body": {"a": 1}, "status": "202"}', HttpAnswer(202, JSON, b'{"a":1}')),
        ('{"body": null, "status": "odd"}', HttpAnswer(200, TEXT, b"")),
        (
            '{"body": "<b>", "headers": {"content-type": "text/html", "X": 1}}',
            HttpAnswer(200, (("content-type", "text/html"), ("X", "1")), b"<b>"),
        ),
    ],
)
def test_a_returned_str_of_an_object_with_a_body_is_a_response(text: str, expected: HttpAnswer) -> None:
    assert answer(text) == expected


@pytest.mark.parametrize("returned", [None, b"x", {"a": 1}, [1], 5, ("a", 200)])
def test_other_types_are_refused_in_the_workers_words(returned: object) -> None:
    with pytest.raises(TypeError) as error:
        answer(returned)

    assert str(error.value) == (
        "unable to encode outgoing TypedData: "
        "unsupported type \"<class 'azure.functions.http.HttpResponseConverter'>\" "
        f'for Python type "{type(returned).__name__}"'
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, HttpAnswer(204)),
        (Datum(None, None), HttpAnswer(204)),
        (encode("generic", {"body": "x"}), HttpAnswer(200, TEXT, b"x")),
        (encode("generic", [1]), HttpAnswer(200, TEXT, b"[\n  1\n]")),
        (encode("generic", b"x"), HttpAnswer(200, (("Content-Type", "application/octet-stream"),), b"x")),
        (encode("generic", True), HttpAnswer(200, TEXT, b"1")),
    ],
)
def test_without_an_http_output_the_returned_value_answers(data: Datum | None, expected: HttpAnswer) -> None:
    assert http_answer(data) == expected
