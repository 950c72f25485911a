"""By how much durable timers are late, with nothing else to do and under the load of `monitors`; never early.

Not here: the timers (`app/Timers`).
"""

import json
from dataclasses import dataclass

from bench.client import percentile
from bench.figures import Figure, Goal
from bench.plan import Plan
from bench.processes import output, python

NAME = "timers"
_STARTERS = 112  # With the 16 rows of timers: as many in flight as in `monitors`.


def measure(plan: Plan) -> list[Figure]:
    """Some hundred timers a run."""
    late_ms = plan.in_turns({"idle": lambda: _late(plan, 0), "loaded": lambda: _late(plan, _STARTERS)})
    figures = [
        Figure(
            NAME,
            f"lateness of a timer, {name}, p99",
            "ms",
            [late.p99_ms for late in late_ms[name]],
            Goal("at most", limit),
        )
        for name, limit in (("idle", 20), ("loaded", 250))
    ]
    early = [float(sum(late.early for late in pair)) for pair in zip(*late_ms.values(), strict=True)]
    return [*figures, Figure(NAME, "timers fired early", "", early, Goal("at most", 0))]


@dataclass(frozen=True, slots=True)
class Late:
    """By how many ms the timers of a run were late at most, but for one in a hundred; how many were early."""

    count: int
    p99_ms: float
    early: int

    def __str__(self) -> str:
        """For the one who waits."""
        return f"p99 {self.p99_ms:.1f} ms of {self.count}, {self.early} early"


def _late(plan: Plan, starters: int) -> Late:
    late_ms = sorted(
        json.loads(output(python("bench.own", "timers", str(starters)), {"BENCH_OUT": str(plan.out)}))
    )
    return Late(len(late_ms), percentile(late_ms, 0.99), sum(each < 0 for each in late_ms))
