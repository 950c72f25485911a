"""Where a worker lives: in a process of its own, in a thread of this one, or inline in the host's own loop.

Each driver takes messages for the worker, in order, and hands over what the worker says, in the host's event loop.
Not here: what the messages mean (`workers`).
"""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from durable_host.dispatch.spawning import advice, spawn
from durable_host.worker.protocol import Decoder, Message, NotReady, ToWorker, encode

_CHUNK = 1 << 20
_END_S = 2.0
_LAST_READS = 100
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


class Process:
    """A worker in a process of its own.

    Args:
        process: one that was spawned early, if any.
    """

    def __init__(self, root: Path, python: str | None, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self.python = python or sys.executable
        self._root = root
        self._process = process or spawn(root, python)
        self._decoder = Decoder()
        self._words = bytearray()
        self._outgoing = bytearray()
        self._written: deque[bytes] = deque()  # On Windows, for the thread that writes.
        self._has_more = threading.Semaphore(0)
        self._is_closed = False

    def open(self, on_message: OnMessage, on_end: OnEnd) -> None:
        """Begin to read what it says, and what the app prints."""
        self._on_message = on_message
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        self._stdin = stdin.fileno()
        pipes = {stdout.fileno(): self._take, stderr.fileno(): self._print}
        if sys.platform == "win32":
            threading.Thread(target=self._write_all, daemon=True).start()
        else:
            os.set_blocking(self._stdin, False)
        readers = [partial(self._read_all, descriptor, take) for descriptor, take in pipes.items()]
        if sys.platform != "win32":
            for descriptor, take in pipes.items():
                os.set_blocking(descriptor, False)
                self._loop.add_reader(descriptor, self._read, descriptor, take)
            readers = []
        threading.Thread(target=self._wait, args=(readers, tuple(pipes.items())), daemon=True).start()

    def send(self, messages: Iterable[ToWorker]) -> None:
        """Write these, as far as the pipe takes them now; the rest goes on when it takes more."""
        if self._is_closed:
            return  # The pipe's number may be another file's by now.
        data = b"".join(map(encode, messages))
        if sys.platform == "win32":
            self._written.append(data)
            self._has_more.release()
        else:
            is_waiting = bool(self._outgoing)
            self._outgoing += data
            if not is_waiting:
                self._write()

    async def close(self) -> None:
        """End it at once."""
        self._is_closed = True
        self._forget()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def _forget(self) -> None:
        """Neither read nor write any more; the pipes are closed."""
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            return  # Its number may be another file's by now.
        self._outgoing.clear()
        if sys.platform != "win32":
            self._loop.remove_writer(self._stdin)
        for stream in (self._process.stdout, self._process.stderr, self._process.stdin):
            assert stream is not None
            if sys.platform != "win32":
                self._loop.remove_reader(stream.fileno())
            with suppress(OSError):
                stream.close()

    def _write(self) -> None:
        try:
            while self._outgoing:
                with memoryview(self._outgoing) as data:
                    written = os.write(self._stdin, data[:_CHUNK])
                del self._outgoing[:written]
        except BlockingIOError:
            self._loop.add_writer(self._stdin, self._write)
            return
        except OSError:  # It has ended, which is told when that is seen.
            self._outgoing.clear()
        self._loop.remove_writer(self._stdin)

    def _read(self, descriptor: int, take: Callable[[bytes], None]) -> bool:
        """Take what is there; whether there may be more."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(descriptor)
            return False
        take(data)
        return True

    def _take(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            if isinstance(message, NotReady):
                message = NotReady(f"{message.reason} {advice(self._root)}")
            self._on_message(message)

    def _print(self, data: bytes) -> None:
        """Lines that the app printed, or Python's last words."""
        self._words += data
        *lines, rest = self._words.split(b"\n")
        if len(rest) > _CHUNK:
            lines, rest = [*lines, rest], bytearray()
        self._words = bytearray(rest)
        for line in lines:
            log.info("%s", line.decode(errors="backslashreplace").rstrip("\r"))

    def _wait(
        self, readers: "list[Callable[[], None]]", pipes: Iterable[tuple[int, Callable[[bytes], None]]]
    ) -> None:
        """In a thread: wait for its end, and tell the loop."""
        threads = [threading.Thread(target=reader, daemon=True) for reader in readers]
        for thread in threads:
            thread.start()
        code = self._process.wait()
        for thread in threads:
            thread.join(_END_S)
        with suppress(RuntimeError):  # The loop is closed: nobody wants to know.
            self._loop.call_soon_threadsafe(self._ended, code, pipes)

    def _ended(self, code: int, pipes: Iterable[tuple[int, Callable[[bytes], None]]]) -> None:
        if self._is_closed:
            return
        for descriptor, take in pipes if sys.platform != "win32" else ():
            for _ in range(_LAST_READS):  # A child that outlives it may go on writing.
                if not self._read(descriptor, take):
                    break
        self._print(b"\n" if self._words else b"")
        self._is_closed = True
        self._forget()
        # As .NET tells of a signal.
        code = 128 - code if code < 0 else code
        self._on_end(f"{self.python} exited with code {code} (0x{code:X})")

    def _read_all(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        """On Windows, in a thread: event loops cannot wait for such pipes there."""
        while data := os.read(descriptor, _CHUNK):
            self._loop.call_soon_threadsafe(take, data)

    def _write_all(self) -> None:
        """On Windows, in a thread."""
        with suppress(OSError):
            while True:
                self._has_more.acquire()
                data = memoryview(self._written.popleft())
                while data:
                    data = data[os.write(self._stdin, data[:_CHUNK]) :]


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
