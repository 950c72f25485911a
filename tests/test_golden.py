"""Our host against every recording of Microsoft's engine that lies in `tests/golden`.

A recording dropped into `http` (with its episodes in `episodes`) is a test. What may differ is listed in
`known_differences.json`; an entry whose difference is gone fails. How it works: `golden_replay`.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_host import Host
from durable_host.errors import FunctionFailed
from tests.golden_replay import client_calls, known, recording, replaying
from tests.golden_replay.comparing import Difference
from tests.golden_replay.in_order import InOrder
from tests.host.stepped import SteppedClock

APP = Path(__file__).parent / "fixture_apps" / "golden"
NAMES = sorted(path.stem for path in (recording.GOLDEN / "http").glob("*.json"))
PART = re.compile(r"(exchanges)\[\d+\]|(instances)\[.+\]\[\d+\]\.episodes\[\d+\]")


@dataclass
class Report:
    """What this run has compared; prints itself at pytest's end."""

    known: known.KnownDifferences
    replayed: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)
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
        for what, count in Counter(self.skipped.values()).items():
            terminalreporter.write_line(f"{count} more skipped: {what} is not there yet")
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


def _with_options(options: dict[str, Any], app: Path) -> Path:
    """A copy of the app whose host.json has the recording's options."""
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    host_json = json.loads((APP / "host.json").read_text())
    host_json["extensions"]["durableTask"] = options
    (app / "host.json").write_text(json.dumps(host_json))
    return app


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    report = Report(known.load(recording.GOLDEN / "known_differences.json"))
    request.config.pluginmanager.register(report)
    yield report
    if report.replayed | set(report.skipped) == set(NAMES):
        assert not report.known.stale("*"), "differences that no recording shows any more"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", NAMES)
async def test_our_host_answers_and_replays_as_recorded(name: str, report: Report, tmp_path: Path) -> None:
    recorded = recording.load(name)
    if recorded.lacks:
        report.skipped[name] = recorded.lacks
        pytest.skip(f"{recorded.lacks}: not there yet")
    app = _with_options(recorded.options, tmp_path / "app") if recorded.options else APP
    seen = replaying.Seen(app)

    before = recorded.began_at - timedelta(minutes=1) - datetime.now(UTC)  # noqa: TID251 - To set the clock back.
    clock = SteppedClock(before) if recorded.tells_dates else None
    pool = InOrder(recorded.ended_together) if recorded.ended_together else None

    def on_episode(instance_id: str, function: str, context: str, answer: str | FunctionFailed) -> None:
        seen.add(instance_id, function, context, answer)
        if pool is not None:
            pool.episode_ran()

    async with Host(app, hub=tmp_path / "hub.db", on_episode=on_episode, clock=clock, executor=pool) as host:
        replay = replaying.Replay(recorded, host, seen)
        await replay.run()
        found = list(replay.differences())
    if recorded.calls:
        async with Host(app, hub=tmp_path / "calls.db") as host:
            differing = await client_calls.differing_calls(recorded, host)
            found += [(f"http/{name}.json", difference) for difference in differing]

    problems = report.judge(name, replay.score, found)
    if problems:
        shown, more = problems[:20], len(problems) - 20
        pytest.fail("\n".join([*shown, f"... and {more} more"] if more > 0 else shown), pytrace=False)
