"""Disks that fail: nothing is acknowledged that is not kept, and all goes on, without a restart, once it can."""

import asyncio
import json
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Host
from durable_host.errors import HubError
from durable_host.hub.taskhub import TaskHub
from sandbox.server import Sandbox
from tests.conftest import APPS, ROOT, Gate
from tests.crash.changes import REQUESTS, Request, taken
from tests.crash.conftest import FOLDERS
from tests.crash.scenario import INSTANCES, ORCHESTRATORS
from tests.golden_app import GOLDEN_APP
from tests.host.apps import ORCHESTRATOR, SLEEP, write_function
from tests.host.disk import full_disk
from tests.hostile.conftest import Count
from tests.processes import Running, running

# The purge leaves nothing to the purge of many.
IN_TURN = ("a monitor", "a start", "an event", "suspend", "terminate", "resume", "rewind", "restart", "purge")
FINISHED = ("Completed", "Failed", "Terminated")
Fault = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's app, those of the crash tests, one that gets URLs, and one that sleeps a second."""
    app = tmp_path_factory.mktemp("disk") / "app"
    shutil.copytree(APPS / "crash", app)
    for folder in (*(ROOT / name for name in FOLDERS), APPS / "calling" / "Call", APPS / "calling" / "Get"):
        shutil.copytree(folder, app / folder.name)
    write_function(app, "Sleep", SLEEP.replace("hours", "seconds"), ORCHESTRATOR)
    return app


@pytest.fixture(scope="module")
def failing_disk() -> Iterator[Path]:
    """A library to preload, by which a file says which calls fail."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here, which the failing disk needs; the other tests of this file need none")
    source = Path(__file__).with_name("failing_disk.c")
    with tempfile.TemporaryDirectory() as folder:  # Not in memory, from which nothing may be run in a container.
        library = Path(folder) / "failing_disk.so"
        done = subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], capture_output=True)
        if done.returncode != 0:
            pytest.skip(f"the failing disk is for Linux: {done.stderr.decode()[:200]}")
        yield library


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something on a folder, or skip the test."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, folder], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"mount is not allowed here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


class Disk:
    """A folder for a hub, and what can befall it; `break_` needs the host that runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = folder / "hub.db"

    def broken(self, host: Running) -> AbstractContextManager[None]:
        raise NotImplementedError


class SizeLimit(Disk):
    """No file may grow beyond the size that the hub's log has: EFBIG."""

    @contextmanager
    def broken(self, host: Running) -> Iterator[None]:
        log = self.hub.with_name("hub.db-wal")
        resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
        yield
        if host.process.returncode is None:
            limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, limits)


class SmallDisk(Disk):
    """A mount of 4 MB that something else fills: ENOSPC."""

    @contextmanager
    def broken(self, host: Running) -> Iterator[None]:
        filler = self.folder / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
        filler.unlink()


class FailingCalls(Disk):
    """A disk on which a kind of call fails."""

    def __init__(self, folder: Path, control: Path, told: str) -> None:
        super().__init__(folder)
        self._control = control
        self._told = told

    @contextmanager
    def broken(self, host: Running) -> Iterator[None]:
        self._control.write_text(self._told)
        yield
        self._control.unlink()


DISKS = {"size limit": "", "full": "", "write EIO": "write 5", "write EROFS": "write 30", "sync EIO": "sync 5"}
# To SQLite the others are as these.
HARDEST = ("size limit", "full", "sync EIO")
UNREADABLE = {"read EIO": "read 5"}


@pytest.fixture
def disk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> Iterator[Disk]:
    kind: str = request.param
    folder = tmp_path / "disk"
    folder.mkdir()
    if kind == "size limit":
        yield SizeLimit(folder)
    elif kind == "full":
        with mounted(folder, "-t", "tmpfs", "-o", "size=4m", "none"):
            yield SmallDisk(folder)
    else:
        monkeypatch.setenv("LD_PRELOAD", str(request.getfixturevalue("failing_disk")))
        monkeypatch.setenv("FAILING_DISK", str(tmp_path / "control"))
        yield FailingCalls(folder, tmp_path / "control", (DISKS | UNREADABLE)[kind])


class Caller:
    """Calls a host of another process."""

    def __init__(self, client: ClientSession) -> None:
        self._client = client

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._client.request(method, path, json=body) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def change(self, request: Request) -> tuple[int, Any]:
        return await self.ask(request.method, request.path, request.body)

    async def until(self, instance_id: str, *statuses: str) -> dict[str, Any]:
        while True:
            _, status = await self.ask("GET", f"{INSTANCES}/{instance_id}")
            if status and status["runtimeStatus"] in statuses:
                found: dict[str, Any] = status
                return found
            await asyncio.sleep(0.02)  # noqa: TID251 - Another process's instance cannot be awaited.


@asynccontextmanager
async def busy_host(app: Path, disk: Disk, url: str) -> AsyncIterator[tuple[Running, Caller]]:
    """A host with an instance in each state, an activity that waits for its URL, and a timer of a second."""
    async with (
        # Beside a sandbox, where the clock may be moved.
        running("--script-root", app, "--hub", disk.hub, "--sandbox", "0") as host,
        ClientSession(host.url) as client,
    ):
        caller = Caller(client)
        starts = ("Gate", "gate"), ("Gate", "held"), ("Squares", "ended"), ("None", "failed"), ("Call", "calls")
        for name, instance_id in (*starts, ("Sleep", "sleeps")):
            value = [url] if name == "Call" else []
            status, _ = await caller.ask("POST", f"{ORCHESTRATORS}/{name}/{instance_id}", json.dumps(value))
            assert status == 202
        assert (await caller.ask("POST", f"{INSTANCES}/held/suspend"))[0] == 202
        await caller.until("held", "Suspended")
        for instance_id in ("ended", "failed"):
            await caller.until(instance_id, *FINISHED)
        yield host, caller


async def assert_all_is_refused(caller: Caller) -> None:
    """Each change is a 503 that says why."""
    for name, request in REQUESTS.items():
        status, answer = await caller.change(request)
        said = answer["Message"]
        assert (name, status) == (name, 503), answer
        assert "The task hub cannot be written (" in said
    status, answer = await caller.ask("POST", "/durable-host/clock", {"advance_seconds": 60})
    assert (status, answer["Message"][:32]) == (503, "The task hub cannot be written (")


@pytest.mark.parametrize(
    "disk",
    [pytest.param(each, marks=() if each in HARDEST else pytest.mark.soak) for each in DISKS],
    indirect=True,
)
async def test_what_a_failing_disk_cannot_keep_is_refused_and_all_goes_on_once_it_can(
    app: Path, disk: Disk, gate: Gate, tmp_path: Path, count: Count
) -> None:
    async with busy_host(app, disk, f"{gate.url}/?here") as (host, caller):
        await gate.came.acquire()
        with disk.broken(host):
            await assert_all_is_refused(caller)
            gate.opened.set()  # The activity has its result now, which cannot be kept.
            await assert_all_is_refused(caller)
            assert (await caller.ask("GET", f"{INSTANCES}/calls"))[1]["runtimeStatus"] == "Running"

        assert (await caller.until("calls", *FINISHED))["output"] == ["here"]
        assert (await caller.until("sleeps", *FINISHED))["output"] == "woke"
        for name in IN_TURN:
            if name == "a start":  # Of the id that the monitor has.
                await caller.ask("POST", f"{INSTANCES}/new/terminate")
                await caller.until("new", "Terminated")
            elif name == "purge":
                await caller.until("ended", *FINISHED)
            assert (await caller.change(REQUESTS[name]))[0] in (200, 202), name
            assert taken(REQUESTS[name], disk.hub, tmp_path / name), name
        await host.end(signal.SIGKILL)

        assert host.printed.count("The task hub cannot be written (") == 1, host.printed
        assert host.printed.count("The task hub can be written again.") == 1
        assert "Traceback" not in host.printed
    count(2 * (len(REQUESTS) + 1) + len(IN_TURN) + 2)


@pytest.mark.parametrize("disk", ["size limit", pytest.param("sync EIO", marks=pytest.mark.soak)], indirect=True)
async def test_a_host_that_is_killed_while_its_disk_fails_has_taken_nothing_that_it_refused(
    app: Path, disk: Disk, gate: Gate, tmp_path: Path, count: Count
) -> None:
    async with busy_host(app, disk, f"{gate.url}/?here") as (host, caller):
        await gate.came.acquire()
        with disk.broken(host):
            await assert_all_is_refused(caller)
            await host.end(signal.SIGKILL)

    for number, (name, request) in enumerate(REQUESTS.items()):
        assert not taken(request, disk.hub, tmp_path / str(number)), name
    with TaskHub(disk.hub) as hub:
        assert [hub.record(each) is not None for each in ("gate", "held", "ended", "failed", "calls")] == [
            True
        ] * 5
        assert [each.name for each in hub.activities()] == ["Get"]
    count(len(REQUESTS) + 1)


@pytest.mark.parametrize("disk", UNREADABLE, indirect=True)
async def test_a_disk_that_cannot_be_read_is_a_503_and_ends_nothing(app: Path, disk: Disk, count: Count) -> None:
    event = f"{INSTANCES}/{{}}/raiseEvent/go"
    large = json.dumps(json.dumps(["x" * 200_000]))
    async with running("--script-root", app, "--hub", disk.hub) as host, ClientSession(host.url) as client:
        caller = Caller(client)
        for number in range(40):  # 8 MB, of which SQLite keeps 2 in memory.
            path = f"{ORCHESTRATORS}/Gate/{number}"
            async with client.post(path, data=large) as response:
                assert response.status == 202
        await caller.until("39", "Running")

        with disk.broken(host):
            # The rows of live instances are in memory, their histories are not.
            asked = [f"{INSTANCES}/{number}?showHistory=true" for number in range(40)]
            answers = [(await caller.ask("GET", each)) for each in asked]
            raised = [await caller.ask("POST", event.format(number), "on") for number in range(40)]
        refused = [answer["Message"] for status, answer in answers if status == 503]
        assert {status for status, _ in (*answers, *raised)} <= {200, 202, 503}
        assert len(refused) > 20
        assert all(message.startswith("The task hub cannot be read (") for message in refused)

        for number, (status, _) in enumerate(raised):
            if status == 503:
                assert (await caller.ask("POST", event.format(number), "on"))[0] == 202
        for number in range(40):
            assert (await caller.until(str(number), *FINISHED))["runtimeStatus"] == "Completed"
        await host.end(signal.SIGKILL)

        assert "Traceback" not in host.printed
    count(80)


async def test_a_disk_that_is_full_calls_no_function_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contexts: list[str] = []
    async with Host(
        GOLDEN_APP,
        hub=tmp_path / "hub.db",
        on_episode=lambda *told: contexts.append(told[0]),
        in_process=True,
    ) as host:
        instance_id = await host.start("T_WaitEvent")
        await host.idle()
        await host.raise_event(instance_id, "Go", 1)

        with full_disk(host.hub.path):
            for _ in range(50):
                with pytest.raises(HubError, match="The task hub cannot be written"):
                    await host.start("T_Instant", "x" * 100_000)

        assert (await host.wait(instance_id))["runtimeStatus"] == "Completed"
    assert contexts.count(instance_id) <= 3
    assert [record.levelname for record in caplog.records if "The task hub" in record.getMessage()] == [
        "ERROR",
        "WARNING",
    ]


@pytest.mark.parametrize("disk", ["sync EIO"], indirect=True)
async def test_what_was_written_but_not_synced_and_so_refused_is_not_there_after_a_kill(
    app: Path, disk: Disk, gate: Gate, tmp_path: Path
) -> None:
    request = REQUESTS["a start"]
    async with busy_host(app, disk, gate.url) as (host, caller):
        await gate.came.acquire()
        with disk.broken(host):
            assert (await caller.change(request))[0] == 503
            await host.end(signal.SIGKILL)

    assert not taken(request, disk.hub, tmp_path / "copy")
