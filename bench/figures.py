"""A measured figure with its spread, its peer and its goal; a table of them, and the JSON.

Not here: measuring.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure is meant to reach: a limit, of the figure itself or of its ratio to the peer."""

    kind: Literal["at least", "at most"]
    limit: float
    of: Literal["figure", "ratio"] = "figure"

    def __str__(self) -> str:
        """Such as "at least 4x"."""
        return f"{self.kind} {number(self.limit)}{'x' if self.of == 'ratio' else ''}"

    def is_reached(self, value: float) -> bool:
        """Whether the value lies on the right side of the limit."""
        return value >= self.limit if self.kind == "at least" else value <= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Args:
        bench: the bench that measured it.
        what: what was measured, console lines included when they were on.
        unit: of `runs` and `peer_runs`.
        runs: one value a run.
        peer: what it was measured beside, turn by turn; "" for nothing.
        peer_runs: the peer's values; empty when there is no peer, or none could be measured.
        missing: why the peer could not be measured.
    """

    bench: str
    what: str
    unit: str
    runs: Sequence[float]
    goal: Goal | None = None
    peer: str = ""
    peer_runs: Sequence[float] = ()
    missing: str = ""

    @property
    def ratio(self) -> float | None:
        """The median over the runs of figure by peer."""
        if not self.peer_runs:
            return None
        return median(own / peer for own, peer in zip(self.runs, self.peer_runs, strict=True))

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached; None without a goal, or when its peer is missing."""
        value = median(self.runs) if self.goal is None or self.goal.of == "figure" else self.ratio
        return None if self.goal is None or value is None else self.goal.is_reached(value)

    def to_json(self) -> dict[str, Any]:
        """The figure as the results file holds it."""
        return {
            "bench": self.bench,
            "what": self.what,
            "unit": self.unit,
            "median": median(self.runs),
            "runs": list(self.runs),
            "peer": self.peer or None,
            "peer_median": median(self.peer_runs) if self.peer_runs else None,
            "peer_runs": list(self.peer_runs),
            "peer_missing": self.missing or None,
            "ratio": self.ratio,
            "goal": None if self.goal is None else str(self.goal),
            "reached": self.is_reached,
        }


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table: median and spread, the peer's, the ratio, the goal."""
    lines = [
        "| | figure | spread | peer | figure | spread | ratio | goal | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for figure in figures:
        peer = f"{figure.peer} (not measured: {figure.missing})" if figure.missing else figure.peer
        cells = (
            figure.what,
            f"{number(median(figure.runs))} {figure.unit}",
            _spread(figure.runs),
            peer,
            f"{number(median(figure.peer_runs))} {figure.unit}" if figure.peer_runs else "",
            _spread(figure.peer_runs),
            "" if figure.ratio is None else f"{number(figure.ratio)}x",
            "" if figure.goal is None else str(figure.goal),
            {None: "", True: "reached", False: "short"}[figure.is_reached],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""


def number(value: float) -> str:
    """Three digits that count, and no exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"
