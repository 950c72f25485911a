"""Fixtures: the golden app, whose orchestrators do one small thing each, on a host; and a gate for activities."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from durable_host import Clock, Host
from tests.conftest import APPS, Serve
from tests.golden_app import named_by

CALLING_APP = APPS / "calling"


class Gate:
    """A URL that an activity gets: it answers its query once the gate is open."""

    def __init__(self) -> None:
        self.url = ""
        self.opened = asyncio.Event()
        self.waiting = 0
        self.most_waiting = 0
        self.came = asyncio.Semaphore(0)

    async def answer(self, request: web.Request) -> web.Response:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        self.came.release()
        await self.opened.wait()
        self.waiting -= 1
        return web.Response(text=request.query_string)


@pytest.fixture
async def gate(serve: Serve) -> AsyncIterator[Gate]:
    """A closed gate; it is open when the test is over."""
    gate = Gate()
    gate.url = await serve(gate.answer)
    yield gate
    gate.opened.set()


@pytest.fixture
async def host(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> AsyncIterator[Host]:
    """What a test file names of the golden app, on a host with a hub of its own."""
    async with Host(named_by(request.path), hub=tmp_path / "hub.db", clock=clock) as host:
        yield host


@pytest.fixture
async def calling(clock: Clock, tmp_path: Path) -> AsyncIterator[Host]:
    """The app whose activities get URLs, on a host with a hub of its own."""
    async with Host(CALLING_APP, hub=tmp_path / "hub.db", clock=clock) as host:
        yield host
