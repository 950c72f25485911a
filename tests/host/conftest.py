"""Fixtures: the golden app, whose orchestrators do one small thing each, on a host."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from durable_host import Clock, Host
from tests.conftest import APPS
from tests.golden_app import named_by

CALLING_APP = APPS / "calling"


@pytest.fixture
async def host(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> AsyncIterator[Host]:
    """What a test file names of the golden app, on a host with a hub of its own."""
    async with Host(named_by(request.path), hub=tmp_path / "hub.db", clock=clock, in_process=True) as host:
        yield host


@pytest.fixture
async def calling(clock: Clock, tmp_path: Path) -> AsyncIterator[Host]:
    """The app whose activities get URLs, on a host with a hub of its own."""
    async with Host(CALLING_APP, hub=tmp_path / "hub.db", clock=clock, in_process=True) as host:
        yield host
