"""Hub files: made, kept, and refused with a remedy where damaged, foreign, newer, locked or out of place."""

import asyncio
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

from durable_host import Host
from durable_host.engine.events import parse
from durable_host.errors import HubError
from durable_host.hub.records import Filter
from durable_host.hub.taskhub import TaskHub
from tests.conftest import ROOT, rounds
from tests.golden_app import GOLDEN_APP
from tests.host.disk import full_disk

EARLIER = ROOT / "tests" / "data" / "hub-of-50c8bb4.db"
INSTANCES = 60


async def _fill(hub: Path, name: str) -> None:
    """Run some instances to their end, and leave others waiting."""
    async with Host(GOLDEN_APP, hub=hub, in_process=True) as host:
        for number in range(INSTANCES):
            await host.start("T_Hello", f"{name} {number}", f"{name}-{number}")
            await host.start("T_WaitEvent", None, f"{name}-waits-{number}")
        await host.idle()


def _fill_and_die(hub: Path, name: str) -> None:
    """Have a hub that nobody has closed: with the end of its work in its log."""

    async def run() -> None:
        await _fill(hub, name)
        async with Host(GOLDEN_APP, hub=hub, in_process=True) as host:
            for number in range(5):
                await host.wait(await host.start("T_Hello", "late", f"{name}-late-{number}"))
            os._exit(0)

    asyncio.run(run())


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`closed.db`, and two hubs of dead hosts with their logs: `dead.db` and `other.db`."""
    folder = tmp_path_factory.mktemp("hubs")
    asyncio.run(_fill(folder / "closed.db", "closed"))
    processes = get_context("forkserver")
    for name in ("dead", "other"):
        process = processes.Process(target=_fill_and_die, args=(folder / f"{name}.db", name))
        process.start()
        process.join()
        assert (folder / f"{name}.db-wal").stat().st_size > 0
    return folder


def copy(hubs: Path, name: str, folder: Path) -> Path:
    """The hub's file, with its log if it has one."""
    hub = folder / "hub.db"
    for suffix in ("", "-wal"):
        if (hubs / f"{name}.db{suffix}").exists():
            shutil.copy(hubs / f"{name}.db{suffix}", f"{hub}{suffix}")
    return hub


def contents(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder; None for what is no file."""
    return {each.name: each.read_bytes() if each.is_file() else None for each in sorted(folder.iterdir())}


def assert_is_refused(hub: Path) -> str:
    """It is refused in one line with a remedy, and nothing beside it has changed."""
    before = contents(hub.parent)
    with pytest.raises(HubError) as refusal:
        TaskHub(hub)
    assert contents(hub.parent) == before
    said = str(refusal.value)
    assert "\n" not in said
    assert said.startswith(f"{hub}")
    assert said.endswith("or choose another with --hub.") or "; choose another with --hub." in said
    return said


def is_found(hub: Path) -> bool:
    """Whether damage is found: by refusing the hub, which stays as it is, or by reading it from end to end."""
    before = contents(hub.parent)
    try:
        opened = TaskHub(hub)
    except HubError:
        assert contents(hub.parent) == before
        return True
    with opened:
        try:
            for record in opened.page(Filter(), "", 1000):
                parse(opened.history(record.id))
            opened.activities()
        except (sqlite3.Error, ValueError):
            return True
    return False


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        yield Path(folder)


def test_a_hub_is_made_where_there_is_none_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "hub.db"

    with TaskHub(path) as hub:
        assert hub.page(Filter(), "", 10) == []

    assert path.exists()


def test_each_hub_has_a_key_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    with TaskHub(tmp_path / "one.db") as hub:
        key = hub.key

    with TaskHub(tmp_path / "one.db") as hub, TaskHub(tmp_path / "other.db") as other:
        assert hub.key == key
        assert len(key) > 20
        assert other.key != key


def rows(hub: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(hub)) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


def test_an_older_hub_is_upgraded_and_kept_as_it_was_beside_it(tmp_path: Path) -> None:
    hub = Path(shutil.copy(EARLIER, tmp_path / "hub.db"))
    # Of an upgrade that was killed.
    (tmp_path / "hub.db.version-1").write_bytes(b"half a copy")
    tables = "instances", "history", "messages", "activities", "hub"
    before = {table: rows(EARLIER, table) for table in tables}

    for _ in range(2):
        TaskHub(hub).close()

    assert {table: rows(hub, table) for table in tables} == before
    assert {table: rows(tmp_path / "hub.db.version-1", table) for table in tables} == before
    with closing(sqlite3.connect(hub)) as now, closing(sqlite3.connect(tmp_path / "hub.db.version-1")) as then:
        versions = [db.execute("PRAGMA user_version").fetchone() for db in (now, then)]
    assert versions == [(2,), (1,)]


def test_an_upgrade_that_finds_no_room_changes_nothing(tmp_path: Path) -> None:
    hub = Path(shutil.copy(EARLIER, tmp_path / "hub.db"))
    before = hub.read_bytes()

    with full_disk(hub), pytest.raises(HubError, match="free the disk"):
        TaskHub(hub)

    assert hub.read_bytes() == before
    TaskHub(hub).close()


def test_a_second_host_on_a_hub_is_refused_and_may_have_it_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with TaskHub(path):
        with pytest.raises(HubError) as refusal:
            TaskHub(path)
        assert str(refusal.value) == (
            f"{path}: another host has this task hub open; stop it, or choose another with --hub."
        )

    with TaskHub(path):
        pass


def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(HubError, match=r": cannot be opened \(.+\); choose another with --hub\.$"):
        TaskHub(tmp_path / "file" / "hub.db")


def test_a_disk_that_is_full_from_the_start_is_told(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with full_disk(path), pytest.raises(HubError) as refusal:
        TaskHub(path)

    assert str(refusal.value).startswith(f"{path}: cannot be used (")
    assert "free the disk" in str(refusal.value)


# Damage.


@rounds(50, soak=500)
@pytest.mark.parametrize("name", ["closed", "dead"])
def test_a_hub_with_a_flipped_bit_is_refused_or_told_where_it_is_read(
    name: str, rounds: int, hubs: Path, memory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(name)
    found = 0
    for _ in range(rounds):
        hub = copy(hubs, name, memory)
        data = bytearray(hub.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        hub.write_bytes(data)

        found += is_found(hub)

    # SQLite keeps no checksums: what is still text, JSON and in order looks whole.
    assert found > rounds / 10
    with capsys.disabled():
        print(f"\n{found} of {rounds} flipped bits were found")


def test_a_hub_that_was_cut_is_refused(hubs: Path, memory: Path) -> None:
    good = (hubs / "closed.db").read_bytes()
    chance = random.Random(1)
    # SQLite takes a file of one byte for an empty one, so the shortest has two.
    ends = [2, 15, 16, 99, 100, 511, 512, 4095, 4096, 4097, len(good) - 4097, len(good) - 4096]
    # Nor does it miss the end of the last page, when that page is a free one.
    lengths = ends + [chance.randrange(2, len(good) - 4096) for _ in range(50)]

    for length in lengths:
        (memory / "hub.db").write_bytes(good[:length])

        said = assert_is_refused(memory / "hub.db")
        assert "is no SQLite file, or a damaged one; move it away" in said


def test_a_hub_with_a_page_of_garbage_is_refused(hubs: Path, memory: Path) -> None:
    good = (hubs / "closed.db").read_bytes()
    chance = random.Random(1)
    pages = range(0, len(good), 4096)

    for at in pages:
        (memory / "hub.db").write_bytes(good[:at] + chance.randbytes(4096) + good[at + 4096 :])

        assert_is_refused(memory / "hub.db")


# Strangers.


def _text(path: Path, stack: ExitStack) -> None:
    path.write_text("Buy milk.\n" * 1000)


def _notes(path: Path, stack: ExitStack) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE notes (text)")


def _notes_in_use(path: Path, stack: ExitStack) -> None:
    """As a program leaves it that was killed: part of it is in the log."""
    with closing(sqlite3.connect(path.with_name("live.db"))) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE notes (text)")
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(f"{path.with_name('live.db')}{suffix}", f"{path}{suffix}")


def _notes_half_written(path: Path, stack: ExitStack) -> None:
    """As a program leaves it that was killed in the middle of a transaction: the journal would undo it."""
    _notes(path, stack)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size=2")
        db.execute("BEGIN")
        db.executemany("INSERT INTO notes VALUES (?)", (("x" * 3000,) for _ in range(50)))
        for suffix in ("", "-journal"):
            shutil.copy(f"{path}{suffix}", f"{path.with_name('copy')}{suffix}")
        db.execute("ROLLBACK")
    for suffix in ("", "-journal"):
        path.with_name(f"copy{suffix}").replace(f"{path}{suffix}")


def _newer(path: Path, stack: ExitStack) -> None:
    with TaskHub(path):
        pass
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=3")


def _newer_in_its_log(path: Path, stack: ExitStack) -> None:
    with TaskHub(path.with_name("live.db")):
        pass
    with closing(sqlite3.connect(path.with_name("live.db"))) as db:
        db.execute("PRAGMA user_version=3")
        for suffix in ("", "-wal"):
            shutil.copy(f"{path.with_name('live.db')}{suffix}", f"{path}{suffix}")


def _without_a_table(path: Path, stack: ExitStack) -> None:
    with TaskHub(path):
        pass
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE activities")


def _folder(path: Path, stack: ExitStack) -> None:
    path.mkdir()


def _pipe(path: Path, stack: ExitStack) -> None:
    os.mkfifo(path)


def _socket(path: Path, stack: ExitStack) -> None:
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    folder = os.open(path.parent, os.O_RDONLY)
    stack.callback(os.close, folder)
    listener.bind(f"/proc/self/fd/{folder}/{path.name}")  # The path itself may be too long for a socket.


def _device(path: Path, stack: ExitStack) -> None:
    path.symlink_to("/dev/zero")


def _link_to_a_text(path: Path, stack: ExitStack) -> None:
    _text(path.with_name("notes.txt"), stack)
    path.symlink_to(path.with_name("notes.txt"))


def _locked(path: Path, stack: ExitStack) -> None:
    with TaskHub(path):
        pass
    db = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")


STRANGERS: dict[str, tuple[Callable[[Path, ExitStack], None], str]] = {
    "a text": (_text, "is no SQLite file"),
    "another program's": (_notes, "is an SQLite file, but no task hub"),
    "another program's, with a log": (_notes_in_use, "is an SQLite file, but no task hub"),
    "another program's, with a journal": (_notes_half_written, "is an SQLite file, but no task hub"),
    "a newer host's": (_newer, "was written by a newer version of this host (hub version 3"),
    "a newer host's, in its log": (
        _newer_in_its_log,
        "was written by a newer version of this host (hub version 3",
    ),
    "a hub without a table": (_without_a_table, "is no SQLite file, or a damaged one"),
    "a folder": (_folder, "it is no file"),
    "a pipe": (_pipe, "it is no file"),
    "a socket": (_socket, "it is no file"),
    "a device": (_device, "it is no file"),
    "a link to a text": (_link_to_a_text, "is no SQLite file"),
    "a locked hub": (_locked, "another host has this task hub open"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_what_is_no_hub_of_this_host_is_refused_with_its_reason(kind: str, tmp_path: Path) -> None:
    make, reason = STRANGERS[kind]
    with ExitStack() as stack:
        make(tmp_path / "hub.db", stack)

        assert reason in assert_is_refused(tmp_path / "hub.db")


# Logs.


def test_a_log_of_another_hub_is_refused(hubs: Path, tmp_path: Path) -> None:
    cases = [("dead", "other"), ("other", "dead"), ("closed", "dead"), ("closed", "other")]
    for file, log in cases:
        hub = copy(hubs, file, tmp_path)
        shutil.copy(hubs / f"{log}.db-wal", f"{hub}-wal")

        assert "the log beside it, hub.db-wal, is another hub's" in assert_is_refused(hub)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_log_whose_hub_is_lost_is_refused(is_there: bool, hubs: Path, tmp_path: Path) -> None:
    hub = copy(hubs, "dead", tmp_path)
    hub.unlink()
    if is_there:
        hub.touch()

    assert "is empty or not there, but its log hub.db-wal is" in assert_is_refused(hub)


def test_a_hub_that_lost_its_log_opens_as_it_was_when_it_had_none(hubs: Path, tmp_path: Path) -> None:
    hub = copy(hubs, "dead", tmp_path)
    hub.with_name("hub.db-wal").unlink()

    with TaskHub(hub) as opened:
        ids = {record.id for record in opened.page(Filter(), "", 1000)}

    assert len(ids) == 2 * INSTANCES
    assert "dead-late-0" not in ids


def test_a_refused_hub_opens_once_it_is_put_right(hubs: Path, tmp_path: Path) -> None:
    hub = copy(hubs, "dead", tmp_path)
    own = hub.with_name("hub.db-wal").read_bytes()
    shutil.copy(hubs / "other.db-wal", f"{hub}-wal")
    assert_is_refused(hub)

    hub.with_name("hub.db-wal").write_bytes(own)

    with TaskHub(hub) as opened:
        assert len(opened.page(Filter(), "", 1000)) == 2 * INSTANCES + 5


# Read-only.


@contextmanager
def read_only_mount(folder: Path) -> Iterator[None]:
    """A folder that nobody can write in, root neither."""
    done = subprocess.run(["mount", "--bind", folder, folder], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"mount is not allowed here: {done.stderr.decode().strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def read_only_file(folder: Path) -> Iterator[None]:
    """Files that nobody can write, root neither."""
    if os.geteuid() != 0:
        for file in folder.iterdir():
            file.chmod(0o400)
        yield
        return
    files = list(folder.iterdir())
    if shutil.which("chattr") is None:
        pytest.skip("root writes to any file, and there is no chattr here to forbid it")
    done = subprocess.run(["chattr", "+i", *files], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"root writes to any file here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@pytest.mark.parametrize("name", ["closed", "dead", None])
@pytest.mark.parametrize("read_only", [read_only_mount, read_only_file])
def test_a_hub_that_cannot_be_written_is_refused(
    read_only: Callable[[Path], AbstractContextManager[None]], name: str | None, hubs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if name is not None:
        copy(hubs, name, folder)
    elif read_only is read_only_file:
        (folder / "hub.db").touch()

    with read_only(folder):
        said = assert_is_refused(folder / "hub.db")

    assert "cannot be used (" in said or "cannot be opened (" in said


# While a host runs.


def delete(hub: Path, folder: Path) -> None:
    hub.unlink()


def delete_the_log(hub: Path, folder: Path) -> None:
    hub.with_name(f"{hub.name}-wal").unlink()


def delete_the_folder(hub: Path, folder: Path) -> None:
    shutil.rmtree(hub.parent)


def replace_by_a_copy(hub: Path, folder: Path) -> None:
    shutil.copy(hub, folder / "copy")
    os.replace(folder / "copy", hub)


def cut(hub: Path, folder: Path) -> None:
    os.truncate(hub, 8192)


def cut_the_log(hub: Path, folder: Path) -> None:
    os.truncate(hub.with_name(f"{hub.name}-wal"), 0)


@pytest.mark.parametrize(
    "harm",
    [delete, delete_the_log, delete_the_folder, replace_by_a_copy, cut, cut_the_log],
    ids=lambda harm: harm.__name__,
)
async def test_nothing_is_acknowledged_that_would_go_to_a_file_which_is_no_longer_there(
    harm: Callable[[Path, Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub = tmp_path / "folder" / "hub.db"
    async with Host(GOLDEN_APP, hub=hub, in_process=True) as host:
        await host.wait(await host.start("T_Instant", "x"))

        harm(hub, tmp_path)
        for _ in range(3):
            with pytest.raises(HubError, match=r"while this host runs, hub\.db(-wal)? was deleted, moved"):
                await host.start("T_Instant", "y")

    assert len([record for record in caplog.records if "while this host runs" in record.getMessage()]) == 1


async def test_a_hub_that_was_moved_and_put_back_goes_on(tmp_path: Path) -> None:
    hub = tmp_path / "hub.db"
    async with Host(GOLDEN_APP, hub=hub, in_process=True) as host:
        hub.rename(tmp_path / "elsewhere.db")
        with pytest.raises(HubError, match="Put it back"):
            await host.start("T_Instant", "x")

        (tmp_path / "elsewhere.db").rename(hub)

        assert (await host.wait(await host.start("T_Instant", "x")))["output"] == "x"
