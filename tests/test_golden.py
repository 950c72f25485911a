"""Our host against every recording of Microsoft's engine that lies in `tests/golden`.

A recording dropped into `http` (with its episodes in `episodes`) is a test. What may differ is listed in
`known_differences.json`; an entry whose difference is gone fails. How it works: `golden_replay`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest

from durable_host import Host
from tests.golden_replay import client_calls, known, recording, replaying
from tests.golden_replay.comparing import Difference

APP = Path(__file__).parent / "fixture_apps" / "golden"
NAMES = sorted(path.stem for path in (recording.GOLDEN / "http").glob("*.json"))
PART = re.compile(r"(exchanges)\[\d+\]|(instances)\[.+\]\[\d+\]\.episodes\[\d+\]")


@dataclass
class Report:
    """What this run has compared; prints itself at pytest's end."""

    known: known.KnownDifferences
    replayed: set[str] = field(default_factory=set)
    total: replaying.Score = field(default_factory=replaying.Score)
    differing: set[tuple[str, str]] = field(default_factory=set)
    failing: set[tuple[str, str]] = field(default_factory=set)

    def judge(self, name: str, score: replaying.Score, found: list[tuple[str, Difference]]) -> list[str]:
        """What is wrong with a recording: differences that are not known, and known ones that are gone."""
        self.replayed.add(name)
        for counter in fields(score):
            setattr(self.total, counter.name, getattr(self.total, counter.name) + getattr(score, counter.name))
        unknown = [(file, difference) for file, difference in found if self.known.is_unknown(file, difference)]
        self.differing |= _parts(found)
        self.failing |= _parts(unknown)
        stale = [e for kind in ("http", "episodes") for e in self.known.stale(f"{kind}/{name}.json")]
        return [
            *(f"{file}: {difference}" for file, difference in unknown),
            *(f"known, but gone: {e}" for e in stale),
        ]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        def line(kind: str, total: int) -> str:
            differing, failing = (
                sum(part.startswith(kind) for _, part in s) for s in (self.differing, self.failing)
            )
            known_only = differing - failing
            return f"{total}: {total - differing} equal, {known_only} but for known differences, {failing} not"

        terminalreporter.section(f"golden: {len(self.replayed)} recordings")
        terminalreporter.write_line(f"exchanges, {line('exchanges', self.total.exchanges)}")
        terminalreporter.write_line(
            f"    {self.total.loose} of them were compared but for how far their instance was"
        )
        terminalreporter.write_line(f"episodes, {line('instances', self.total.episodes)}")
        terminalreporter.write_line(f"    {self.total.rebatched} more had their messages in other batches here")
        terminalreporter.write_line(f"known differences: {len(self.known.met)} met of {len(self.known.entries)}")


def _parts(found: list[tuple[str, Difference]]) -> set[tuple[str, str]]:
    """The exchanges and episodes that the differences stand in."""
    parts = ((file, PART.match(difference.path)) for file, difference in found)
    return {(file, part[0]) for file, part in parts if part}


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    report = Report(known.load(recording.GOLDEN / "known_differences.json"))
    request.config.pluginmanager.register(report)
    yield report
    if report.replayed == set(NAMES):
        assert not report.known.stale("*"), "differences that no recording shows any more"


@pytest.mark.parametrize("name", NAMES)
async def test_our_host_answers_and_replays_as_recorded(name: str, report: Report, tmp_path: Path) -> None:
    recorded, seen = recording.load(name), replaying.Seen(APP)

    async with Host(APP, hub=tmp_path / "hub.db", on_episode=seen.add) as host:
        replay = replaying.Replay(recorded, host, seen)
        await replay.run()
        found = list(replay.differences())
    if recorded.calls:
        async with Host(APP, hub=tmp_path / "calls.db") as host:
            differing = await client_calls.differing_calls(recorded, host)
            found += [(f"http/{name}.json", difference) for difference in differing]

    problems = report.judge(name, replay.score, found)
    if problems:
        shown, more = problems[:20], len(problems) - 20
        pytest.fail("\n".join([*shown, f"... and {more} more"] if more > 0 else shown), pytrace=False)
