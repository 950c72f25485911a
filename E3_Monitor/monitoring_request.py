"""What a monitor is asked to do, checked before anything is started, and what continue_as_new hands over."""

import re
from dataclasses import dataclass, fields
from typing import Any, Self

# What GitHub has ever allowed as an owner or a name; "." and ".." would be steps of a URL's path.
_NAME = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]{1,100}"
_TEXTS = {
    "repo": (f"{_NAME}/{_NAME}", '"owner/name", such as "octo/cat"'),
    # \d would take Arabic digits too.
    "phone": (r"\+[1-9][0-9]{1,14}", 'E.164: "+", country code and number, digits only, such as "+14255550123"'),
}
_NUMBERS = {"threshold": (0, 1_000), "interval_seconds": (1, 86_400), "expiry_seconds": (1, 2_592_000)}


class InvalidRequest(ValueError):
    """A request that cannot be used: one line without a phone number, and the field, None for the whole of it."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class MonitoringRequest:
    """Which repository to watch, whom to text once it has more than `threshold` open issues, and when to look."""

    repo: str
    phone: str
    threshold: int = 3
    interval_seconds: int = 60
    expiry_seconds: int = 300

    @classmethod
    def parse(cls, given: object) -> Self:
        """Check what a caller sent, as parsed JSON. Raises: InvalidRequest."""
        if not isinstance(given, dict):
            raise InvalidRequest(None, 'expected an object such as {"repo": "octo/cat", "phone": "+14255550123"}')
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                shown = re.sub(r"\d", "*", name)  # It may be a phone number.
                raise InvalidRequest(name, f"unknown field {shown!r:.60}: expected {', '.join(known)}")
        for name, (pattern, expected) in _TEXTS.items():
            if not isinstance(given.get(name), str) or not re.fullmatch(pattern, given[name]):
                found = "must be" if name in given else "is missing: it must be"
                raise InvalidRequest(name, f"{name} {found} {expected}")
        for name, (low, high) in _NUMBERS.items():
            # True is an int, too.
            if name in given and not (type(given[name]) is int and low <= given[name] <= high):
                raise InvalidRequest(name, f"{name} must be a whole number from {low} to {high}")
        return cls(**given)


def parse_input(given: Any) -> tuple[MonitoringRequest, dict[str, Any] | None]:
    """Read an orchestrator's input: a request, and the last custom status of one that has continued as new."""
    match given:
        # An earlier version of the app hands over the second shape, and its monitors run for up to 30 days.
        case {
            "request": request,
            "progress": {"checks": int(), "nextCheck": str(), "expires": str()} as progress,
        } | {"status": {"checks": int(), "nextCheck": str(), "expires": str()} as progress, **request}:
            return MonitoringRequest.parse(request), progress
    return MonitoringRequest.parse(given), None
