"""Dates as .NET reads them; the recorded forms are compared by `test_golden`."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_host.http.net_dates import read_date

NOW = datetime(2026, 11, 28, 23, 20, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2021/01/02", datetime(2021, 1, 2, tzinfo=UTC)),
        ("01.02.2021", datetime(2021, 1, 2, tzinfo=UTC)),  # The month first.
        ("1/2/49", datetime(2049, 1, 2, tzinfo=UTC)),
        ("1/2/50", datetime(1950, 1, 2, tzinfo=UTC)),
        ("2021-03", datetime(2021, 3, 1, tzinfo=UTC)),
        ("Jan 2021", datetime(2021, 1, 1, tzinfo=UTC)),
        ("2 January 2021 1:02 PM", datetime(2021, 1, 2, 13, 2, tzinfo=UTC)),
        ("Friday, January 1, 2021 12:30 am", datetime(2021, 1, 1, 0, 30, tzinfo=UTC)),
        ("Fri, 01 Jan 2021 10:00:00 GMT", datetime(2021, 1, 1, 10, tzinfo=UTC)),
        (" 12:00 ", datetime(2026, 11, 28, 12, tzinfo=UTC)),
        ("2021-01-01T00:00:00.123456789Z", datetime(2021, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2021-01-01T00:00:00+0130", datetime(2020, 12, 31, 22, 30, tzinfo=UTC)),
        ("2021-01-01T00:00:00 -01", datetime(2021, 1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_date_is_read_as_a_person_writes_it(text: str, at: datetime) -> None:
    assert read_date(text, NOW) == at


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "20210101", "2021", "2021-W01-1", "2021-001", "1609459200", '"2021-01-01"'),
        *("2021-02-29", "13/02/2021", "10000-01-01", "0000-01-01", "2021-01-01T24:00", "2021-01-01T00:00:60Z"),
        *("Mon, 01 Jan 2021 00:00:00 GMT", "2021-01-01T00:00:00 UTC", "2021-01-01T00:00:00-25:00", "13:00 pm"),
        *("2021-01-01T00", "\uff12\uff10\uff12\uff11-01-01", "0001-01-01T00:00+01:00"),
    ],
)
def test_what_names_no_instant_is_not_read(text: str) -> None:
    assert read_date(text, NOW) is None


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    assert isinstance(read_date(text, NOW), datetime | None)
