"""What a monitor is asked to do, checked before anything is started, and what it carries over continue_as_new.

Not here: which numbers may be texted (`E3_SendAlert.sms`), and when checks are due (`E3_Monitor`).
"""

import re
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, NoReturn, Self

# Source: docs.github.com, "Repository limits" for the name; the sign-up form for the owner. The underscore
# sets off the short code in the user names of a company's managed users.
_REPO = re.compile(
    r"(?=.{1,39}/)[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*"
    r"/(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}(?<!\.git)(?<!\.wiki)"
)
_REPO_IN_URL = re.compile(
    r"(?:https?://|(?:ssh://)?git@)?(?:www\.)?github\.com[/:]([^/?#]+/[^/?#]+?)(?:\.git)?(?:[/?#].*)?"
)
# \d would take Arabic digits too.
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_JSON_TYPES = {str: "a string", bool: "true or false", type(None): "null", list: "a list", dict: "an object"}


class InvalidRequest(ValueError):
    """A monitoring request that cannot be used: which field, and what was expected.

    Args:
        field: the culprit's name, or None when it is the request as a whole.
        message: one line, without a phone number in it.
    """

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class MonitoringRequest:
    """Which repository to watch, whom to text, and how often and how long to look.

    Shape: `repo` is "owner/name", `phone` E.164; an alert is due when there are more than `threshold` open issues.
    Raises: InvalidRequest when a value is wrong, so that one which exists is usable.
    """

    repo: str
    phone: str
    threshold: int = 3
    interval_seconds: int = 60
    expiry_seconds: int = 300

    def __post_init__(self) -> None:
        """Refuse values that no monitor can work with."""
        if not isinstance(self.repo, str) or not _REPO.fullmatch(self.repo):
            _refuse_repo(self.repo)
        if not isinstance(self.phone, str) or not _E164.fullmatch(self.phone):
            raise InvalidRequest(
                "phone",
                'phone must be a "+", the country code and the number, digits only (E.164), '
                'such as "+14255550123"',
            )
        _check_whole("threshold", self.threshold, 0)
        _check_whole("interval_seconds", self.interval_seconds, 1, 86_400)
        _check_whole("expiry_seconds", self.expiry_seconds, 1, 2_592_000)

    @classmethod
    def parse(cls, given: object) -> Self:
        """Check what a caller sent, as parsed JSON.

        Raises: InvalidRequest for what is no object, an unknown, a missing or a wrong field.
        """
        if not isinstance(given, dict):
            raise InvalidRequest(
                None, 'expected a JSON object such as {"repo": "octo/cat", "phone": "+14255550123"}'
            )
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                shown = re.sub(r"\d", "*", name)  # It may be a phone number.
                raise InvalidRequest(name, f"unknown field {shown!r:.60}: expected {', '.join(known)}")
        for name in ("repo", "phone"):
            if name not in given:
                raise InvalidRequest(name, f"{name} is missing")
        return cls(**given)


def quiet_status(
    checks: int,
    checked_at: datetime,
    too_many: bool | None,
    error: str | None,
    next_check_at: datetime,
    expires_at: datetime,
) -> dict[str, Any]:
    """Write the custom status of a monitor whose last check was no reason for an alert."""
    status = {
        "checks": checks,
        "lastCheck": checked_at.isoformat(),
        "openIssues": "unknown" if too_many is None else "not too many",
        "nextCheck": next_check_at.isoformat(),
        "expires": expires_at.isoformat(),
    }
    return status if error is None else {**status, "lastError": error}


def parse_status(status: Any) -> tuple[int, datetime, datetime]:
    """Read a monitor's custom status back: its checks so far, when the next is due, and when it expires.

    Raises: InvalidRequest when no monitor wrote it.
    """
    with suppress(KeyError, TypeError, ValueError):
        checks = status["checks"]
        next_check_at = datetime.fromisoformat(status["nextCheck"])
        expires_at = datetime.fromisoformat(status["expires"])
        # The SDK prints a timer's digits without regard to their offset, so only UTC will do.
        if type(checks) is int and next_check_at.tzinfo == expires_at.tzinfo == UTC:
            return checks, next_check_at, expires_at
    raise InvalidRequest("status", "status is what a monitor hands to itself: leave it out")


def _refuse_repo(repo: object) -> NoReturn:
    url = _REPO_IN_URL.fullmatch(repo) if isinstance(repo, str) else None
    if url and _REPO.fullmatch(url[1]):
        raise InvalidRequest("repo", f'repo must be "owner/name", not a URL: send "{url[1]}"')
    raise InvalidRequest("repo", 'repo must be "owner/name" as GitHub allows it, such as "octo/cat"')


def _check_whole(name: str, value: object, low: int, high: int | None = None) -> None:
    if type(value) is int and low <= value and (high is None or value <= high):
        return
    limits = f"of at least {low}" if high is None else f"from {low} to {high}"
    found = _JSON_TYPES.get(type(value), value)
    raise InvalidRequest(name, f"{name} must be a whole number {limits}, found {found}")
