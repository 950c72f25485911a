"""Group commit: the changes that callers wait for, and what the dispatcher has decided, in one transaction.

A change is checked and written within the transaction, and its caller is told once that is on disk, or why it is
not. Not here: what a change is (`instances`), and what is decided (`dispatcher`).
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from durable_host.clock import Clock
from durable_host.errors import HostError, HubError
from durable_host.hub.taskhub import TaskHub

_BATCH = 32
T = TypeVar("T")
Change = tuple[Callable[[], Any], "asyncio.Future[Any]"]
log = logging.getLogger(__name__)


class Writer:
    """Writes to a hub, one batch at a time.

    `problem` is why the last batch could not be written; None when it was. The console hears of the first failure
    and the first success in a row.
    """

    def __init__(self, hub: TaskHub, clock: Clock) -> None:
        self.hub = hub
        self.problem: HubError | None = None
        self._clock = clock
        self._changes: deque[Change] = deque()
        self._closed: HostError | None = None

    @property
    def has_changes(self) -> bool:
        """Whether a caller waits."""
        return bool(self._changes)

    async def submit(self, change: Callable[[], T]) -> T:
        """Run `change` in the next batch; returns its value, or raises its error, once the batch is on disk."""
        if self._closed is not None:
            raise self._closed
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._changes.append((change, done))
        self._clock.wake.set()
        return await done

    @contextmanager
    def batch(self) -> Iterator[None]:
        """One transaction: what the block writes, then callers' changes, each with a savepoint of its own.

        Raises: HubError when nothing was written; its callers have been told so.
        """
        changes = [self._changes.popleft() for _ in range(min(_BATCH, len(self._changes)))]
        outcomes: list[Callable[[], None]] = []
        try:
            if self.problem is not None:
                self.hub.try_write()  # While that fails, no function is called in vain.
            with self.hub.batch():
                self.hub.save_skipped(self._clock.skipped)
                yield
                for change, done in changes:
                    try:
                        with self.hub.change():
                            outcomes.append(partial(_answer, done, change(), None))
                    except HostError as error:
                        outcomes.append(partial(_answer, done, None, error))
        except (sqlite3.Error, HubError) as error:
            _fail(changes, self.fail(error))
            with suppress(sqlite3.Error, HubError):
                # Where only the sync has failed, the log holds what is refused now: write over it.
                self.hub.try_write()
            assert self.problem is not None
            raise self.problem from None
        except Exception as error:
            _fail(changes, HostError(f"The host has stopped working ({type(error).__name__}: {error})."))
            raise
        if self.problem is not None:
            log.warning("The task hub can be written again.")
            self.problem = None
        for answer in outcomes:
            answer()

    def fail(self, error: sqlite3.Error | HubError) -> HubError:
        """The hub cannot be written or read: until the next batch that can be, that is `problem`."""
        problem = _explained(error)
        if self.problem is None:
            log.error("%s", problem)
        self.problem = problem
        return problem

    def close(self, reason: HostError) -> None:
        """Fail all that wait, and whoever comes."""
        self._closed = reason
        _fail(self._changes, reason)
        self._changes.clear()


def _fail(changes: Iterable[Change], error: HostError) -> None:
    for _, done in changes:
        _answer(done, None, error)


def _answer(done: "asyncio.Future[Any]", value: object, error: HostError | None) -> None:
    """Tell the caller who submitted a change, unless it has gone."""
    if done.done():
        return
    if error is None:
        done.set_result(value)
    else:
        done.set_exception(error)


def _explained(error: sqlite3.Error | HubError) -> HubError:
    if isinstance(error, HubError):
        return error
    if isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error):
        return HubError(f"The task hub is damaged ({error}). Stop the host and put a good copy in its place.")
    return HubError(f"The task hub cannot be written ({error}). Nothing of it is lost; free the disk.")
