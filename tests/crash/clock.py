"""A clock that stands still, so that two runs of the same work are the same to the microsecond."""

from datetime import UTC, datetime, timedelta

from durable_host import RealClock

START = datetime(2026, 1, 1, tzinfo=UTC)


class FrozenClock(RealClock):
    """A clock that moves only when it is told to skip, and waits for nothing but work."""

    def now(self) -> datetime:
        return START + self.skipped

    def skip_to(self, at: datetime) -> None:
        self.skipped += max(at - self.now(), timedelta(0))
        self.wake.set()

    async def wait(self, due: datetime | None, is_idle: bool) -> None:
        await self.wake.wait()
