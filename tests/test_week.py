"""A week of ten monitors while GitHub and Twilio fail at random: every SMS is explained, and no monitor is lost.

Not here: services that hang (tests/functions), hosts that die meanwhile (tests/simulation, tests/crash).
"""

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Clock, Host
from sandbox.github import RepositoryStatus
from sandbox.server import Sandbox
from sandbox.twilio import TwilioStatus
from tests.crash.clock import FrozenClock

REPOS = [f"octo/{number}" for number in range(10)]
WEEK = timedelta(days=7)
COUNTED: list[RepositoryStatus | None] = [None, None, None, None, 301]
REFUSED: list[RepositoryStatus | None] = [401, 403, 404, 410]
UNKNOWN: list[RepositoryStatus | None] = [429, 500, "secondary rate limit", "bad json"]
TWILIO: list[TwilioStatus | None] = [None, None, 400, 429, 429, 429, 500, "lost reply"]
SOAK = [pytest.mark.soak, pytest.mark.timeout(600)]
SOAK_LONG = [pytest.mark.soak_long, pytest.mark.timeout(1_200)]


@pytest.fixture
def clock() -> Clock:
    """Time stands still but for the steps, so that no timer fires between two of them."""
    return FrozenClock()


class Week:
    """One seed's week. Each repository is watched by one monitor at a time, each with a phone of its own."""

    def __init__(self, seed: int, host: Host, client: ClientSession, sandbox: Sandbox) -> None:
        self._chance = random.Random(seed)
        self._host, self._client, self._sandbox = host, client, sandbox
        self._ends_at = host.clock.now() + WEEK
        self._answers: dict[str, RepositoryStatus | None] = dict.fromkeys(REPOS)
        self._is_busy = dict.fromkeys(REPOS, False)
        self._twilio: TwilioStatus | None = None
        self._checks = dict.fromkeys(REPOS, 0)
        self.live: dict[str, str] = {}
        self.phones: dict[str, str] = {}
        self.happened: Counter[str] = Counter()

    async def watch(self, repo: str, interval_s: int) -> None:
        """Start a monitor for the rest of the week, while GitHub is well: a refused first check would fail it."""
        self._is_busy[repo], self._checks[repo] = False, 1
        self._sandbox.set_repository(repo, status=None, open_issues=3)
        phone = f"+1425555{len(self.phones):04}"
        left_s = int((self._ends_at - self._host.clock.now()).total_seconds())
        request = {"repo": repo, "phone": phone, "interval_seconds": interval_s, "expiry_seconds": max(left_s, 1)}
        async with self._client.post("/orchestrators/E3_Monitor", json=request) as response:
            assert response.status == 202
            self.live[repo] = (await response.json())["id"]
        self.phones[self.live[repo]] = phone
        await self._host.idle()

    async def step(self) -> datetime | None:
        """Let both services fail or not, and the next timer fire."""
        for repo in REPOS:
            self._is_busy[repo] = self._is_busy[repo] or self._chance.random() < 0.02
            answers = self._chance.choice((COUNTED, COUNTED, REFUSED, UNKNOWN))
            self._answers[repo] = self._chance.choice(answers)
            open_issues = 4 if self._is_busy[repo] else 3
            self._sandbox.set_repository(repo, status=self._answers[repo], open_issues=open_issues)
        self._twilio = self._chance.choice(TWILIO)
        self._sandbox.set_twilio(status=self._twilio)
        return await self._host.skip()

    async def look(self) -> list[str]:
        """Check what each monitor says against what it was answered; the repositories whose monitor has ended."""
        ended = []
        for repo, instance_id in list(self.live.items()):
            status = await self._host.status(instance_id)
            assert status is not None
            texted = [sms["sid"] for sms in self._sandbox.sms if sms["to"] == self.phones[instance_id]]
            if status["runtimeStatus"] == "Running":
                assert texted == []
                self._explain_check(repo, status["customStatus"])
            else:
                assert status["runtimeStatus"] == "Completed"
                self._explain_end(repo, status["output"], texted)
                ended.append(repo)
                del self.live[repo]
        return ended

    def _explain_check(self, repo: str, said: Any) -> None:
        if said["checks"] == self._checks[repo]:
            return  # Another one's timer fired.
        self._checks[repo] += 1
        assert said["checks"] == self._checks[repo]
        if self._answers[repo] in COUNTED:
            assert not self._is_busy[repo] or self._twilio == 429
            assert said["openIssues"] == ("too many" if self._is_busy[repo] else "not too many")
        else:
            assert said["openIssues"] == "unknown"
        assert ("lastError" in said) is (self._answers[repo] in REFUSED or said["openIssues"] == "too many")
        self.happened[said["openIssues"]] += 1

    def _explain_end(self, repo: str, output: Any, texted: list[str]) -> None:
        self.happened[output["outcome"]] += 1
        if output["outcome"] == "expired":
            assert texted == []
            assert self._host.clock.now() >= self._ends_at - timedelta(seconds=1)
            assert output["checks"] == self._checks[repo]
            return
        assert self._is_busy[repo]
        assert self._answers[repo] in COUNTED
        assert output["checks"] == self._checks[repo] + 1
        expected: dict[Any, tuple[str, int]] = {
            None: ("alerted", 1),
            400: ("alert refused", 0),
            500: ("alert unconfirmed", 0),
            "lost reply": ("alert unconfirmed", 1),
        }
        assert (output["outcome"], len(texted)) == expected[self._twilio]
        assert output.get("message") == (texted[0] if self._twilio is None else None)


@pytest.mark.parametrize(
    ("seed", "interval_s"),
    [
        pytest.param(1, 8 * 3_600),
        pytest.param(2, 7_200, marks=SOAK),
        *(pytest.param(seed, 1_800, marks=SOAK_LONG) for seed in range(3, 6)),
    ],
)
async def test_in_a_week_of_failures_every_sms_is_explained_and_no_monitor_is_lost(
    host: Host,
    client: ClientSession,
    sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
    seed: int,
    interval_s: int,
) -> None:
    week = Week(seed, host, client, sandbox)
    for repo in REPOS:
        await week.watch(repo, interval_s)
        await host.advance(7)

    while week.live:
        assert await week.step() is not None, "a monitor waits for no timer"
        for repo in await week.look():
            if week.happened["expired"] == 0:
                await week.watch(repo, interval_s)

    with capsys.disabled():
        print(f"\nseed {seed}: {len(week.phones)} monitors, {len(sandbox.sms)} SMS, {dict(week.happened)}")
    assert week.happened["expired"] == len(REPOS)
    assert min(week.happened[what] for what in ("alerted", "alert unconfirmed", "alert refused", "too many")) > 0
    assert {sms["to"] for sms in sandbox.sms} <= set(week.phones.values())
    async with client.get("/runtime/webhooks/durabletask/instances?top=1000") as response:
        assert sorted(each["instanceId"] for each in await response.json()) == sorted(week.phones)
