"""The host's time: the only place that reads a clock or waits for one.

Instants are aware UTC datetimes. Skipped time is an offset on the system's clock, so a skipped hub goes on from
where it was. Not here: what is due (the task hub knows) and when it is safe to skip (the dispatcher does).
"""

import asyncio
import heapq
import time
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Protocol

# The system's clock may be set while we wait, and a laptop may sleep: look again at least this often.
_LONGEST_WAIT_S = 1.0
# No skip leads further: what an episode adds to the time must still be a time.
_END = datetime(MAXYEAR, 12, 1, tzinfo=UTC)


def stopwatch_s() -> float:
    """Seconds of real time since some instant; only differences mean something, and nothing skips them."""
    return time.monotonic()


class Clock(Protocol):
    """What the host needs of time.

    `wake` is set by whoever makes work, and ends a `wait` early. `skipped` is how far the clock is ahead of the
    system's.
    """

    wake: asyncio.Event
    skipped: timedelta

    def now(self) -> datetime:
        """The current instant."""

    def skip_to(self, at: datetime) -> None:
        """Move on to `at`; an instant that has passed moves nothing.

        Raises: OverflowError when `at` lies at the end of time.
        """

    def next_sleeper(self) -> datetime | None:
        """When the first of those who `sleep_until` wakes."""

    async def sleep_until(self, at: datetime) -> None:
        """Return once the clock shows `at`."""

    async def wait(self, due: datetime | None, is_idle: bool) -> None:
        """Return at `due`, when woken, or after a while; `is_idle` says that nothing is due or running."""

    def release(self) -> None:
        """Let those go on whose instant has come."""


class RealClock:
    """The system's clock, plus what was skipped. Timers fire at or after their instant, never before."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.skipped = timedelta(0)
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._seen = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """The current instant."""
        return datetime.now(UTC) + self.skipped

    def skip_to(self, at: datetime) -> None:
        """Move on to `at`; an instant that has passed moves nothing."""
        if at > _END:
            raise OverflowError(f"the clock ends with the year {MAXYEAR}")
        self.skipped += max(at - self.now(), timedelta(0))
        self.wake.set()

    def next_sleeper(self) -> datetime | None:
        """When the first of those who `sleep_until` wakes."""
        return self._sleepers[0][0] if self._sleepers else None

    async def sleep_until(self, at: datetime) -> None:
        """Return once the clock shows `at`, or would if it had not been set back meanwhile."""
        self._notice_a_step_back()
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at, id(woken), woken))
        self.wake.set()
        await woken

    async def wait(self, due: datetime | None, is_idle: bool) -> None:
        """Return at `due`, when woken, or after a second; it never skips."""
        delay_s = _LONGEST_WAIT_S
        if due is not None:
            delay_s = min((due - self.now()).total_seconds(), delay_s)
        if delay_s > 0:
            alarm = asyncio.get_running_loop().call_later(delay_s, self.wake.set)
            await self.wake.wait()
            alarm.cancel()

    def _notice_a_step_back(self) -> None:
        """Who sleeps waits for a span: a clock that is set back a day must not make a second a day."""
        now = self.now()
        if now < self._seen:
            self._sleepers = [(at - (self._seen - now), key, woken) for at, key, woken in self._sleepers]
        self._seen = now

    def release(self) -> None:
        """Let those go on whose instant has come."""
        self._notice_a_step_back()
        while self._sleepers and self._sleepers[0][0] <= self.now():
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)


class SkipClock(RealClock):
    """A clock that jumps to the next due instant as soon as nothing is due or running, and never further.

    Timers keep their order, and a month of them passes in the time that their work takes.
    """

    async def wait(self, due: datetime | None, is_idle: bool) -> None:
        """Jump to `due` when idle; else wait as the system's clock does."""
        if is_idle and due is not None and due <= _END:
            self.skip_to(due)
        else:
            await super().wait(due, is_idle)
