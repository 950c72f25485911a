import logging
import sqlite3

import pytest

from durable_host.dispatch.outage import Outage
from durable_host.errors import HubError

FULL = sqlite3.OperationalError("database or disk is full")


def test_the_console_hears_once_that_an_outage_begins_and_once_that_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage()

    outage.end()
    for _ in range(100):
        outage.begin(FULL)
        outage.begin(sqlite3.OperationalError("disk I/O error"))
    for _ in range(100):
        outage.end()

    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.ERROR,
            "The task hub cannot be written (database or disk is full). Nothing of it is lost; free the disk.",
        ),
        (logging.WARNING, "The task hub can be written again."),
    ]
    assert outage.problem is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FULL, "Nothing of it is lost; free the disk."),
        (
            sqlite3.DatabaseError("database disk image is malformed"),
            "Stop the host and put a good copy in its place.",
        ),
        (HubError("It was moved. Put it back."), "It was moved. Put it back."),
    ],
)
def test_callers_are_told_what_to_do(error: sqlite3.Error | HubError, told: str) -> None:
    outage = Outage()

    problem = outage.begin(error)

    assert str(problem).endswith(told)
    assert outage.problem is problem
