"""The power fails: what a disk then holds opens, is whole, and has every start that was acknowledged before."""

import asyncio
import random
import shutil
import sqlite3
import struct
import sys
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from aiohttp import ClientSession

from durable_host import Host
from durable_host.hub.taskhub import TaskHub
from tests.conftest import rounds
from tests.crash.clock import FrozenClock
from tests.crash.scenario import ORCHESTRATORS

STARTS = 240
CLIENTS = 4
SNAPSHOTS = 8
WAL_HEADER = struct.Struct(">8I")
FRAME_HEADER = struct.Struct(">6I")

# For each snapshot.
COUNTS = rounds(3, soak=100, long=250)


@dataclass(frozen=True, slots=True)
class Log:
    """SQLite's write-ahead log. Source: https://www.sqlite.org/fileformat.html, section 4."""

    data: bytes

    @property
    def salts(self) -> tuple[int, int]:
        """They change when the log starts anew, once all of it is in the database."""
        _, _, _, _, *salts, _, _ = WAL_HEADER.unpack_from(self.data)
        return salts[0], salts[1]

    def frames(self) -> list[tuple[int, int]]:
        """The page and the end of each frame that is in force; what follows is left from an earlier log."""
        page_size = WAL_HEADER.unpack_from(self.data)[2]
        found, at = [], WAL_HEADER.size
        while at + FRAME_HEADER.size + page_size <= len(self.data):
            page, _, *salts, _, _ = FRAME_HEADER.unpack_from(self.data, at)
            if tuple(salts) != self.salts:
                break
            at += FRAME_HEADER.size + page_size
            found.append((page, at))
        return found


@dataclass(frozen=True, slots=True)
class Start:
    """A start that was acknowledged, and where the log stood then."""

    instance_id: str
    salts: tuple[int, int]
    log_end: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files at a moment at which nothing is being written, and the starts that were acknowledged by then."""

    database: bytes
    log: Log
    starts: tuple[Start, ...]

    def acknowledged(self, cut: int) -> set[str]:
        """The starts that no loss of the log behind `cut` may take."""
        return {each.instance_id for each in self.starts if each.salts != self.log.salts or each.log_end <= cut}


class Recorder:
    """Starts instances over HTTP, and looks at the files when each is acknowledged."""

    def __init__(self, hub: Path, client: ClientSession) -> None:
        self._hub = hub
        self._wal = hub.with_name(f"{hub.name}-wal")
        self._client = client
        self._starts: list[Start] = []
        self.snapshots: list[Snapshot] = []

    async def start(self, numbers: range) -> None:
        for number in numbers:
            instance_id = f"instance-{number}"
            path = f"{ORCHESTRATORS}/FanOut/{instance_id}"
            async with self._client.post(path, json="[[1, 2], [3]]") as response:
                assert response.status == 202
            log = Log(self._wal.read_bytes())
            self._starts.append(Start(instance_id, log.salts, log.frames()[-1][1]))
            if len(self._starts) % (STARTS // SNAPSHOTS) == 0:
                self.snapshots.append(Snapshot(self._hub.read_bytes(), log, tuple(self._starts)))


@pytest.fixture(scope="module")
def snapshots(crash_app: Path, scratch: Path) -> list[Snapshot]:
    """What lay on the disk at moments of a run with many starts."""
    return asyncio.run(_record(crash_app, scratch / "recorded.db"))


async def _record(app: Path, hub: Path) -> list[Snapshot]:
    async with Host(app, hub=hub, clock=FrozenClock(), in_process=True) as host, ClientSession(host.url) as client:
        recorder = Recorder(hub, client)
        await asyncio.gather(*(recorder.start(range(first, STARTS, CLIENTS)) for first in range(CLIENTS)))
    return recorder.snapshots


def check(database: bytes, log: bytes, acknowledged: set[str], folder: Path) -> None:
    """What the disk holds opens as a task hub, is whole, and has these instances."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "hub.db").write_bytes(database)
    (folder / "hub.db-wal").write_bytes(log)
    with TaskHub(folder / "hub.db") as hub:
        lost = [instance_id for instance_id in acknowledged if hub.record(instance_id) is None]
    with closing(sqlite3.connect(folder / "hub.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert lost == []


def is_taken_in(snapshot: Snapshot) -> bool:
    """Whether the database holds all of the log: a checkpoint of a lone connection takes in the whole of it."""
    frames = snapshot.log.frames()
    size = frames[0][1] - WAL_HEADER.size - FRAME_HEADER.size
    return all(
        snapshot.database[(page - 1) * size : page * size] == snapshot.log.data[end - size : end]
        for page, end in dict(frames).items()
    )


def places(snapshot: Snapshot, chance: random.Random, count: int) -> list[int]:
    """Where to cut a log: at its ends, at commits, right before commits, anywhere.

    A log that was taken in had been synced before, so no loss of power can shorten it any more.
    """
    end = snapshot.log.frames()[-1][1]
    if is_taken_in(snapshot):
        return [end]
    commits = [each.log_end for each in snapshot.starts if each.salts == snapshot.log.salts]
    anywhere = [chance.randrange(end) for _ in range(2 * count)]
    return chance.sample([0, end, *commits, *(each - 1 for each in commits), *anywhere], count)


@COUNTS
def test_a_log_that_lost_its_end_holds_what_was_acknowledged_before(
    rounds: int, snapshots: list[Snapshot], scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(rounds)
    logs = {snapshot.log.salts for snapshot in snapshots}
    assert len(logs) > 1, "no log was started anew in this run"

    cuts = 0
    for snapshot in snapshots:
        log = snapshot.log.data
        for cut in places(snapshot, chance, rounds):
            # The file's length may be on disk before its content is: a tail of zeros, or of whatever lay there.
            for tail in (b"", bytes(len(log) - cut), chance.randbytes(len(log) - cut)):
                check(snapshot.database, log[:cut] + tail, snapshot.acknowledged(cut), scratch / "copy")
                cuts += 1

    with capsys.disabled():
        print(f"\n{cuts} cuts of {len(logs)} write-ahead logs, {STARTS} acknowledged starts")


@COUNTS
def test_a_database_that_took_in_a_part_of_its_log_holds_all_that_was_acknowledged(
    rounds: int, snapshots: list[Snapshot], scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(rounds)

    for snapshot in snapshots:
        for _ in range(rounds):
            database = partly_checkpointed(snapshot, chance)
            check(database, snapshot.log.data, {each.instance_id for each in snapshot.starts}, scratch / "copy")

    with capsys.disabled():
        print(f"\n{rounds * len(snapshots)} checkpoints broken off")


def partly_checkpointed(snapshot: Snapshot, chance: random.Random) -> bytes:
    """The database with some of its log's pages written into it."""
    frames = snapshot.log.frames()
    size = frames[0][1] - WAL_HEADER.size - FRAME_HEADER.size
    database = bytearray(snapshot.database)
    for page, end in chance.sample(frames, chance.randrange(len(frames))):
        at = (page - 1) * size
        database.extend(bytes(max(0, at + size - len(database))))
        database[at : at + size] = snapshot.log.data[end - size : end]
    return bytes(database)


def _ask_sqlite(hub: Path, answer: "Connection") -> None:
    """Tell what the connection of an open hub is set to."""
    handles: list[sqlite3.Connection] = []
    sys.addaudithook(lambda event, args: handles.append(args[0]) if event == "sqlite3.connect/handle" else None)
    with TaskHub(hub):
        settings = [handles[0].execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    answer.send(settings)


def test_a_commit_waits_for_the_disk(processes: ForkServerContext, tmp_path: Path) -> None:
    receiver, sender = processes.Pipe(duplex=False)

    # In a process of its own: an audit hook cannot be taken off again.
    process = processes.Process(target=_ask_sqlite, args=(tmp_path / "hub.db", sender))
    process.start()

    assert receiver.poll(30)
    assert receiver.recv() == ["wal", 2]  # 2 is FULL: each commit syncs the log.
    process.join(30)
