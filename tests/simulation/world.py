"""All that is not the host, from one seed: time, GitHub, Twilio, the disk's bad moments, and when the host dies.

What must hold of the services is held against them here (`violations`); the rest is `invariants`' business.
"""

import asyncio
import json
import random
import re
import resource
from collections import Counter
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from durable_host import SkipClock

START = datetime(2026, 1, 1, tzinfo=UTC)
_GITHUB = {200: 14, 304: 6, 301: 1, 403: 1, 404: 1, 429: 2, 500: 2, "hang": 1, "bad JSON": 1}
_TWILIO = {201: 8, 400: 2, 429: 2, 500: 1, "lost reply": 1, "hang": 1}
_MOST_READINGS = 10_000  # Of the clock in one life; a run takes a few hundred.
_RANDOM_ID = re.compile(r"[0-9a-f]{32}")

_CURRENT: ContextVar["World"] = ContextVar("world")


def current() -> "World":
    """The world in which the caller's host runs."""
    return _CURRENT.get()


class Crash(BaseException):
    """The process is gone: nothing of the host may catch this."""


class World:
    """One seed's world.

    `violations` are the broken invariants, `log` what happened, a line each.
    """

    def __init__(self, seed: int) -> None:
        _CURRENT.set(self)
        self.chance = random.Random(seed)
        self.real = START
        self.violations: list[str] = []
        self.log: list[str] = []
        self.disk = Disk(self)
        self.github = GitHub(self)
        self.twilio = Twilio(self)
        self.outage = timedelta(0)
        self._crashes = self.chance.choice((0, 1, 1, 2, 4))
        self._failures: Counter[str] = Counter()

    def note(self, text: str) -> None:
        """Log what happens, with the same words each time the seed is played."""
        text = _RANDOM_ID.sub("(an execution)", text)
        self.log.append(f"{(self.real + self.clock.skipped).isoformat()} {text}")

    def violated(self, text: str) -> None:
        """An invariant is broken."""
        self.note(f"VIOLATED {text}")
        self.violations.append(text)

    def new_life(self) -> "SimulatedClock":
        """The clock of the next host, which dies at some reading of it if another crash is due."""
        self.clock = SimulatedClock(self, self.chance.randint(1, 400) if self._crashes > 0 else _MOST_READINGS)
        self._crashes -= 1
        return self.clock

    def downtime(self) -> None:
        """Let pass the time until somebody starts the host again."""
        self.lose(timedelta(seconds=self.chance.choice((0, 1, 30, 300, 4000)) * self.chance.random()))

    def lose(self, span: timedelta) -> None:
        """Let time pass in which the host can do nothing."""
        self.real += span
        self.outage += span

    async def pause(self, longest_s: float) -> None:
        """Take up to so long."""
        span = timedelta(seconds=self.chance.random() * longest_s)
        await self.clock.sleep_until(self.clock.now() + span)

    def fails_again(self, key: str) -> bool:
        """Whether what has this key fails once more; at most twice."""
        if self._failures[key] == 2 or self.chance.random() < 0.4:
            return False
        self._failures[key] += 1
        return True


class SimulatedClock(SkipClock):
    """A clock whose real time is the world's; at some reading of it the host dies."""

    def __init__(self, world: World, dies_at: int) -> None:
        super().__init__()
        self._world = world
        self._dies_at = dies_at
        self._readings = 0
        self._sleeps = 0
        self.died = asyncio.Event()

    def now(self) -> datetime:
        self._readings += 1
        if self._readings >= self._dies_at:
            if self._readings == _MOST_READINGS:
                self._world.violated("the host goes round and round")
            self.died.set()
            raise Crash
        self._world.real += timedelta(microseconds=self._world.chance.randrange(2000))
        return self._world.real + self.skipped

    async def sleep_until(self, at: datetime) -> None:
        # No two wake at the same instant, so that each run of a seed has the same order.
        self._sleeps += 1
        await super().sleep_until(at + timedelta(microseconds=self._sleeps))

    async def wait(self, due: datetime | None, is_idle: bool) -> None:
        """Give the others some rounds of the loop; when nobody wakes the host, they all wait for time to pass."""
        if self._world.chance.random() < 0.01:
            self._world.real -= timedelta(seconds=1)  # Somebody sets the system's clock.
        for _ in range(self._world.chance.randint(4, 8)):
            await asyncio.sleep(0)  # noqa: TID251 - Waits for nothing.
            if self.wake.is_set():
                return
        now = self.now()
        if is_idle and due is not None:
            self.skip_to(due)
        else:
            self._world.real += max(timedelta(0), (due or now + timedelta(seconds=1)) - now)


class Disk:
    """A disk that now and then is full for some commits. Told of each statement before it runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rate = world.chance.choice((0, 0.02, 0.2))
        self._left = 0
        self._limit: tuple[int, int] | None = None

    def statement(self, sql: str) -> None:
        """Have a COMMIT find the disk full, or not; whatever comes after it finds room again."""
        self.mend()
        if sql != "COMMIT":
            return
        if not self._left and self._world.chance.random() < self._rate:
            self._left = self._world.chance.randint(1, 3)
        if self._left:
            self._left -= 1
            self._world.note("the disk is full")
            self._world.outage += timedelta(seconds=3)
            self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, self._limit[1]))

    def mend(self) -> None:
        """Make room."""
        if self._limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)
            self._limit = None


class GitHub:
    """Each repository gets too many open issues at some time, or never; each question is answered anew."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._busy_at: dict[str, datetime] = {}

    async def exceeds(self, repo: str, threshold: int) -> bool | dict[str, str] | None:
        """What E3_TooManyOpenIssues makes of GitHub's answer. `threshold` is the same for all."""
        world = self._world
        answer = world.chance.choices(list(_GITHUB), list(_GITHUB.values()))[0]
        await world.pause(longest_s=2)
        world.note(f"GitHub answers {answer} for {repo}, threshold {threshold}")
        match answer:
            case 200 | 304 | 301:
                seconds = world.chance.choice((0, 0, 60, 600, 100_000))
                return world.clock.now() > self._busy_at.setdefault(
                    repo, world.clock.now() + timedelta(seconds=seconds)
                )
            case 403 | 404:
                return {"refused": f"{repo}: {answer}"}
            case "hang":
                await world.pause(longest_s=20)
        return None


class Twilio:
    """Numbers its messages. A phone is one monitor's: it gets one SMS, a second only where a crash explains it.

    `sent` are the ids of the messages that each phone got, `repeated` the phones whose alert was asked for again
    since the host died before it had committed Twilio's answer.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.sent: dict[str, list[str]] = {}
        self.repeated: set[str] = set()
        self._may_repeat: set[str] = set()

    def send(self, phone: str) -> dict[str, str | None]:
        """What E3_SendAlert makes of Twilio's answer."""
        world = self._world
        answer = world.chance.choices(list(_TWILIO), list(_TWILIO.values()))[0]
        world.note(f"Twilio answers {answer} for {phone}")
        if answer in (400, 429):
            return {"refused" if answer == 400 else "unsent": f"{answer}"}
        if answer == "hang":
            world.lose(timedelta(seconds=10))
        if answer in (201, "lost reply") or world.chance.random() < 0.5:
            self._accept(phone)
        return {"message": self.sent[phone][-1] if answer == 201 else None}

    def _accept(self, phone: str) -> None:
        sent = self.sent.setdefault(phone, [])
        if sent and phone not in self._may_repeat:
            self._world.violated(f"{phone} gets a second SMS, though the first one's answer was committed")
        self._may_repeat.discard(phone)
        sent.append(f"SM{phone}.{len(sent)}")

    def host_died(self, alerts_in_flight: list[str]) -> None:
        """Remember whose alerts the hub still holds as not done: they are done again."""
        phones = {phone for phone in map(_phone, alerts_in_flight) if phone in self.sent}
        self._may_repeat |= phones
        self.repeated |= phones


def _phone(alert_input: str) -> str:
    alert = json.loads(alert_input)
    phone: str = (json.loads(alert) if isinstance(alert, str) else alert)["phone"]
    return phone
