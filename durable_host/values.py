"""JSON texts, an app's JSON files, and instants: what more than one room reads and writes the same way.

Texts are written as Newtonsoft writes them. Files are read as the Functions host reads them: comments, trailing
commas and a BOM are fine. Not here: what any of it means.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from durable_host.errors import AppError

JSON = Any  # A parsed JSON value.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_write = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_DEEPEST = 500  # Python 3.11 reads and writes JSON to a depth below a thousand; later versions, deeper.
# The first group takes strings whole, so that what looks like a comment inside one is left alone.
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)


def compact(value: JSON) -> str:
    """A JSON text as Newtonsoft writes it: no blanks, non-ASCII as it is, Infinity and NaN as strings.

    A lone surrogate, which neither SQLite nor UTF-8 can hold, is escaped.
    """
    try:
        text = _write(value)
    except ValueError:
        return compact(json.loads(json.dumps(value), parse_constant=str))
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, separators=(",", ":"))
    return text


def is_too_deep(value: JSON, text: str) -> bool:
    """Whether a JSON value, and the text of it, is nested so deep that a history around it could not be read."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return False
    level = [value]
    for _ in range(_DEEPEST):
        holders = [each for each in level if isinstance(each, dict | list)]
        level = [child for each in holders for child in (each.values() if isinstance(each, dict) else each)]
    return any(isinstance(each, dict | list) for each in level)


def storable(text: str) -> str:
    """A plain text as the hub can hold it: a lone surrogate becomes U+FFFD, as .NET writes it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def stamp(at: datetime) -> str:
    """A .NET timestamp: trailing zeros of the fraction dropped, no fraction when it is zero."""
    text = at.isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if at.microsecond else text) + "Z"


def instant(text: str) -> datetime:
    """The instant that a .NET timestamp or the SDK's fireAt names; digits past the microsecond are cut."""
    return datetime.fromisoformat(text)


def microseconds(at: datetime) -> int:
    """An instant as whole microseconds since 1970, exact in both directions."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The instant that `microseconds` made the number of."""
    return _EPOCH + count * _MICROSECOND


def read_object(path: Path, complaint: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises: AppError that starts with `complaint` and goes on with line, column and what is wrong there.
    Source: Newtonsoft.Json 13's default reader, but for single quotes and bare keys, which are refused.
    """
    try:
        document = json.loads(_plain(path.read_text(encoding="utf-8-sig")), strict=False)
    except OSError as error:
        raise AppError(f"{complaint} {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise AppError(f"{complaint} It is not UTF-8 text (byte {error.start}).") from error
    except json.JSONDecodeError as error:
        raise AppError(f"{complaint} Line {error.lineno}, column {error.colno}: {error.msg}.") from error
    except RecursionError as error:
        raise AppError(f"{complaint} It is nested too deeply.") from error
    except ValueError as error:
        raise AppError(f"{complaint} It holds a number of too many digits.") from error
    if not isinstance(document, dict):
        raise AppError(f"{complaint} Expected a JSON object, found {type(document).__name__}.")
    return document


def pick(document: Mapping[str, Any], key: str) -> Any:
    """The value of a key in any letter case, None when absent; of two spellings the last, as in the host."""
    return next((document[name] for name in reversed(list(document)) if name.lower() == key.lower()), None)


def _plain(text: str) -> str:
    return _TRAILING_COMMA.sub(_blank, _COMMENT.sub(_blank, text))


def _blank(match: re.Match[str]) -> str:
    # Same length, same lines: the position in an error stays that of the user's file.
    return match[1] or re.sub(r"[^\n]", " ", match[0])
