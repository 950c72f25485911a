"""Fixtures: the app to crash, a sandbox apart from it, and processes that start in milliseconds."""

import multiprocessing
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import requests

from sandbox.twilio import ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER
from tests.conftest import APPS, ROOT
from tests.processes import running

FOLDERS = ("HttpStart", "E3_Monitor", "E3_TooManyOpenIssues", "E3_SendAlert")


class SandboxProcess:
    """`python -m sandbox`: it goes on when a host dies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = {
            "GITHUB_API_URL": f"{url}/github",
            "TWILIO_API_URL": f"{url}/twilio",
            "TwilioAccountSid": ACCOUNT_SID,
            "TwilioAuthToken": AUTH_TOKEN,
            "TwilioPhoneNumber": PHONE_NUMBER,
            "AllowedPhoneNumbers": "*",
            "GITHUB_TOKEN": "",
            "NO_PROXY": "localhost,127.0.0.1",
            "no_proxy": "localhost,127.0.0.1",
        }

    def set_open_issues(self, repo: str, count: int) -> None:
        requests.put(f"{self.url}/github/repos/{repo}", json={"open_issues": count}, timeout=30).raise_for_status()

    def sms(self) -> Counter[str]:
        """How many SMS each phone got."""
        return Counter(sms["to"] for sms in requests.get(f"{self.url}/sms", timeout=30).json())

    def sms_to(self, phone: str) -> int:
        """How many SMS this phone got."""
        return self.sms()[phone]


@pytest.fixture(scope="session")
def crash_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's app, and beside it the crash tests' own orchestrators."""
    app = tmp_path_factory.mktemp("crash") / "app"
    shutil.copytree(APPS / "crash", app)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, app / name)
    return app


@pytest.fixture
async def sandbox_process() -> AsyncIterator[SandboxProcess]:
    """A sandbox of its own for a test; octo/busy has too many open issues."""
    async with running(program="sandbox") as process:
        sandbox = SandboxProcess(process.url)
        sandbox.set_open_issues("octo/busy", 5)
        yield sandbox


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: a dead process loses nothing of it, and a sync costs nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Forks processes from one that has imported what is slow to import, so that a host starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["azure.durable_functions", "twilio.rest.api", "tests.crash.scenario", "tests.crash.serving"]
    )
    return context
