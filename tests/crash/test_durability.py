"""What the host answers is on disk by then; what it cannot write, it refuses: hostile/test_disk.py."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from durable_host import Host
from sandbox.server import Sandbox
from tests.crash.changes import REQUESTS, Request, taken
from tests.crash.clock import FrozenClock


@pytest.fixture(params=list(REQUESTS.values()), ids=list(REQUESTS))
def request_(request: pytest.FixtureRequest) -> Request:
    chosen: Request = request.param
    return chosen


@pytest.fixture
async def host(crash_app: Path, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Host]:
    """A host with an instance in each state: `gate` waits, `held` is suspended, `ended` and `failed` are over."""
    async with Host(crash_app, hub=tmp_path / "hub.db", clock=FrozenClock(), in_process=True) as host:
        for name, instance_id in (("Gate", "gate"), ("Gate", "held"), ("Squares", "ended"), ("None", "failed")):
            await host.start(name, [], instance_id)
        await host.advance(1)
        await host.suspend("held")
        await host.advance(1)
        yield host


async def test_what_is_answered_is_on_disk(
    request_: Request, host: Host, client: ClientSession, tmp_path: Path
) -> None:
    assert not taken(request_, host.hub.path, tmp_path / "before")

    async with client.request(request_.method, request_.path, json=request_.body) as response:
        is_taken = taken(request_, host.hub.path, tmp_path / "copy")

    assert response.status in (200, 202)
    assert is_taken
