"""A task hub's file: its schema, and opening it so that one host alone has it and a commit is on disk.

Not here: what is read and written (`taskhub`).
"""

import os
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from durable_host.errors import HubError

_APPLICATION_ID = 0x44544855  # Tells a task hub from other SQLite files.
_VERSION = 2
WRITE = f"PRAGMA user_version={_VERSION}"  # Writes a page, whether or not anything changes.
_SCHEMA = """
CREATE TABLE hub (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE instances (
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    input TEXT,
    output TEXT,
    custom_status TEXT,
    version TEXT,
    parent TEXT,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX instances_by_status ON instances (status, id, created_at);
CREATE TABLE history (instance_id TEXT NOT NULL, events TEXT NOT NULL);
CREATE INDEX history_by_instance ON history (instance_id);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    execution_id TEXT,
    due_at INTEGER NOT NULL,
    event TEXT NOT NULL
);
CREATE INDEX messages_by_due ON messages (due_at);
CREATE INDEX messages_by_instance ON messages (instance_id, due_at);
CREATE TABLE activities (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    input TEXT
);
"""
# What makes a hub of each earlier version one of the next.
_UPGRADES = {
    1: (
        "DROP INDEX messages_by_instance",
        "CREATE INDEX messages_by_instance ON messages (instance_id, due_at)",
    ),
}
_STATEMENTS = tuple(filter(None, (statement.strip() for statement in _SCHEMA.split(";\n"))))


@dataclass(slots=True)
class Place:
    """Where an open hub's file and its log lie: SQLite goes on writing to what was deleted or replaced.

    Source: fileHasMoved of SQLite 3.40, os_unix.c, which it asks only without a write-ahead log.
    """

    path: str
    _there: dict[str, tuple[int, int]] = field(default_factory=dict)

    def check(self) -> None:
        """Raises: HubError when the file or its log is another one than before, or has shrunk."""
        for file in (self.path, f"{self.path}-wal"):
            try:
                stat = os.stat(file)
                now = stat.st_ino, stat.st_size
            except OSError:
                now = 0, 0
            before = self._there.setdefault(file, now)
            if now[0] != before[0] or now[1] < before[1]:
                raise HubError(
                    f"{self.path}: while this host runs, {os.path.basename(file)} was deleted, moved, replaced or "
                    "cut. Put it back, or stop the host; nothing can be kept."
                )
            self._there[file] = now


def open_hub(path: Path) -> sqlite3.Connection:
    """A connection to the hub in this file, which is made when there is none; transactions are the caller's.

    Raises: HubError when the file is locked, foreign, newer, corrupt or read-only; nothing is changed then.
    """
    log = path.with_name(f"{path.name}-wal")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        seen = _look(path)
        had_log = log.exists()
        db = sqlite3.connect(path, isolation_level=None, timeout=0, cached_statements=256)
    except (OSError, sqlite3.Error) as error:
        raise HubError(f"{path}: cannot be opened ({error}); choose another with --hub.") from None
    try:
        _set_up(db, path, seen)
    except (sqlite3.Error, HubError) as error:
        _leave(db)
        if not had_log and log.exists() and log.stat().st_size == 0:
            log.unlink()
        if isinstance(error, HubError):
            raise
        raise HubError(_explain(path, error)) from None
    return db


def _leave(db: sqlite3.Connection) -> None:
    """Close a file that is refused, and leave it and its log as they are."""
    # A close takes the log into the database and deletes it, unless it is interrupted.
    db.interrupt()
    db.close()


def _look(path: Path) -> int:
    """The schema version that the file itself shows, 0 for a new one, without its log and without changing it.

    Raises: HubError for what no host made, and for a log without a file; OSError.
    """
    if path.exists() and not path.is_file():
        raise HubError(f"{path}: cannot be opened (it is no file); choose another with --hub.")
    if not path.exists() or path.stat().st_size == 0:
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size > 0:
            # SQLite would delete it.
            raise HubError(
                f"{path}: is empty or not there, but its log {log.name} is; put the file back or move the log "
                "away, or choose another with --hub."
            )
        return 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as db:
            return _header(db, path)
    except sqlite3.Error:
        return 0  # No database, or one that is being written: whoever locks it will tell.


def _header(db: sqlite3.Connection, path: Path) -> int:
    """The schema version of a file that is new or a task hub's."""
    (application_id,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (schema_version,) = db.execute("PRAGMA schema_version").fetchone()
    if schema_version and application_id != _APPLICATION_ID:
        raise HubError(f"{path}: is an SQLite file, but no task hub; choose another with --hub.")
    if version > _VERSION:
        raise HubError(
            f"{path}: was written by a newer version of this host (hub version {version}, this one reads up to "
            f"{_VERSION}); update, or choose another with --hub."
        )
    return int(schema_version)


def _set_up(db: sqlite3.Connection, path: Path, seen: int) -> None:
    # A second host is refused, and a kill -9 leaves no lock behind.
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("BEGIN IMMEDIATE")
    schema_version = _header(db, path)
    if seen and schema_version != seen:
        # SQLite applies any log of the file's name; a schema version of its own tells a hub's.
        raise HubError(
            f"{path}: the log beside it, {path.name}-wal, is another hub's; move the log away, or choose another "
            "with --hub."
        )
    if db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        _make(db)
    else:
        _upgrade(db, path)
        _check(db)
    db.execute("COMMIT")
    # Only now is the file known to be ours: WAL is written into it. FULL: a commit is on disk.
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")


def _make(db: sqlite3.Connection) -> None:
    for statement in _STATEMENTS:
        db.execute(statement)
    db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    db.execute(WRITE)
    db.execute(f"PRAGMA schema_version={secrets.randbelow(2**30) + 1000}")  # The schema never changes after this.
    db.execute("INSERT INTO hub VALUES ('code', ?)", (secrets.token_urlsafe(32),))


def _upgrade(db: sqlite3.Connection, path: Path) -> None:
    """Make an older hub one of this version, and keep it as it was in a file beside it: hub.db.version-1."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == _VERSION:
        return
    kept = path.with_name(f"{path.name}.version-{version}")
    kept.unlink(missing_ok=True)  # Of an upgrade that was cut short: the hub is still what it was.
    db.execute("COMMIT")  # No copy is made within a transaction; nobody else gets the file meanwhile.
    db.execute("VACUUM INTO ?", (str(kept),))
    db.execute("BEGIN IMMEDIATE")
    (schema_version,) = db.execute("PRAGMA schema_version").fetchone()
    for number in range(version, _VERSION):
        for statement in _UPGRADES[number]:
            db.execute(statement)
    db.execute(WRITE)
    # By it a log is known to be this hub's, also when the log has the upgrade and the file has not.
    db.execute(f"PRAGMA schema_version={schema_version}")


def _check(db: sqlite3.Connection) -> None:
    """Look through the file for damage: 0.3 s for 100,000 instances. SQLite sees none within a text."""
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    there = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema")}
    if found != "ok" or not there.issuperset(_STATEMENTS):
        raise sqlite3.DatabaseError("malformed")


def _explain(path: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return f"{path}: another host has this task hub open; stop it, or choose another with --hub."
    if any(each in text for each in ("not a database", "malformed", "decode")):
        return f"{path}: is no SQLite file, or a damaged one; move it away, or choose another with --hub."
    return f"{path}: cannot be used ({text}); free the disk or mend the permissions, or choose another with --hub."
