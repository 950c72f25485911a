"""What an HTTP function's return value becomes: status, headers and body.

Not here: the HTTP server (`server`).
Source: azure-functions-host 4.1037, HttpBinding and ScriptObjectResult.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.functions.meta import Datum

from durable_host.values import pick
from durable_host.worker.protocol import Pairs

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_JSON = (("Content-Type", "application/json; charset=utf-8"),)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response; `headers` may name Set-Cookie more than once."""

    status: int
    headers: Pairs = ()
    body: bytes = b""


def http_answer(data: Datum | None) -> HttpAnswer:
    """The response for what the worker hands over; None, from a function without an HTTP output, is a 204."""
    if data is None:
        return HttpAnswer(204)
    match data.type:
        case None:
            return HttpAnswer(204)
        case "http":
            return _response(data.value)
        case "string":
            return _text(data.value)
        case "dict":
            return _parsed(data.value)
        case "bytes":
            return HttpAnswer(200, (("Content-Type", "application/octet-stream"),), data.value)
        case _:
            return HttpAnswer(200, _TEXT, _printed(data.value).encode())


def _response(value: Mapping[str, Any]) -> HttpAnswer:
    headers = [(name, header.value) for name, header in value["headers"].items()]
    cookies = [("Set-Cookie", morsel.OutputString()) for jar in value["cookies"] or () for morsel in jar.values()]
    return HttpAnswer(_status(value["status_code"].value), (*headers, *cookies), value["body"].value)


def _text(text: str) -> HttpAnswer:
    """A returned str: the host prints what it parses as JSON, so `{"a":1}` is indented and `true` becomes True."""
    try:
        value = json.loads(text) if text.strip() else None
    except ValueError:
        value = text
    return _parsed(value)


def _parsed(value: Any) -> HttpAnswer:
    if not isinstance(value, dict) or "body" not in (name.lower() for name in value):
        return HttpAnswer(200, _TEXT, _printed(value).encode())
    # By its `body` the object is known for a response.
    body, given = pick(value, "body"), pick(value, "headers")
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False) if isinstance(body, dict | list) else None
    headers = {name: str(header) for name, header in given.items()} if isinstance(given, dict) else {}
    if "content-type" not in (name.lower() for name in headers):
        headers |= dict(_TEXT if text is None else _JSON)
    status = pick(value, "statusCode")
    return HttpAnswer(
        _status(pick(value, "status") if status is None else status),
        tuple(headers.items()),
        (_printed(body) if text is None else text).encode(),
    )


def _status(value: Any) -> int:
    try:
        status = int(value)
    except (TypeError, ValueError):
        return 200
    return status


def _printed(value: Any) -> str:
    """As .NET's ToString prints a parsed JSON value."""
    if isinstance(value, dict | list):
        return json.dumps(value, indent=2, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else str(value)
