"""What a stand-in replies, before it is HTTP, and what it says about a value it cannot take.

Not its business: who asked, and how the reply travels (or is held back): that is `server`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply: HTTP status, body as JSON text ("" for none), and headers beside Content-Type."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(status: int, value: object, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer whose body is `value` as JSON."""
    return Answer(status, json.dumps(value), headers or {})


class FieldError(ValueError):
    """A setting of a stand-in is not as it must be; `field` names it, None for the whole body."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.field = field
        self.message = message


def check_choice(field: str, value: object, choices: tuple[int | str, ...]) -> None:
    """That `value` is None or one of `choices`; neither 404.0 nor True is a number here.

    Raises: FieldError.
    """
    if value is not None and not (type(value) in (int, str) and value in choices):
        expected = ", ".join(json.dumps(choice) for choice in choices)
        raise FieldError(field, f"expected null or one of {expected}; found {shown(value)}")


def shown(value: object) -> str:
    """A value of a request as JSON, cut to what a message has room for."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
