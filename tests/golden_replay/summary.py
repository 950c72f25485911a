"""What a run has compared with the recordings, printed at its end, whichever processes the tests ran in.

Not here: the comparison (`comparing`).
"""

import re
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.golden_replay.comparing import Difference

PART = re.compile(r"exchanges\[\d+\]|instances\[.+\]\[\d+\]\.episodes\[\d+\]")
Found = Iterable[tuple[str, Difference]]


def counts(found: Found, unknown: Found) -> dict[str, int]:
    """How many exchanges and episodes differ in some way, and how many of them in a way that is not known."""
    return {
        f"{kind} {what}": sum(part.startswith(kind) for part in _parts(differences))
        for what, differences in (("differing", found), ("failing", unknown))
        for kind in ("exchanges", "instances")
    }


def _parts(differences: Found) -> set[str]:
    """The exchanges and episodes that the differences stand in."""
    return {part[0] for _, difference in differences if (part := PART.match(difference.path)) is not None}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what the tests have recorded as their property "golden"."""
    reports = (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed"))
    properties = [dict(report.user_properties) for report in reports]
    compared = [each["golden"] for each in properties if "golden" in each]
    if not compared:
        return
    total: Counter[str] = Counter()
    for each in compared:
        total.update(each)

    def line(count: int, kind: str) -> str:
        differing, failing = total[f"{kind} differing"], total[f"{kind} failing"]
        known = differing - failing
        return f"{count}: {count - differing} equal, {known} but for known differences, {failing} not"

    terminalreporter.section(f"golden: {len(compared)} recordings")
    terminalreporter.write_line(f"exchanges, {line(total['exchanges'], 'exchanges')}")
    terminalreporter.write_line(f"    {total['loose']} of them were compared but for how far their instance was")
    terminalreporter.write_line(f"episodes, {line(total['episodes'], 'instances')}")
    terminalreporter.write_line(f"    {total['rebatched']} more had their messages in other batches here")
