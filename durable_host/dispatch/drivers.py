"""Where a worker lives: a process of its own (`process`), a thread of this one, or inline in the host's loop.

Each driver takes messages for the worker, in order, and hands over what the worker says, in the host's event loop.
Not here: what the messages mean (`workers`).
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, Protocol

from durable_host.worker.protocol import Message, ToWorker

_END_S = 2.0
log = logging.getLogger(__name__)
OnMessage = Callable[[Any], None]
OnEnd = Callable[[str], None]


class Driver(Protocol):
    """One worker, from `open` until `close` or its own end."""

    def open(self, on_message: OnMessage, on_end: OnEnd) -> None:
        """Begin. `on_end` is told, in words, how the worker ended by itself."""

    def send(self, messages: Iterable[ToWorker]) -> None:
        """Have the worker take these."""

    async def close(self) -> None:
        """End it, whatever it has under way."""


class Thread:
    """A worker in a thread of this process, so that fixtures, fakes, coverage and a debugger reach the app.

    It leaves stdin, stdout and the log alone. A call that hangs cannot be ended: it is named, and left.
    """

    def __init__(self) -> None:
        self._told: deque[Message] = deque()
        self._is_woken = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def open(self, on_message: OnMessage, on_end: OnEnd) -> None:
        """Begin."""
        from durable_host.worker import threads
        from durable_host.worker.serving import Serving

        self._on_message = on_message
        self._host_loop = asyncio.get_running_loop()
        self._orchestrators = threads.OneByOne(lambda: None)
        self._serving = Serving(self._tell, self._tell, self._loop, self._orchestrators, threads.pool)
        self._thread.start()

    def send(self, messages: Iterable[ToWorker]) -> None:
        """Have the worker take these."""
        for message in messages:
            self._serving.receive(message)

    async def close(self) -> None:
        """End it. What runs in its threads is left to itself."""
        ended = asyncio.run_coroutine_threadsafe(self._serving.close(), self._loop)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(ended), _END_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._orchestrators.shutdown()
        self._thread.join(_END_S)
        if self._thread.is_alive():
            log.warning("A function of the app blocks the worker's event loop, and is left to itself.")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _tell(self, message: Message) -> None:
        # Those that come while the host's loop is busy share one wake of it.
        self._told.append(message)
        if not self._is_woken:
            self._is_woken = True
            with suppress(RuntimeError):  # The loop is closed: nobody wants to know.
                self._host_loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._is_woken = False  # First, so that who speaks from now on wakes the loop again.
        while self._told:
            self._on_message(self._told.popleft())


class Inline:
    """A worker in the host's own loop: everything happens in one order, which simulations and recordings need.

    Args:
        pool: where synchronous functions run; by default at once, in the caller's thread.
    """

    def __init__(self, pool: Executor | None = None) -> None:
        self._pool = pool or AtOnce()

    def open(self, on_message: OnMessage, on_end: OnEnd) -> None:
        """Begin."""
        from durable_host.worker.serving import Serving

        loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._thread = threading.get_ident()
        self._host_loop = loop
        self._serving = Serving(self._tell, self._tell, loop, AtOnce(), lambda: self._pool)

    def send(self, messages: Iterable[ToWorker]) -> None:
        """Have the worker do these, one after the other."""
        for message in messages:
            self._serving.receive(message)

    async def close(self) -> None:
        """End it."""
        await self._serving.close()

    def _tell(self, message: Message) -> None:
        if threading.get_ident() == self._thread:
            self._on_message(message)
        else:
            with suppress(RuntimeError):  # The loop is closed: nobody wants to know.
                self._host_loop.call_soon_threadsafe(self._on_message, message)


class AtOnce(Executor):
    """Runs each call within `submit`."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run a call."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - Whoever holds the future is told.
            future.set_exception(error)
        return future
