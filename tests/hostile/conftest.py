"""Fixtures, and the table that is printed in the end: each test with its count of cases and its time."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from durable_host import Host, RealClock
from tests.golden_app import GOLDEN_APP

Count = Callable[[int], None]


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """Says how many cases a test has tried; without it, a test is one case."""
    return lambda cases: record_property("cases", cases)


@pytest.fixture
async def golden(tmp_path: Path) -> AsyncIterator[Host]:
    """The golden app, whose orchestrators do one small thing each, on a host in real time."""
    async with Host(GOLDEN_APP, hub=tmp_path / "golden.db", clock=RealClock(), in_process=True) as host:
        yield host


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    cases: dict[tuple[str, str], int] = defaultdict(int)
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        file, _, name = report.nodeid.partition("::")
        is_counted = Path(file).parent.name == "hostile" or "cases" in dict(report.user_properties)
        if is_counted and report.when == "call":
            test = Path(file).stem.removeprefix("test_"), name.partition("[")[0].removeprefix("test_")
            cases[test] += int(dict(report.user_properties).get("cases", 1))
            seconds[test] += report.duration
    if not cases:
        return
    terminalreporter.section("hostile input, races and faults")
    for file, name in cases:
        key = file, name
        terminalreporter.line(f"{cases[key]:7,} cases {seconds[key]:6.1f} s  {file}: {name.replace('_', ' ')}")
    terminalreporter.line(f"{sum(cases.values()):7,} cases {sum(seconds.values()):6.1f} s")
