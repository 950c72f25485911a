"""The known differences: what the local host cannot or should not copy, as data beside the recordings.

An entry is `{"file", "path", "why"}`; `file` is a recording ("http/NAME.json") or "*", and a `*` in `path` stands
for any text. `why` is a row of docs/differences.md, or what is peculiar to the recording. Not here: finding the
differences (`comparing`).
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.golden_replay.comparing import Difference


@dataclass(frozen=True)
class Entry:
    """One known difference."""

    file: str
    path: str
    why: str

    def covers(self, file: str, difference: Difference) -> bool:
        """Whether this is the difference that the entry speaks of."""
        pattern = ".*".join(re.escape(part) for part in self.path.split("*"))
        return self.file in (file, "*") and re.fullmatch(pattern, difference.path) is not None


@dataclass
class KnownDifferences:
    """All entries, and which of them were met so far."""

    entries: list[Entry]
    met: set[Entry] = field(default_factory=set)

    def is_unknown(self, file: str, difference: Difference) -> bool:
        """Whether no entry covers the difference; those that do are met."""
        covering = [entry for entry in self.entries if entry.covers(file, difference)]
        self.met.update(covering)
        return not covering

    def stale(self, file: str) -> list[Entry]:
        """The entries for this file (or, for "*", those for every file) whose difference has not been met."""
        return [entry for entry in self.entries if entry.file == file and entry not in self.met]


def load(path: Path) -> KnownDifferences:
    """Read the entries from a JSON file."""
    return KnownDifferences([Entry(**entry) for entry in json.loads(path.read_text("utf-8"))])
