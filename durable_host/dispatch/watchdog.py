"""Names the functions that run for long, from a thread of its own, since one of them may hold the loop up.

Not here: ending them; a thread of Python cannot be ended, and an orchestrator that never yields is its app's bug.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from durable_host.clock import stopwatch_s

_LOOK_S = 1.0
log = logging.getLogger(__name__)


class Watchdog:
    """Watches functions while it is entered.

    Args:
        limit_s: for how many seconds of real time a function may run unnamed.
        stopwatch_s: those seconds.
    """

    def __init__(self, limit_s: float = 30, stopwatch_s: Callable[[], float] = stopwatch_s) -> None:
        self._limit_s = limit_s
        self._stopwatch_s = stopwatch_s
        self._running: dict[object, tuple[str, float]] = {}
        self._named: set[object] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    @contextmanager
    def watching(self, name: str) -> Iterator[None]:
        """Watch a function of this name while the block lasts."""
        call = object()
        self._running[call] = name, self._stopwatch_s()
        try:
            yield
        finally:
            del self._running[call]

    def look(self) -> None:
        """Name the functions that have reached the limit since the last look."""
        now_s = self._stopwatch_s()
        running = list(self._running.items())
        for call, (name, started_s) in running:
            if now_s - started_s >= self._limit_s and call not in self._named:
                self._named.add(call)
                log.warning("Function '%s' has been running for %d s.", name, now_s - started_s)
        self._named.intersection_update(call for call, _ in running)

    def _run(self) -> None:
        while not self._ended.wait(min(self._limit_s, _LOOK_S)):
            self.look()
