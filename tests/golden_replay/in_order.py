"""An executor whose calls end in the order and in the batches in which a recording's activities ended.

Where two of them end together, and one fails, what the orchestrator does next depends on that.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any


class InOrder(Executor):
    """Runs calls in threads, and tells of their ends batch by batch, with an episode after each.

    Args:
        batches: the numbers of the calls, in the order of their submission, that end together.
    """

    def __init__(self, batches: list[list[int]]) -> None:
        self._batches = list(batches)
        self._pool = ThreadPoolExecutor(8)
        self._submitted = 0
        self._ended: dict[int, tuple[Future[Any], Future[Any]]] = {}
        self._lock = Lock()
        self._may_end = True

    def episode_ran(self) -> None:
        """Let the next batch end."""
        with self._lock:
            self._may_end = True
            self._tell()

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run a call; what is returned is done once its batch is."""
        told: Future[Any] = Future()
        self._loop = asyncio.get_running_loop()
        number = self._submitted
        self._submitted += 1
        self._pool.submit(call, *args, **kwargs).add_done_callback(partial(self._end, number, told))
        return told

    def _end(self, number: int, told: "Future[Any]", ended: "Future[Any]") -> None:
        with self._lock:
            self._ended[number] = told, ended
            self._tell()

    def _tell(self) -> None:
        if not (self._may_end and self._batches and set(self._batches[0]) <= self._ended.keys()):
            return
        self._may_end = False
        batch = [self._ended.pop(each) for each in self._batches.pop(0)]
        # There, so that the loop takes none of them alone.
        self._loop.call_soon_threadsafe(_hand_over, batch)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def _hand_over(batch: "list[tuple[Future[Any], Future[Any]]]") -> None:
    for waiting, outcome in batch:
        error = outcome.exception()
        if error is None:
            waiting.set_result(outcome.result())
        else:
            waiting.set_exception(error)
