"""One instance that calls 1,000 or 4,000 activities at once and waits for all, from POST to Completed.

Not here: the orchestrator (`app/FanOut`).
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import before
from bench.figures import Figure, Goal
from bench.peers.install import PeerMissing
from bench.plan import Plan
from bench.processes import ROOT, output, python

NAME = "fan_out"
_FEW, _MANY = 1000, 4000
_WHAT = "fan-out of {:,} activities that answer at once, POST to Completed"


def measure(plan: Plan) -> list[Figure]:
    """Fan out to few and to many, and to few before, in turns."""
    few, many = f"{_FEW:,}", f"{_MANY:,}"
    arms: dict[str, Callable[[], float]] = {
        few: partial(_seconds, plan, _FEW, ROOT),
        many: partial(_seconds, plan, _MANY, ROOT),
    }
    missing = ""
    try:
        arms[before.NAME] = partial(_seconds, plan, _FEW, before.folder(plan.out))
    except PeerMissing as reason:
        missing = str(reason)
        plan.tell(f"  {reason}")
    seconds = plan.in_turns(arms)
    then = seconds.get(before.NAME, [])
    return [
        Figure(
            NAME, _WHAT.format(_FEW), "s", seconds[few], Goal("at most", 0.6, "ratio"), before.NAME, then, missing
        ),
        Figure(NAME, _WHAT.format(_MANY), "s", seconds[many], Goal("at most", 5, "ratio"), few, seconds[few]),
    ]


def _seconds(plan: Plan, count: int, folder: Path) -> float:
    command = python("bench.own", "fan_out", str(count))
    seconds: float = json.loads(output(command, {"BENCH_OUT": str(plan.out)}, folder=folder))
    return seconds
