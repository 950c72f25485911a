"""What two Python processes can tell each other: over pipes as host and worker have them, over a socket pair.

`python -m bench.pipes READING WRITING` is the other process. It waits in `read`, as a worker's thread does, and
answers; this one waits in an event loop, as a host does. Nothing of durable_host is in it.
Not here: what the messages of a host cost to make and to read (`monitors` has that in its figure).
"""

import asyncio
import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.figures import Figure
from bench.plan import Plan
from bench.processes import cpu_s, python, running

NAME = "pipes"
PIPES = "pipes of 1 MB"
SMALL = "pipes of 64 kB"
SOCKETS = "a socket pair"
_PIPE_BYTES = 1 << 20
_CHUNK = 1 << 20
_COUNT = 40_000
_ALONE = 4_000
_OUT = 64  # Messages on the way at once: as many episodes as a host has out.
# About what an episode of the bench's monitor is asked and answers.
_QUESTION = b"q" * 3_000 + b"\n"
_ANSWER = b"a" * 600 + b"\n"

Ends = tuple[int, int, int, int]  # Ours to read and to write, the other's to read and to write.


@dataclass(frozen=True, slots=True)
class Talk:
    """Questions answered a second, and what each took of CPU in both processes; how long one alone took."""

    per_s: float
    cpu_us: float
    alone_us: float

    def __str__(self) -> str:
        """For the one who waits."""
        return f"{self.per_s:,.0f}/s, {self.cpu_us:.1f} us of CPU each, alone {self.alone_us:.0f} us"


def measure(plan: Plan) -> list[Figure]:
    """Ask and answer over each kind, in turns."""
    kinds: dict[str, Callable[[], Ends]] = {
        PIPES: partial(_pipes, _PIPE_BYTES),
        SMALL: partial(_pipes, None),
        SOCKETS: _sockets,
    }
    talks = plan.in_turns({name: partial(_talk, make) for name, make in kinds.items()})
    figures = []
    for peer in (SOCKETS, SMALL):
        for what, unit, read in (
            (f"3 kB asked and 600 B answered, {_OUT} on the way, over {PIPES}", "/s", lambda talk: talk.per_s),
            ("CPU of one of them in both processes", "us", lambda talk: talk.cpu_us),
            ("one alone, there and back", "us", lambda talk: talk.alone_us),
        ):
            runs, peers = (list(map(read, talks[name])) for name in (PIPES, peer))
            figures.append(Figure(NAME, what, unit, runs, None, peer, peers))
    return figures


def _pipes(size: int | None) -> Ends:
    theirs, to_write = os.pipe()
    to_read, their_answers = os.pipe()
    if size is not None:
        for descriptor in (to_write, to_read):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
    return to_read, to_write, theirs, their_answers


def _sockets() -> Ends:
    ours, theirs = (each.detach() for each in socket.socketpair())
    return ours, os.dup(ours), theirs, os.dup(theirs)


def _talk(make: Callable[[], Ends]) -> Talk:
    reading, writing, *theirs = make()
    try:
        with running(python("bench.pipes", *map(str, theirs)), kept=theirs) as other:
            for descriptor in theirs:
                os.close(descriptor)
            os.set_blocking(reading, False)
            os.set_blocking(writing, False)
            asyncio.run(_Asker(reading, writing, 100, 1).run())
            before = cpu_s(other.pid) + time.process_time()
            began = time.perf_counter()
            asyncio.run(_Asker(reading, writing, _COUNT, _OUT).run())
            seconds = time.perf_counter() - began
            cpu = cpu_s(other.pid) + time.process_time() - before
            began = time.perf_counter()
            asyncio.run(_Asker(reading, writing, _ALONE, 1).run())
            alone = time.perf_counter() - began
            return Talk(_COUNT / seconds, cpu / _COUNT * 1e6, alone / _ALONE * 1e6)
    finally:
        os.close(reading)
        os.close(writing)


class _Asker:
    """Asks `count` questions, at most `most` of them unanswered: as many go out together as were answered so."""

    def __init__(self, reading: int, writing: int, count: int, most: int) -> None:
        self._reading = reading
        self._writing = writing
        self._left = count
        self._most = most
        self._open = 0
        self._outgoing = bytearray()

    async def run(self) -> None:
        """Return when all are answered."""
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._loop.add_reader(self._reading, self._read)
        self._ask()
        await self._ended.wait()
        self._loop.remove_reader(self._reading)

    def _ask(self) -> None:
        asked = min(self._most - self._open, self._left)
        self._open += asked
        self._left -= asked
        self._outgoing += _QUESTION * asked
        self._write()

    def _write(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: os.write(self._writing, self._outgoing)]
        except BlockingIOError:
            self._loop.add_writer(self._writing, self._write)
            return
        self._loop.remove_writer(self._writing)

    def _read(self) -> None:
        self._open -= os.read(self._reading, _CHUNK).count(b"\n")
        if self._left:
            self._ask()
        elif not self._open:
            self._ended.set()


def _answer(reading: int, writing: int) -> None:
    """Answer each question, those that came together in one write, until nobody asks."""
    while data := os.read(reading, _CHUNK):
        answers = memoryview(_ANSWER * data.count(b"\n"))
        while answers:
            answers = answers[os.write(writing, answers) :]


if __name__ == "__main__":
    _answer(int(sys.argv[1]), int(sys.argv[2]))
