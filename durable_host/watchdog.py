"""Names the functions that run for long, from a thread of its own, since one of them may hold the loop up.

Not here: ending them; a thread of Python cannot be ended, and an orchestrator that never yields is its app's bug.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from durable_host.clock import stopwatch_s

_LOOK_S = 1.0
log = logging.getLogger(__name__)


class Watchdog:
    """Watches functions while it is entered.

    Args:
        limit_s: for how many seconds of real time a function may run unnamed.
    """

    def __init__(self, limit_s: float = 30) -> None:
        self._limit_s = limit_s
        self._running: dict[object, tuple[str, float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    @contextmanager
    def watching(self, name: str) -> Iterator[None]:
        """Watch a function of this name while the block lasts."""
        call = object()
        self._running[call] = name, stopwatch_s()
        try:
            yield
        finally:
            del self._running[call]

    def _look(self) -> None:
        named: set[object] = set()
        while not self._ended.wait(min(self._limit_s, _LOOK_S)):
            now_s = stopwatch_s()
            for call, (name, started_s) in list(self._running.items()):
                if now_s - started_s >= self._limit_s and call not in named:
                    named.add(call)
                    log.warning("Function '%s' has been running for %d s.", name, now_s - started_s)
            named.intersection_update(self._running)
