"""Fixtures: one Chromium for all tests, and the dashboard of a host whose outside world is the sandbox.

Chromium and every host share one event loop, the session's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from durable_host import Clock, Host, RealClock
from sandbox.server import Sandbox
from tests.conftest import ROOT, Handler, Serve

if TYPE_CHECKING:
    from tests.browser.browsing import Browser, Dashboard

Open = Callable[..., Awaitable["Dashboard"]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", metavar="FOLDER", help="write the README's pictures there, at 2x")


@pytest.fixture
def pictures(pytestconfig: pytest.Config) -> Path | None:
    """Where pictures are wanted; None when they are not."""
    # Unknown when this folder was not named on the command line.
    folder = pytestconfig.getoption("--pictures", default=None)
    return folder and Path(folder)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    from tests.browser.browsing import launched  # Not at the top: it skips whoever imports it.

    async with launched() as browser:
        yield browser


@pytest.fixture
def clock() -> Clock:
    """The host's and the sandbox's, as on the command line."""
    return RealClock()


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(app_settings: None, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(port=0, now=clock.now) as sandbox:
        for name, value in sandbox.settings.items():
            monkeypatch.setenv(name, value)
        yield sandbox


@pytest.fixture
def app() -> Path:
    """The function app that the host runs."""
    return ROOT


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """The task hub's file."""
    return tmp_path / "hub.db"


@pytest_asyncio.fixture(loop_scope="session")
async def host(sandbox: Sandbox, clock: Clock, app: Path, hub: Path) -> AsyncIterator[Host]:
    async with Host(app, hub=hub, clock=clock, sandbox_url=sandbox.url, in_process=True) as host:
        sandbox.allow_frame(host.url)
        yield host


@pytest_asyncio.fixture(loop_scope="session")
async def open_dashboard(browser: Browser, host: Host, sandbox: Sandbox) -> AsyncIterator[Open]:
    """Opens the dashboard in a browser of its own: a view, with Playwright's options for the browser's context.

    Whatever a page complains of fails the test.
    """
    from tests.browser.browsing import WIDE, Dashboard

    opened: list[Dashboard] = []
    async with AsyncExitStack() as contexts:

        async def open_view(
            path: str = "", at: str = host.url, api: str | None = None, **options: Any
        ) -> Dashboard:
            context = await browser.new_context(**{"viewport": WIDE, **options})
            contexts.push_async_callback(context.close)
            query = f"?{urlencode({'api': api})}" if api else ""
            origins = tuple(filter(None, (at, sandbox.url, api)))
            dashboard = Dashboard(await context.new_page(), f"{at}/{query}", origins)
            opened.append(dashboard)
            await dashboard.open(path)
            return dashboard

        yield open_view
    assert [problem for dashboard in opened for problem in dashboard.problems] == []


@pytest_asyncio.fixture(loop_scope="session")
async def serve_here() -> AsyncIterator[Serve]:
    """As `serve`, on this folder's event loop."""
    async with AsyncExitStack() as servers:

        async def start(handler: Handler) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            server = await servers.enter_async_context(TestServer(app))
            return f"http://localhost:{server.port}"

        yield start
