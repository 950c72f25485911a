"""How often to measure, where to put files, and whom to tell.

Not here: what is measured.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What every bench is given.

    Args:
        runs: how often each thing is measured.
        out: where files may be made; on a real disk, since commits are waited for.
    """

    runs: int
    out: Path

    def in_turns(self, arms: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
        """Measure each arm once, then each again, and so on: a machine's drift is the same under all."""
        values: dict[str, list[T]] = {name: [] for name in arms}
        for turn in range(1, self.runs + 1):
            for name, measure in arms.items():
                values[name].append(measure())
                self.tell(f"  {turn}/{self.runs} {name}: {values[name][-1]}")
        return values

    def tell(self, text: str) -> None:
        """Say on standard error how far it is."""
        print(text, file=sys.stderr, flush=True)
