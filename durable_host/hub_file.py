"""A task hub's file: its schema, and opening it so that one host alone has it and a commit is on disk.

Not here: what is read and written (`taskhub`).
"""

import secrets
import sqlite3
from pathlib import Path

from durable_host.errors import HubError

_APPLICATION_ID = 0x44544855  # Tells a task hub from other SQLite files.
_VERSION = 1
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
CREATE INDEX messages_by_instance ON messages (instance_id);
CREATE TABLE activities (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    input TEXT
);
"""
_STATEMENTS = tuple(filter(None, (statement.strip() for statement in _SCHEMA.split(";\n"))))


def open_hub(path: Path) -> sqlite3.Connection:
    """A connection to the hub in this file, which is made when there is none; transactions are the caller's.

    Raises: HubError when the file is locked, foreign, newer, corrupt or read-only; nothing is changed then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, isolation_level=None, timeout=0, cached_statements=256)
    except (OSError, sqlite3.Error) as error:
        raise HubError(f"{path}: cannot be opened ({error}); choose another with --hub.") from None
    try:
        _set_up(db, path)
    except HubError:
        db.close()
        raise
    except sqlite3.Error as error:
        db.close()
        raise HubError(_explain(path, error)) from None
    return db


def _set_up(db: sqlite3.Connection, path: Path) -> None:
    # A second host is refused, and a kill -9 leaves no lock behind.
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("BEGIN IMMEDIATE")
    (application_id,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    is_new = db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    if not is_new and application_id != _APPLICATION_ID:
        raise HubError(f"{path}: is an SQLite file, but no task hub; choose another with --hub.")
    if version > _VERSION:
        raise HubError(
            f"{path}: was written by a newer version of this host (hub version {version}, this one reads up to "
            f"{_VERSION}); update, or choose another with --hub."
        )
    if is_new:
        _make(db)
    else:
        _check(db)
    db.execute("COMMIT")
    # Only now is the file known to be ours: WAL is written into it. FULL: a commit is on disk.
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")


def _make(db: sqlite3.Connection) -> None:
    for statement in _STATEMENTS:
        db.execute(statement)
    db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={_VERSION}")
    db.execute("INSERT INTO hub VALUES ('code', ?)", (secrets.token_urlsafe(32),))


def _check(db: sqlite3.Connection) -> None:
    """Look through the whole file for damage, which takes 0.2 s for 100,000 instances."""
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    there = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema")}
    if found != "ok" or not there.issuperset(_STATEMENTS):
        raise sqlite3.DatabaseError("malformed")


def _explain(path: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return f"{path}: another host has this task hub open; stop it, or choose another with --hub."
    if "not a database" in text or "malformed" in text:
        return f"{path}: is no SQLite file, or a damaged one; move it away, or choose another with --hub."
    return f"{path}: cannot be used ({text}); free the disk or mend the permissions, or choose another with --hub."
