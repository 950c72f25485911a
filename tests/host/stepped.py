"""A system's clock that somebody sets."""

from datetime import datetime, timedelta

from durable_host import RealClock


class SteppedClock(RealClock):
    """The system's clock, and how far it was set ahead or back; the host is not told of it, as it never is."""

    def __init__(self, step: timedelta = timedelta(0)) -> None:
        super().__init__()
        self.step = step

    def now(self) -> datetime:
        return super().now() + self.step
