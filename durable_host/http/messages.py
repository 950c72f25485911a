"""What the durable HTTP API takes and gives: a request, its query, a reply, and the shapes of errors.

Not here: which request does what (`webhooks`).
Source: recorded from Microsoft.Azure.WebJobs.Extensions.DurableTask 3.19.0.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

from durable_host.engine.events import Status
from durable_host.http.net_dates import read_date
from durable_host.values import JSON, compact, is_too_deep

WRONG = "Something went wrong while processing your request"
_LONGEST_S = 100 * 366 * 86_400
INVALID_OPERATION = "System.InvalidOperationException"
_TOO_DEEP = "The JSON is nested too deeply."


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request to the API: `path` and `query` raw as sent, `path` without the base; header names lower-case."""

    method: str
    origin: str
    target: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """What goes back: `body` is JSON text or empty."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Query:
    """A query string: names in any case, a repeated name's values joined by commas; bad values count as absent."""

    def __init__(self, text: str) -> None:
        self._values: dict[str, str] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            joined = self._values.get(name.lower())
            self._values[name.lower()] = value if joined is None else f"{joined},{value}"

    def text(self, name: str) -> str | None:
        """The value, None when absent."""
        return self._values.get(name.lower())

    def flag(self, name: str, default: bool) -> bool:
        """`true` or `false` in any case; anything else is the default."""
        return {"true": True, "false": False}.get((self.text(name) or "").strip().lower(), default)

    def seconds(self, name: str) -> float | None:
        """A number of seconds, None when absent, no number, or more than a century."""
        try:
            seconds = float(self.text(name) or "")
        except ValueError:
            return None
        return seconds if abs(seconds) <= _LONGEST_S else None

    def time(self, name: str, now: datetime) -> datetime | None:
        """An instant as .NET reads it; None when absent or none."""
        return read_date(self.text(name) or "", now)

    def statuses(self) -> tuple[Status, ...]:
        """The runtime statuses asked for, by name (in this spelling) or number; unknown ones are dropped."""
        names = [name.strip() for name in (self.text("runtimeStatus") or "").split(",")]
        return tuple(status for status in Status if status.name in names or str(status.value) in names)


def failure(status: int, message: str, text: str, kind: str) -> WebhookReply:
    """The extension's long error. The stack of .NET is not made up."""
    error = {"Message": message, "ExceptionMessage": text, "ExceptionType": kind, "StackTrace": ""}
    return WebhookReply(status, compact(error))


def json_problem(text: str) -> WebhookReply | None:
    """The 400 for a body that is no JSON. Newtonsoft's leniency is not copied, its words are where they fit."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        line, position = text.count("\n", 0, error.pos), error.pos - (text.rfind("\n", 0, error.pos) + 1)
        found = text[error.pos : error.pos + 1]
        where = f"Path '', line {line + 1 if error.pos else 0}, position {position}."
        if not text.strip():
            words = "Error reading JToken from JsonReader."
        elif error.msg == "Extra data":
            words = f"Additional text encountered after finished reading JSON content: {found}."
        elif not found:
            words = "Unexpected end of content while loading JSON."
        else:
            words = f"Unexpected character encountered while parsing value: {found}."
        words = f"{words} {where}"
    except RecursionError:
        words = _TOO_DEEP
    except ValueError as error:
        words = str(error)
    else:
        if not is_too_deep(value, text):
            return None
        words = _TOO_DEEP
    return failure(400, "Invalid JSON content", words, "Newtonsoft.Json.JsonReaderException")


def _no_constant(name: str) -> JSON:
    raise ValueError(f"{name} is no JSON value.")
