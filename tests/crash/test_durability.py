"""What the host answers is on disk by then; what it cannot write, it does not answer."""

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Host
from durable_host.events import EventType, parse
from durable_host.taskhub import TaskHub
from sandbox.server import Sandbox
from tests.crash.clock import START, FrozenClock
from tests.crash.scenario import INSTANCES, ORCHESTRATORS
from tests.host.disk import full_disk

MONITOR = {"repo": "octo/cat", "phone": "+14255550167"}


@dataclass(frozen=True, slots=True)
class Request:
    """A change that a client asks for, and how the files tell that it has been taken."""

    method: str
    path: str
    is_taken: Callable[[TaskHub], bool]
    body: Any = None


def is_there(instance_id: str) -> Callable[[TaskHub], bool]:
    return lambda hub: hub.record(instance_id) is not None


def is_gone(instance_id: str) -> Callable[[TaskHub], bool]:
    return lambda hub: hub.record(instance_id) is None


def has_started_over(instance_id: str) -> Callable[[TaskHub], bool]:
    return lambda hub: (record := hub.record(instance_id)) is not None and record.generation == 1


def has(instance_id: str, kind: EventType) -> Callable[[TaskHub], bool]:
    """Whether this event waits for the instance, or has reached it."""

    def find(hub: TaskHub) -> bool:
        waiting = [item for item in hub.due(START + timedelta(days=99), 99) if item.instance_id == instance_id]
        texts = [text for item in waiting for _, _, text in item.messages]
        return any(event["EventType"] == kind for event in parse([*hub.history(instance_id), *texts]))

    return find


REQUESTS = {
    "a monitor": Request("POST", "/orchestrators/E3_Monitor/new", is_there("new"), MONITOR),
    "a start": Request("POST", f"{ORCHESTRATORS}/Gate/new", is_there("new")),
    "an event": Request(
        "POST", f"{INSTANCES}/gate/raiseEvent/other", has("gate", EventType.EVENT_RAISED), "value"
    ),
    "terminate": Request("POST", f"{INSTANCES}/gate/terminate", has("gate", EventType.EXECUTION_TERMINATED)),
    "suspend": Request("POST", f"{INSTANCES}/gate/suspend", has("gate", EventType.EXECUTION_SUSPENDED)),
    "resume": Request("POST", f"{INSTANCES}/held/resume", has("held", EventType.EXECUTION_RESUMED)),
    "rewind": Request("POST", f"{INSTANCES}/failed/rewind", has("failed", EventType.GENERIC_EVENT)),
    "restart": Request(
        "POST", f"{INSTANCES}/ended/restart?restartWithNewInstanceId=false", has_started_over("ended")
    ),
    "purge": Request("DELETE", f"{INSTANCES}/ended", is_gone("ended")),
    "purge of many": Request("DELETE", f"{INSTANCES}?createdTimeFrom=2000-01-01", is_gone("ended")),
}


@pytest.fixture(params=list(REQUESTS.values()), ids=list(REQUESTS))
def request_(request: pytest.FixtureRequest) -> Request:
    chosen: Request = request.param
    return chosen


@pytest.fixture
async def host(crash_app: Path, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Host]:
    """A host with an instance in each state: `gate` waits, `held` is suspended, `ended` and `failed` are over."""
    async with Host(crash_app, hub=tmp_path / "hub.db", clock=FrozenClock()) as host:
        for name, instance_id in (("Gate", "gate"), ("Gate", "held"), ("Squares", "ended"), ("None", "failed")):
            await host.start(name, [], instance_id)
        await host.advance(1)
        await host.suspend("held")
        await host.advance(1)
        yield host


def taken(request: Request, hub: Path, folder: Path) -> bool:
    """Whether what lies on the disk has the change."""
    folder.mkdir()
    for file in hub.parent.glob(f"{hub.name}*"):
        shutil.copy(file, folder)
    with TaskHub(folder / hub.name) as copy:
        return request.is_taken(copy)


async def test_what_is_answered_is_on_disk(
    request_: Request, host: Host, client: ClientSession, tmp_path: Path
) -> None:
    assert not taken(request_, host.hub.path, tmp_path / "before")

    async with client.request(request_.method, request_.path, json=request_.body) as response:
        is_taken = taken(request_, host.hub.path, tmp_path / "copy")

    assert response.status in (200, 202)
    assert is_taken


async def test_what_cannot_be_written_is_refused_and_can_be_asked_for_again(
    request_: Request, host: Host, client: ClientSession, tmp_path: Path
) -> None:
    with full_disk(host.hub.path):
        async with client.request(request_.method, request_.path, json=request_.body) as response:
            assert response.status in (500, 503)
    assert not taken(request_, host.hub.path, tmp_path / "full")

    async with client.request(request_.method, request_.path, json=request_.body) as response:
        assert response.status in (200, 202)

    assert taken(request_, host.hub.path, tmp_path / "copy")
