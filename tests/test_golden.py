"""Our host against every recording of Microsoft's engine that lies in `tests/golden`.

A recording dropped into `http` (with its episodes in `episodes`) is a test. What may differ is listed in
`known_differences.json`; an entry whose difference is gone fails. How it works: `golden_replay`.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_host import Host
from durable_host.errors import FunctionFailed
from tests import golden_app
from tests.golden_replay import client_calls, known, recording, replaying, summary
from tests.golden_replay.in_order import InOrder
from tests.host.stepped import SteppedClock

APP = golden_app.WHOLE
NAMES = sorted(path.stem for path in (recording.GOLDEN / "http").glob("*.json"))


def _with_options(options: dict[str, Any], app: Path) -> Path:
    """A copy of the app whose host.json has the recording's options."""
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    host_json = json.loads((APP / "host.json").read_text())
    host_json["extensions"]["durableTask"] = options
    (app / "host.json").write_text(json.dumps(host_json))
    return app


@pytest.fixture(scope="module")
def known_differences(request: pytest.FixtureRequest) -> Iterator[known.KnownDifferences]:
    differences = known.load(recording.GOLDEN / "known_differences.json")
    yield differences
    # A file's tests run in one process, which has met all of them in the end.
    chosen = {item.name.partition("[")[2][:-1] for item in request.session.items if item.path == request.path}
    if chosen == set(NAMES):
        assert not differences.stale("*"), "differences that no recording shows any more"


@pytest.mark.parametrize("name", NAMES)
async def test_our_host_answers_and_replays_as_recorded(
    name: str,
    known_differences: known.KnownDifferences,
    tmp_path: Path,
    in_process: bool,
    record_property: Callable[[str, object], None],
) -> None:
    recorded = recording.load(name)
    if recorded.lacks:
        pytest.skip(f"{recorded.lacks}: not there yet")
    if recorded.options:
        app = _with_options(recorded.options, tmp_path / "app")
    else:
        text = (recording.GOLDEN / "http" / f"{name}.json").read_text(encoding="utf-8")
        # A failure that lists the app's functions lists all of them.
        app = APP if "the known" in text else golden_app.part_of_golden(text, tmp_path / "app")
    seen = replaying.Seen(app)

    before = recorded.began_at - timedelta(minutes=1) - datetime.now(UTC)  # noqa: TID251 - To set the clock back.
    clock = SteppedClock(before) if recorded.tells_dates else None
    pool = InOrder(recorded.ended_together) if recorded.ended_together else None

    def on_episode(instance_id: str, function: str, context: str, answer: str | FunctionFailed) -> None:
        seen.add(instance_id, function, context, answer)
        if pool is not None:
            pool.episode_ran()

    hub = tmp_path / "hub.db"
    async with Host(
        app, hub=hub, on_episode=on_episode, clock=clock, executor=pool, in_process=in_process
    ) as host:
        replay = replaying.Replay(recorded, host, seen)
        await replay.run()
        found = list(replay.differences())
    if recorded.calls:
        async with Host(app, hub=tmp_path / "calls.db", in_process=in_process) as host:
            differing = await client_calls.differing_calls(recorded, host)
            found += [(f"http/{name}.json", difference) for difference in differing]

    unknown = [(file, difference) for file, difference in found if known_differences.is_unknown(file, difference)]
    problems = [f"{file}: {difference}" for file, difference in unknown]
    for kind in ("http", "episodes"):
        problems += [f"known, but gone: {entry}" for entry in known_differences.stale(f"{kind}/{name}.json")]
    record_property("golden", asdict(replay.score) | summary.counts(found, unknown))
    if problems:
        shown, more = problems[:20], len(problems) - 20
        pytest.fail("\n".join([*shown, f"... and {more} more"] if more > 0 else shown), pytrace=False)
