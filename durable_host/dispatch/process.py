"""A worker in a process of its own: its pipes, what it prints, and its end.

On Windows threads stand in for what an event loop cannot do with such pipes there.
Not here: starting it (`spawning`), and what the messages mean (`workers`).
"""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from durable_host.dispatch.drivers import OnEnd, OnMessage
from durable_host.dispatch.spawning import advice, spawn
from durable_host.worker.protocol import Decoder, NotReady, ToWorker, encode

_CHUNK = 1 << 20
_END_S = 2.0
_LAST_READS = 100
log = logging.getLogger(__name__)


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
