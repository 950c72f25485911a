"""Values that differ from run to run: ids, times, keys, ports. Each is bound the first time it is seen.

From then on what was equal in the recording must be equal here, and two different ids must differ here too.
Not here: where such values stand (`comparing`).
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from tests.golden_replay.recording import Recording, instant

_TOKEN = re.compile(
    r"(?P<time>\d{4}-(?:0[1-9]|1[0-2])-(?:[012]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<id>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b[0-9a-f]{32}\b)"
    r"|(?<=localhost:)(?P<port>\d+)|(?<=127\.0\.0\.1:)(?P<rpc_port>\d+)"
    r"|(?<=\bcode=)(?P<key>[^&\s\"'\\]+)"
    r"|(?<= at 0x)(?P<address>[0-9a-f]+)"
    # The recording app had fewer functions than the folder that was published.
    r"|(?<=The following are the known )(?P<functions>\w+ functions: [^.]+)"
)
# Times of a status have whole seconds, the recording's timers fired up to a second early, and a start that
# replaced a live instance took two.
_WHOLE_SECOND_TOLERANCE = timedelta(seconds=3)


# The same texts are compared again and again.
@lru_cache(maxsize=50_000)
def _parts(text: str) -> tuple[list[str], list[tuple[str | None, str]]]:
    """What stands between the values that may differ, and those values, each with its kind."""
    between, tokens, end = [], [], 0
    for found in _TOKEN.finditer(text):
        between.append(text[end : found.start()])
        tokens.append((found.lastgroup, found[0]))
        end = found.end()
    return [*between, text[end:]], tokens


@dataclass
class Binding:
    """Which value here stands for which of the recording.

    Args:
        recording: tells the recording's own times from those that an app or a request made up.
        port: where our host listens; it serves both of the recording's ports.
    """

    recording: Recording
    port: int
    here: dict[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)
    times: dict[datetime, datetime] = field(default_factory=dict)

    def copy(self) -> "Binding":
        """A binding to try an answer on, which may be thrown away."""
        return Binding(self.recording, self.port, dict(self.here), dict(self.recorded), dict(self.times))

    def same(self, recorded: str, here: str) -> bool:
        """Whether two texts are equal but for bound values; binds those that are new."""
        (there_between, there_tokens), (here_between, here_tokens) = _parts(recorded), _parts(here)
        if there_between != here_between:
            return False
        pairs = zip(there_tokens, here_tokens, strict=True)
        return all(kind == other and self._bind(kind, there, ours) for (kind, there), (other, ours) in pairs)

    def _bind(self, kind: str | None, recorded: str, here: str) -> bool:
        if kind == "functions":
            return True
        if kind == "time":
            return self._bind_time(recorded, here)
        if kind not in ("id", "key"):
            return self.here.setdefault(recorded, here) == here
        return (
            self.here.setdefault(recorded, here) == here and self.recorded.setdefault(here, recorded) == recorded
        )

    def _bind_time(self, recorded: str, here: str) -> bool:
        there_at, here_at = instant(recorded), instant(here)
        if not self.recording.is_of(there_at):
            return recorded == here
        if recorded.endswith("Z") != here.endswith("Z"):
            return False
        bound = self.times.setdefault(there_at, here_at)
        return abs(bound - here_at) <= (_WHOLE_SECOND_TOLERANCE if there_at.microsecond == 0 else timedelta(0))

    def _is_of(self, text: str) -> bool:
        try:
            return self.recording.is_of(instant(text))
        except ValueError:  # A request may hold what only looks like a time.
            return False

    def translate(self, text: str, later: timedelta) -> str:
        """The recording's text as it is to be sent here; times not seen yet are moved by `later`."""

        def replace(match: re.Match[str]) -> str:
            text = match[0]
            if match.lastgroup in ("port", "rpc_port"):
                return str(self.port) if text in self.recording.ports else text
            if match.lastgroup != "time" or not self._is_of(text):
                return self.here.get(text, text)
            at = self.times.get(instant(text), instant(text) + later)
            whole = instant(text).microsecond == 0
            return at.strftime("%Y-%m-%dT%H:%M:%S" if whole else "%Y-%m-%dT%H:%M:%S.%f") + (
                "Z" if text.endswith("Z") else "+00:00"
            )

        return _TOKEN.sub(replace, text)

    def translate_target(self, target: str, later: timedelta) -> str:
        """A request's target likewise, whose query may hide times behind percent-encoding."""
        path, mark, query = target.partition("?")
        fields = [part.partition("=") for part in query.split("&")]
        sent = []
        for name, equals, value in fields:
            plain = unquote_plus(value)
            moved = self.translate(plain, later)
            sent.append(name + equals + (value if moved == plain else quote(moved, safe=":")))
        return self.translate(path, later) + mark + "&".join(sent)
