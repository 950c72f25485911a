"""The figures of `docs/scale.md` follow from the limits that it names, and from the app."""

import math
import re

from E3_Monitor.monitoring_request import MonitoringRequest
from tests.conftest import ROOT

MONITORS = (10, 10_000, 1_000_000)
SEGMENT = 160  # GSM 03.38 characters


def _row(start: str) -> list[str]:
    """The cells of the table row that starts so, without its first."""
    page = (ROOT / "docs" / "scale.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def _numbers(start: str) -> list[float]:
    return [float(cell.replace(",", "")) for cell in _row(start) if cell]


def test_the_rates_follow_from_the_intervals() -> None:
    checks = [count / interval for count, interval in zip(MONITORS, _numbers("`interval_seconds`"), strict=True)]

    assert _numbers("checks a second") == [round(each, 2) if each < 1 else round(each) for each in checks]
    assert _numbers("storage transactions a second") == [
        round(15 * each, 1) if each < 1 else round(15 * each) for each in checks
    ]
    assert _numbers("Durable Task Scheduler actions a second") == [
        round(3 * each, 1) if each < 1 else round(3 * each) for each in checks
    ]


def test_the_least_intervals_follow_from_githubs_limits() -> None:
    assert _numbers("without a token") == [10 * 3600 / 60]
    assert _numbers("when the repositories change") == [math.ceil(count * 3600 / 5_000) for count in MONITORS]
    assert _numbers("when they are up to 1,000") == [math.ceil(count * 60 / 900) for count in MONITORS]


def test_every_interval_of_the_table_is_one_that_the_app_takes() -> None:
    for interval in _numbers("`interval_seconds`"):
        MonitoringRequest("octo/cat", "+14255550100", interval_seconds=int(interval))


def test_an_alert_is_one_segment_up_to_the_length_that_is_said() -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    said = re.search(r"while owner/name has no\s+more than (\d+) characters", page)
    assert said is not None
    code = (ROOT / "E3_SendAlert" / "__init__.py").read_text()
    template = re.search(r'text = f"(.*)"', code)
    assert template is not None

    longest = "x" * int(said[1])
    text = template[1].replace("{repo}", longest).replace("{threshold}", "3")

    assert len(text) <= SEGMENT < len(text) + 2
