"""Reads the JSON files of a function app as the Functions host does: comments, trailing commas and a BOM are fine.

Not here: what the files mean.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from durable_host.errors import AppError

# The first group takes strings whole, so that what looks like a comment inside one is left alone.
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)


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
