"""Changes that wait for the next batch, each with the caller who waits for it to be on disk.

Not here: what a change is (`instances`) and the batch (`dispatcher`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from durable_host.clock import Clock

T = TypeVar("T")
Change = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Inbox:
    """A queue of changes to the hub; `clock.wake` is set when one comes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changes: deque[Change] = deque()
        self._closed: Exception | None = None

    def __len__(self) -> int:
        return len(self._changes)

    async def submit(self, change: Callable[[], T]) -> T:
        """Run `change` in the next batch; returns its value, or raises its error, once the batch is on disk."""
        if self._closed is not None:
            raise self._closed
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._changes.append((change, done))
        self._clock.wake.set()
        return await done

    def take(self, limit: int) -> list[Change]:
        """The first `limit` changes, oldest first."""
        return [self._changes.popleft() for _ in range(min(limit, len(self._changes)))]

    def close(self, reason: Exception) -> None:
        """Fail all that wait, and whoever comes."""
        self._closed = reason
        for _, done in self.take(len(self)):
            if not done.done():
                done.set_exception(reason)
