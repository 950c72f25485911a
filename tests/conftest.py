"""Fixtures: the app on a host, the sandbox in place of GitHub and Twilio, and a server for a single odd answer."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from durable_host import Clock, Host, RealClock, SkipClock
from durable_host.worker.sdk import NORMAL_WARNINGS
from sandbox.server import Sandbox
from tests.golden_replay.summary import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

ROOT = Path(__file__).parents[1]
APPS = ROOT / "tests" / "fixture_apps"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]
needs_shell = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None,
    reason="This test runs commands of the pages, which need curl and bash: install them to have it run.",
)
in_real_time = pytest.mark.parametrize("clock_class", [RealClock])


# No test speaks TLS, and aiohttp reads the machine's certificates at import: 0.1 s at each start of a host.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)

# The folders of the tests in memory, where there is enough of it: a hub is synced at each commit.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_xdist_auto_num_workers() -> int:
    """A process more than there are cores: the recordings wait a lot."""
    return (os.cpu_count() or 1) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the app runs in the tests that can do both: make test-processes."""
    parser.addoption("--processes", action="store_true", help="run the app in a process of its own")


def pytest_configure(config: pytest.Config) -> None:
    """Pytest gives each test filters of its own, so that what a host quiets at its start would be heard again."""
    for text in NORMAL_WARNINGS:
        config.addinivalue_line("filterwarnings", f"ignore:{text}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Playwright is slow to import, for tests that are then left out."""
    return True if collection_path.name == "browser" and "not browser" in config.option.markexpr else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What an odd test printed may have no UTF-8, which a report needs on its way from one process to another."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


def rounds(quick: int, soak: int, long: int | None = None) -> pytest.MarkDecorator:
    """So many rounds in `make test`, and more of them in `make soak` and `make soak-long`."""
    # A timeout beside this mark would win over these.
    chosen = [
        pytest.param(quick),
        pytest.param(soak, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ]
    if long is not None:
        chosen.append(pytest.param(long, marks=[pytest.mark.soak_long, pytest.mark.timeout(7_200)]))
    return pytest.mark.parametrize("rounds", chosen)


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
def app_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this machine has a say in what the app does."""
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    # What is set here, a local.settings.json cannot overrule; this allows every number.
    monkeypatch.setenv("AllowedPhoneNumbers", "*")
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)


@pytest.fixture
async def sandbox(app_settings: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """GitHub and Twilio on a free port, and the app's settings for them."""
    async with Sandbox(port=0) as sandbox:
        for name, value in sandbox.settings.items():
            monkeypatch.setenv(name, value)
        yield sandbox


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a handler on every path of a free port, and gives its URL."""
    async with AsyncExitStack() as servers:

        async def start(handler: Handler) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            server = await servers.enter_async_context(TestServer(app))
            return f"http://localhost:{server.port}"

        yield start


@pytest.fixture
async def gate(serve: Serve) -> AsyncIterator[Gate]:
    """A closed gate; it is open when the test is over."""
    gate = Gate()
    gate.url = await serve(gate.answer)
    yield gate
    gate.opened.set()


@pytest.fixture
def clock_class() -> type[Clock]:
    """How time passes: waits are skipped, unless a test's parameter says otherwise."""
    return SkipClock


@pytest.fixture
def clock(clock_class: type[Clock]) -> Clock:
    """The host's clock."""
    return clock_class()


@pytest.fixture
def in_process(request: pytest.FixtureRequest) -> bool:
    """Whether the app runs in the test's own process."""
    return not request.config.getoption("--processes")


@pytest.fixture
async def host(sandbox: Sandbox, clock: Clock, tmp_path: Path, in_process: bool) -> AsyncIterator[Host]:
    """The app on a host with a hub of its own, using the sandbox."""
    hub = tmp_path / "hub.db"
    async with Host(ROOT, hub=hub, clock=clock, sandbox_url=sandbox.url, in_process=in_process) as host:
        yield host


@pytest.fixture
async def client(host: Host) -> AsyncIterator[ClientSession]:
    """Calls the host; a URL may be given as a path."""
    async with ClientSession(host.url) as client:
        yield client
