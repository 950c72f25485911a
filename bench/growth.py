"""What a check costs after many others, with continue as new and without.

Not here: the monitors (`endless`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from bench.charts import Line, lines
from bench.endless import CHECKS_PER_GENERATION
from bench.figures import Figure, Goal
from bench.plan import Plan
from bench.processes import output, python

NAME = "growth"
_EPISODES_PER_GENERATION = 2 * CHECKS_PER_GENERATION + 1
_EARLY, _LATE = 2, 80
_MANY = 10_000
_POINTS = {f"check {count + 1:,} of a monitor": count for count in (1, 10, 100, 1_000, _MANY)}
_WITHOUT = "never continued as new"


@dataclass(frozen=True, slots=True)
class Generations:
    """The mean episode of an early and of a late generation of one monitor."""

    early_ms: float
    late_ms: float

    def __str__(self) -> str:
        """For the one who waits."""
        return f"generation {_EARLY} {self.early_ms:.2f} ms, generation {_LATE} {self.late_ms:.2f} ms"


def measure(plan: Plan) -> list[Figure]:
    """The real app's generations, its 10,000 checks, and what continue as new saves."""
    generations = plan.in_turns({"the real app": lambda: _generations(plan)})["the real app"]
    total_s = sum(_episodes(plan, "real", _MANY))
    plan.tell(f"  {_MANY:,} checks of E3_Monitor: {total_s:.1f} s")
    renewed = _episodes(plan, "renewed", _MANY)
    plan.tell(f"  {_MANY:,} checks of the bench's monitor: {sum(renewed):.1f} s")
    figures = [
        Figure(
            NAME,
            f"mean episode of generation {_LATE} of an E3_Monitor",
            "ms",
            [each.late_ms for each in generations],
            Goal("at most", 1.1, "ratio"),
            f"generation {_EARLY}",
            [each.early_ms for each in generations],
        ),
        Figure(NAME, f"{_MANY:,} checks of an E3_Monitor, time skipped", "s", [total_s], Goal("at most", 60)),
    ]
    for what, count in _POINTS.items():
        # The last one is not whole.
        generation = min(count // CHECKS_PER_GENERATION, _MANY // CHECKS_PER_GENERATION - 1)
        with_ms = 1000 * sum(_of_generation(renewed, generation)) / CHECKS_PER_GENERATION
        # Timer to activity, activity to the next timer; the third episode is the end.
        without_ms = 1000 * sum(_episodes(plan, "grown", count)[:2])
        figures.append(Figure(NAME, what, "ms", [with_ms], None, _WITHOUT, [without_ms]))
        plan.tell(f"  {what}: {with_ms:.2f} ms, {_WITHOUT} {without_ms:.2f} ms")
    return figures


def chart(figures: Sequence[Figure]) -> str:
    """The cost of a check over the checks before it, as SVG."""
    points = [(_POINTS[figure.what], figure) for figure in figures if figure.what in _POINTS]
    return lines(
        "Cost of a check in ms, after so many checks",
        [
            Line("without continue as new", [(count, figure.peer_runs[0]) for count, figure in points]),
            Line("continue as new after every 12th check", [(count, figure.runs[0]) for count, figure in points]),
        ],
    )


def _generations(plan: Plan) -> Generations:
    seconds = _episodes(plan, "real", (_LATE + 1) * CHECKS_PER_GENERATION)
    return Generations(*(1000 * mean(_of_generation(seconds, each - 1)) for each in (_EARLY, _LATE)))


def _of_generation(seconds: Sequence[float], index: int) -> Sequence[float]:
    return seconds[index * _EPISODES_PER_GENERATION : (index + 1) * _EPISODES_PER_GENERATION]


def _episodes(plan: Plan, kind: str, count: int) -> list[float]:
    command = python("bench.endless", kind, str(count))
    seconds: list[float] = json.loads(output(command, {"BENCH_OUT": str(plan.out)}))
    return seconds
