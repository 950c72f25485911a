"""Races: what callers at once see of one instance is what they could have seen one after the other."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import ClientSession

from durable_host import Host, RealClock
from durable_host.http.webhooks import BASE
from tests.conftest import rounds
from tests.host.apps import ORCHESTRATOR, SLEEP, write_function
from tests.hostile.conftest import Count
from tests.hostile.linearizability import Moment, is_linearizable

WAIT = """
import azure.durable_functions as df

def wait(context):
    yield context.wait_for_external_event("go")

main = df.Orchestrator.create(wait)
"""
JSON = {"Content-Type": "application/json"}
REQUESTS = {
    "start": ("POST", "/orchestrators/{name}/{id}"),
    "restart": ("POST", "/instances/{id}/restart?restartWithNewInstanceId=false"),
    "purge": ("DELETE", "/instances/{id}"),
    "rewind": ("POST", "/instances/{id}/rewind"),
    "go": ("POST", "/instances/{id}/raiseEvent/go"),
    "terminate": ("POST", "/instances/{id}/terminate"),
    "suspend": ("POST", "/instances/{id}/suspend"),
    "resume": ("POST", "/instances/{id}/resume"),
    "status": ("GET", "/instances/{id}"),
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app of two orchestrators: one waits for an event, the other for a short timer."""
    write_function(tmp_path / "app", "Wait", WAIT, ORCHESTRATOR)
    write_function(tmp_path / "app", "Timer", SLEEP.replace("hours=1", "milliseconds=20"), ORCHESTRATOR)
    return tmp_path / "app"


async def call(client: ClientSession, name: str, instance_id: str, operation: str, story: list[Moment]) -> None:
    """Make a call, and add its beginning and its answer to the story."""
    method, path = REQUESTS[operation]
    body = "{}" if operation == "go" else None
    story.append(Moment(operation))
    path = f"{BASE}{path.format(name=name, id=instance_id)}"
    async with client.request(method, path, data=body, headers=JSON) as answer:
        text = str(answer.status)
        if operation == "status" and answer.status != 404:
            text += f" {(await answer.json())['runtimeStatus']}"
        story.append(Moment(operation, text))


async def race(
    client: ClientSession, name: str, instance_id: str, before: list[str], at_once: list[list[str]]
) -> list[Moment]:
    """Some calls one after the other, then callers at once, each with calls one after the other."""
    story: list[Moment] = []

    async def caller(operations: list[str]) -> None:
        for operation in operations:
            await call(client, name, instance_id, operation, story)

    await caller(before)
    await asyncio.gather(*(caller(operations) for operations in at_once))
    await caller(["status"])
    return story


def answers(story: list[Moment], operation: str) -> Counter[str | None]:
    return Counter(each.answer for each in story if each.operation == operation and each.answer is not None)


async def test_of_200_starts_with_one_id_one_wins_and_the_rest_are_told(
    app: Path, tmp_path: Path, count: Count
) -> None:
    async with (
        Host(app, hub=tmp_path / "hub.db", clock=RealClock(), in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        story = await race(client, "Wait", "one", [], [["start"]] * 200)

        assert answers(story, "start") == {"202": 1, "409": 199}
        assert is_linearizable(story)
        status = await host.status("one", history=True)
        assert status is not None
        assert [event["EventType"] for event in status["historyEvents"]] == ["ExecutionStarted"]
    count(200)


RACES = {
    "terminate against completion": ("Wait", ["start"], [["go"], ["terminate"], ["status"] * 3]),
    "terminate against a timer": ("Timer", ["start"], [["terminate"], ["status"] * 8]),
    "suspend against a timer": ("Timer", ["start"], [["suspend", "status", "resume"], ["status"] * 8]),
    "suspend against an event": ("Wait", ["start"], [["go"], ["suspend", "resume"], ["status"] * 4]),
    "suspend against suspend and resume": ("Wait", ["start"], [["suspend", "resume"]] * 3 + [["status"] * 4]),
    "purge against running and ending": ("Wait", ["start"], [["purge"] * 4, ["go"], ["status"] * 4]),
    "an event before its start": ("Wait", [], [["go"] * 3, ["start"], ["status"] * 3]),
    "restart against purge": ("Wait", ["start", "terminate"], [["restart"] * 3, ["purge"] * 3, ["status"] * 4]),
    "start against purge and end": ("Wait", ["start"], [["start"] * 4, ["terminate", "purge"], ["go", "purge"]]),
    "rewind against all": ("Wait", ["start"], [["rewind"] * 3, ["go", "start"], ["purge"] * 3]),
}


@pytest.mark.parametrize("name", RACES)
async def test_a_race_is_a_story_that_could_have_been(name: str, app: Path, tmp_path: Path, count: Count) -> None:
    orchestrator, before, at_once = RACES[name]
    ends: Counter[str | None] = Counter()
    async with (
        Host(app, hub=tmp_path / "hub.db", clock=RealClock(), in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        for number in range(10):
            shuffled = random.Random(number).sample(at_once, len(at_once))
            story = await race(client, orchestrator, f"{number}", before, shuffled)
            assert is_linearizable(story, has_timer=orchestrator == "Timer"), story
            ends += answers(story[-1:], "status")
        await assert_histories_are_whole(host, client)
    count(10)


async def assert_histories_are_whole(host: Host, client: ClientSession) -> None:
    """Each history begins once, and ends at most once and last."""
    await host.idle()
    async with client.get(f"{BASE}/instances?top=1000") as answer:
        listed = await answer.json()
    for each in listed:
        status = await host.status(each["instanceId"], history=True)
        assert status is not None
        types = [event["EventType"] for event in status.get("historyEvents", [])]
        assert types.count("ExecutionStarted") == 1
        is_ended = status["runtimeStatus"] not in ("Running", "Suspended")
        assert (types.count("ExecutionCompleted"), types[-1] == "ExecutionCompleted") == (is_ended, is_ended)


@rounds(20, soak=500, long=5_000)
async def test_random_races_are_stories_that_could_have_been(
    rounds: int, app: Path, tmp_path: Path, count: Count
) -> None:
    async with (
        Host(app, hub=tmp_path / "hub.db", clock=RealClock(), in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        for seed in range(rounds):
            chance = random.Random(seed)
            name = chance.choice(["Wait", "Timer"])
            at_once = [chance.choices(list(REQUESTS), k=chance.randint(1, 5)) for _ in range(chance.randint(2, 5))]
            story = await race(client, name, f"{seed}", chance.choices(["start", "status"], k=1), at_once)
            assert is_linearizable(story, has_timer=name == "Timer"), (seed, story)
        await assert_histories_are_whole(host, client)
    count(rounds)


@pytest.mark.parametrize(
    "story",
    [
        [("start", None), ("start", "202"), ("start", None), ("start", "202")],
        [("start", None), ("start", None), ("start", "409"), ("start", "409")],
        [("status", None), ("status", "200 Completed")],
        [("start", None), ("start", "202"), ("status", None), ("status", "404")],
        [
            ("start", None),
            ("start", "202"),
            ("go", None),
            ("go", "202"),
            ("status", None),
            ("status", "200 Terminated"),
        ],
        [("start", None), ("start", "202"), ("purge", None), ("purge", "200")],
        [
            *(("start", None), ("start", "202"), ("terminate", None), ("terminate", "202")),
            *(("status", None), ("status", "200 Terminated"), ("status", None), ("status", "202 Running")),
        ],
    ],
)
def test_the_checker_refuses_a_story_that_cannot_be(story: list[tuple[str, str | None]]) -> None:
    assert not is_linearizable(Moment(*each) for each in story)
