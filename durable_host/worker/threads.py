"""Calls in the threads of a pool. Those that end while the loop is busy share one wake of it.

The loop's own `run_in_executor` wakes it for each, with a write to a socket; that costs some 2 % of a monitor.
Not here: what is called (`bindings`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Threads:
    """The threads of a pool, as one event loop uses them."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._ended: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._is_woken = False

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it in a thread, in the context of here. Cancelled before a thread is free, it is not called."""
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        running = self._pool.submit(partial(copy_context().run, call, *args, **kwargs))
        running.add_done_callback(partial(self._end, told))
        try:
            return await told
        except asyncio.CancelledError:
            running.cancel()
            raise

    def _end(self, told: "asyncio.Future[Any]", ended: "Future[Any]") -> None:
        """Hand the outcome over, in the thread that has it. What is put there before a look is seen by it."""
        self._ended.append((told, ended))
        loop = told.get_loop()
        if not self._is_woken and not loop.is_closed():
            self._is_woken = True
            loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_woken = False  # First, so that who ends from now on wakes the loop again.
        while self._ended:
            told, ended = self._ended.popleft()
            if told.done():
                continue  # Nobody waits any more.
            error = ended.exception()
            if error is None:
                told.set_result(ended.result())
            else:
                told.set_exception(error)
