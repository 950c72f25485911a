"""The threads of a worker: one for orchestrators, with more when one of them holds the others up, and a pool.

Not here: what runs in them (`serving`).
"""

import os
import re
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

_PATIENCE_S = 1.0
_MOST = 1000  # Source: the functions host sets PYTHON_THREADPOOL_THREAD_COUNT to it where it is unset.


def pool() -> ThreadPoolExecutor:
    """For synchronous functions; its threads are made as they are needed."""
    text = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    most = int(text) if re.fullmatch("0*[1-9][0-9]{0,3}", text) else _MOST
    return ThreadPoolExecutor(most, thread_name_prefix="function")


class OneByOne(Executor):
    """Runs calls one at a time, in a daemon thread; one that has run for a second no longer holds the others up.

    `idle` is called in the thread when no call waits any more, and while one runs for long.
    """

    def __init__(self, idle: Callable[[], None]) -> None:
        self._idle = idle
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._current: object | None = None  # The call after which its thread takes the next.
        self._closed = threading.Event()
        for name, target in (("orchestrators", self._work), ("orchestrators' watch", self._watch)):
            threading.Thread(target=target, name=name, daemon=True).start()

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run a call once those before it have ended."""
        future: Future[Any] = Future()
        with self._changed:
            self._calls.append((partial(call, *args, **kwargs), future))
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; what runs is left to itself."""
        with self._changed:
            self._closed.set()
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._calls and not self._closed.is_set():
                    self._changed.wait()
                if self._closed.is_set():
                    return
                call, future = self._calls.popleft()
                token = self._current = object()
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - Whoever holds the future is told; the thread goes on.
                future.set_exception(error)
            with self._changed:
                is_overtaken = self._current is not token  # Another thread takes the next, or waits for one.
                if not is_overtaken:
                    self._current = None
                is_idle = is_overtaken or not self._calls
            if is_idle:
                self._idle()
            if is_overtaken:
                return

    def _watch(self) -> None:
        seen = None
        while not self._closed.wait(_PATIENCE_S):
            with self._changed:
                is_stuck = self._current is not None and self._current is seen
                seen = self._current
                if is_stuck and self._calls:
                    self._current = None
                    threading.Thread(target=self._work, name="orchestrators", daemon=True).start()
            if is_stuck:
                self._idle()
