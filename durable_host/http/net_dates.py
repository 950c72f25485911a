"""Dates in a query, as .NET reads them: DateTime.TryParse, invariant culture, to UTC.

What a person writes is read (`2021/01/01`, `January 1, 2021`, `12:00`), what a machine writes often is not
(`20210101`, `1609459200`, a week date). A time without a zone is UTC.
Source: recorded, i_dates_list; of .NET's forms, those that are tried there.
"""

import re
from datetime import UTC, datetime, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LONGEST_OFFSET = timedelta(hours=14)
_LAST_SHORT_YEAR = 49  # 49 is 2049, and 50 is 1950.

_WEEKDAY = f"(?:(?P<weekday>{'|'.join((*_LONG_DAYS, *_DAYS))}),? +)?"
_NAME = f"(?P<name>{'|'.join((*_LONG_MONTHS, *_MONTHS))})"
_TIME = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})(?::(?P<second>[0-9]{1,2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?: *(?P<half>[ap]m))?"
)
_ZONE = r"(?: *(?P<zone>z|(?P<sign>[+-])(?P<zone_hours>[0-9]{1,2})(?::?(?P<zone_minutes>[0-9]{2}))?))?"
_DATES = (
    r"(?P<year>[0-9]{4})[-/.](?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})",
    r"(?P<year>[0-9]{4})[-/.](?P<month>[0-9]{1,2})",
    r"(?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})[-/.](?P<year>[0-9]{4}|[0-9]{2})",
    rf"{_NAME}(?: (?P<day>[0-9]{{1,2}}),?)? (?P<year>[0-9]{{4}})",
    rf"(?P<day>[0-9]{{1,2}})[ -]{_NAME}[ -](?P<year>[0-9]{{4}})",
)
_FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        *(f"{_WEEKDAY}{date}(?:(?:t| +){_TIME}{_ZONE})?" for date in _DATES),
        *(f"{_WEEKDAY}{date} +{_TIME} gmt" for date in _DATES),
        _TIME + _ZONE,
    )
]


def read_date(text: str, now: datetime) -> datetime | None:
    """The instant that a text names, None when .NET does not read it; a time without a date is of `now`'s day."""
    text = text.strip()
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            try:
                return _instant({key: value for key, value in match.groupdict().items() if value}, now)
            except (ValueError, OverflowError):
                return None
    return None


def _instant(parts: dict[str, str], now: datetime) -> datetime:
    """Raises: ValueError for what is no date, no time or no offset; OverflowError past year 9999."""
    at = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if "year" in parts:
        at = datetime(_year(parts["year"]), _month(parts), int(parts.get("day", 1)), tzinfo=UTC)
    weekday = parts.get("weekday")
    if weekday is not None and not weekday.lower().startswith(_DAYS[at.weekday()]):
        raise ValueError(f"that was no {weekday}")
    at = at.replace(
        hour=_hour(int(parts.get("hour", 0)), parts.get("half", "").lower()),
        minute=int(parts.get("minute", 0)),
        second=int(parts.get("second", 0)),
        microsecond=int(parts.get("fraction", "0")[:6].ljust(6, "0")),
    )
    offset = timedelta(hours=int(parts.get("zone_hours", 0)), minutes=int(parts.get("zone_minutes", 0)))
    if offset > _LONGEST_OFFSET:
        raise ValueError("no zone is that far off")
    return at + offset if parts.get("sign") == "-" else at - offset


def _year(text: str) -> int:
    year = int(text)
    if len(text) == 2:
        year += 2000 if year <= _LAST_SHORT_YEAR else 1900
    return year


def _month(parts: dict[str, str]) -> int:
    return int(parts["month"]) if "month" in parts else 1 + _MONTHS.index(parts["name"][:3].lower())


def _hour(hour: int, half: str) -> int:
    if half and not 1 <= hour <= 12:
        raise ValueError("no hour of half a day")
    return hour % 12 + 12 * (half == "pm") if half else hour
