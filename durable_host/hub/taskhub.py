"""The task hub: instances, history, messages and activities in flight, in one SQLite file.

Whatever changes is written inside `batch`: one transaction for all that is ready, so that one fsync serves many. A
caller's change has a savepoint in it, so that refusing one undoes nothing of the others. Instants are stored as
whole microseconds since 1970. All calls come from one thread.
Not here: the schema (`file`), and which change is right (`episode`, `instances`).
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from durable_host.engine.episode import Decision
from durable_host.engine.events import Parent, Status
from durable_host.hub.file import WRITE, Place, open_hub
from durable_host.hub.records import Activity, Filter, Message, Record
from durable_host.values import from_microseconds, microseconds

_COLUMNS = (
    "id, name, execution_id, status, input, output, custom_status, version, parent, generation, created_at, "
    "updated_at"
)
_MOST_LIVE = 4_096  # Rows that are remembered: some megabytes.
_ARRIVED = 2**60  # Taken off the instant of a message that has arrived, so that it is below every clock's.


class TaskHub:
    """An open task hub. Only one host at a time has it open.

    Raises: HubError when the file is locked, foreign, newer, corrupt or read-only; nothing is changed then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_hub(path)
        self.key = self._setting("code") or ""
        self.skipped = timedelta(microseconds=int(self._setting("skipped") or 0))
        (last,) = self._db.execute("SELECT max(due_at) FROM messages WHERE due_at < 0").fetchone()
        self._arrived: int = -_ARRIVED if last is None else last  # What arrives stays behind it.
        arrived = self.waiting(from_microseconds(-1))
        # Who may have messages due, and whether another one than the result of an activity is among them.
        self._news: dict[str, bool] = dict.fromkeys(arrived, True)
        self._told_until = -1  # Timers that are due until then have been told of.
        self._live: dict[str, Record] = {}  # Rows of live instances, as far as they have been read or written.
        self._place = Place(str(path.absolute()))
        self._place.check()  # Now, as the first read makes the log.

    def close(self) -> None:
        """Close the file; what was not committed is gone."""
        self._db.close()

    def trace(self, statement: Callable[[str], None] | None) -> None:
        """Have each SQL statement told before it runs, or none any more; how tests find the points to fail at."""
        self._db.set_trace_callback(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _setting(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM hub WHERE key = ?", (key,)).fetchone()
        return row and str(row[0])

    # Writing.

    @contextmanager
    def batch(self) -> Iterator[None]:
        """One transaction: on disk when the block ends, undone whole when it raises.

        Raises: HubError when the file is no longer where it was.
        """
        self._place.check()
        skipped = self.skipped
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self.skipped = skipped
            self._live.clear()
            if self._db.in_transaction:  # Some errors (disk full) have already rolled it back.
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def change(self) -> Iterator[None]:
        """One caller's change within a batch: undone alone when it raises."""
        self._db.execute("SAVEPOINT change")
        try:
            yield
        except Exception:
            self._live.clear()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO change")
                self._db.execute("RELEASE change")
            raise
        self._db.execute("RELEASE change")

    def try_write(self) -> None:
        """Write, and change nothing. Raises: what a batch raises when nothing can be written."""
        with self.batch():
            self._db.execute(WRITE)

    def save_skipped(self, skipped: timedelta) -> None:
        """Keep how far the clock is ahead, so that time never runs back over a restart."""
        if skipped != self.skipped:
            count = str(skipped // timedelta(microseconds=1))
            self._db.execute("INSERT OR REPLACE INTO hub VALUES ('skipped', ?)", (count,))
            self.skipped = skipped

    def put_instance(self, record: Record) -> None:
        """Store a new instance; one of the same id, finished, is replaced with all that was its own."""
        self.delete_instance(record.id)
        parent = record.parent and json.dumps(asdict(record.parent))
        self._db.execute(
            f"INSERT INTO instances ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.id,
                record.name,
                record.execution_id,
                record.status,
                record.input_text,
                record.output,
                record.custom_status,
                record.version,
                parent,
                record.generation,
                microseconds(record.created_at),
                microseconds(record.updated_at),
            ),
        )
        self._keep(record)

    def _keep(self, record: Record) -> None:
        """Remember the row of a live instance, which its next episode reads."""
        if record.status.is_terminal:
            self._live.pop(record.id, None)
            return
        if len(self._live) >= _MOST_LIVE:
            self._live.clear()
        self._live[record.id] = record

    def delete_instance(self, instance_id: str) -> bool:
        """Remove an instance, its history and its messages; False when there is none.

        Activities in flight stay until they have run; their results are dropped.
        """
        self._live.pop(instance_id, None)
        gone = self._db.execute("DELETE FROM instances WHERE id = ?", (instance_id,)).rowcount == 1
        if gone:
            self._db.execute("DELETE FROM history WHERE instance_id = ?", (instance_id,))
            self._db.execute("DELETE FROM messages WHERE instance_id = ?", (instance_id,))
        return gone

    def put_message(self, instance_id: str, execution_id: str | None, due_at: datetime, event: str) -> None:
        """Store a message; without an execution id it is for whatever generation the instance is in."""
        due = microseconds(due_at)
        if due <= self._told_until:
            self._news[instance_id] = True
        self._put_message(instance_id, execution_id, due, event)

    def deliver(self, instance_id: str, execution_id: str | None, at: datetime, event: str) -> None:
        """Store a message that has arrived: it is due whatever the clock shows, behind those that came before it.

        The system's clock may be set back before an episode takes it.
        """
        self._news[instance_id] = True
        self._arrive(instance_id, execution_id, at, event)

    def _arrive(self, instance_id: str, execution_id: str | None, at: datetime, event: str) -> None:
        self._arrived = max(self._arrived, microseconds(at) - _ARRIVED)
        self._put_message(instance_id, execution_id, self._arrived, event)

    def _put_message(self, instance_id: str, execution_id: str | None, due_at: int, event: str) -> None:
        self._db.execute(
            "INSERT INTO messages (instance_id, execution_id, due_at, event) VALUES (?, ?, ?, ?)",
            (instance_id, execution_id, due_at, event),
        )

    def delete_messages(self, ids: Iterable[int]) -> None:
        """Remove messages that an episode has taken, or that nobody is there for."""
        self._db.executemany("DELETE FROM messages WHERE id = ?", ((each,) for each in ids))

    def finish_activity(self, activity: Activity, event: str, at: datetime) -> None:
        """An activity has run: its result becomes a message in the step that removes it."""
        self._db.execute("DELETE FROM activities WHERE id = ?", (activity.id,))
        self._news.setdefault(activity.instance_id, False)
        self._arrive(activity.instance_id, activity.execution_id, at, event)

    def apply(self, record: Record, decision: Decision, timers: Iterable[tuple[datetime, str]]) -> list[Activity]:
        """Commit what an episode decided. `timers` are due instants with the TimerFired that each becomes.

        Returns the activities to run once the batch is on disk.
        """
        instance_id, execution_id = record.id, record.execution_id
        updated_at = microseconds(decision.last_at)
        if decision.next_generation is not None:
            self._continue_as_new(record, decision)
            return []
        self._db.execute("INSERT INTO history VALUES (?, ?)", (instance_id, ",".join(decision.history)))
        self._db.execute(
            "UPDATE instances SET status = ?, output = ?, custom_status = ?, updated_at = ? WHERE id = ?",
            (decision.status, decision.output, decision.custom_status, updated_at, instance_id),
        )
        self._keep(
            replace(
                record,
                status=decision.status,
                output=decision.output,
                custom_status=decision.custom_status,
                updated_at=decision.last_at,
            )
        )
        if decision.status.is_terminal:
            self._db.execute("DELETE FROM messages WHERE instance_id = ?", (instance_id,))
        else:
            for due_at, event in timers:
                self.put_message(instance_id, execution_id, due_at, event)
        if decision.for_parent is not None and record.parent is not None:
            self.deliver(record.parent.instance_id, record.parent.execution_id, decision.now, decision.for_parent)
        return [
            self._put_activity(instance_id, execution_id, call.task_id, call.name, call.input_text)
            for call in decision.activities
        ]

    def _continue_as_new(self, record: Record, decision: Decision) -> None:
        generation = decision.next_generation
        assert generation is not None
        at = microseconds(decision.now)
        self._db.execute("DELETE FROM history WHERE instance_id = ?", (record.id,))
        self._db.execute(
            "UPDATE instances SET execution_id = ?, status = ?, input = ?, output = NULL, custom_status = ?, "
            "created_at = ?, updated_at = ? WHERE id = ?",
            (
                generation.execution_id,
                Status.Running,
                generation.input_text,
                decision.custom_status,
                at,
                at,
                record.id,
            ),
        )
        self._keep(
            replace(
                record,
                execution_id=generation.execution_id,
                status=Status.Running,
                input_text=generation.input_text,
                output=None,
                custom_status=decision.custom_status,
                created_at=decision.now,
                updated_at=decision.now,
            )
        )
        # Ahead of what else waits for the instance: that is for the new generation's later episodes.
        self.put_message(record.id, generation.execution_id, from_microseconds(0), generation.opening)

    def _put_activity(
        self, instance_id: str, execution_id: str, task_id: int, name: str, input_text: str | None
    ) -> Activity:
        cursor = self._db.execute(
            "INSERT INTO activities (instance_id, execution_id, task_id, name, input) VALUES (?, ?, ?, ?, ?)",
            (instance_id, execution_id, task_id, name, input_text),
        )
        return Activity(cursor.lastrowid or 0, instance_id, execution_id, task_id, name, input_text)

    def replace_history(self, instance_id: str, events: Sequence[str]) -> None:
        """Rewrite an instance's history, as a rewind does."""
        self._db.execute("DELETE FROM history WHERE instance_id = ?", (instance_id,))
        self._db.execute("INSERT INTO history VALUES (?, ?)", (instance_id, ",".join(events)))

    def set_status(self, instance_id: str, status: Status, at: datetime) -> None:
        """Change an instance's status outside an episode; its output goes."""
        self._db.execute(
            "UPDATE instances SET status = ?, output = NULL, updated_at = ? WHERE id = ?",
            (status, microseconds(at), instance_id),
        )
        self._live.pop(instance_id, None)

    # Reading.

    def record(self, instance_id: str) -> Record | None:
        """An instance's row."""
        live = self._live.get(instance_id)
        if live is not None:
            return live
        row = self._db.execute(f"SELECT {_COLUMNS} FROM instances WHERE id = ?", (instance_id,)).fetchone()
        if row is None:
            return None
        record = _record(row)
        self._keep(record)
        return record

    def history(self, instance_id: str) -> list[str]:
        """An instance's history of this generation: event texts, one an episode."""
        rows = self._db.execute("SELECT events FROM history WHERE instance_id = ? ORDER BY rowid", (instance_id,))
        return [row[0] for row in rows]

    def activities(self) -> list[Activity]:
        """All activities in flight, in the order in which they were scheduled."""
        rows = self._db.execute(
            "SELECT id, instance_id, execution_id, task_id, name, input FROM activities ORDER BY id"
        )
        return [Activity(*row) for row in rows]

    def take_due(self, now: datetime) -> dict[str, bool]:
        """The instances that may have messages due and were not told of since, in the order of their messages.

        The value is False where these are but results of activities. What a batch that was undone had put there
        may be among them.
        """
        until = microseconds(now)
        # A clock that was set back makes timers wait that have been told of.
        self._told_until = min(self._told_until, until)
        rows = self._db.execute(
            "SELECT instance_id FROM messages WHERE due_at > ? AND due_at <= ? ORDER BY due_at, id",
            (max(self._told_until, -1), until),
        ).fetchall()
        self._told_until = until
        found = self._news | dict.fromkeys((row[0] for row in rows), True)
        self._news = {}
        return found

    def waiting(self, now: datetime) -> list[str]:
        """The instances that have messages due, those first that wait longest."""
        rows = self._db.execute(
            "SELECT instance_id FROM messages WHERE due_at <= ? "
            "ORDER BY CASE WHEN due_at < 0 THEN due_at + ? ELSE due_at END, id",
            (microseconds(now), _ARRIVED),
        )
        return list(dict.fromkeys(row[0] for row in rows))

    def messages(self, instance_id: str, now: datetime) -> list[Message]:
        """The messages that are due for an instance, in the order in which they came."""
        rows = self._db.execute(
            "SELECT id, execution_id, event FROM messages WHERE instance_id = ? AND due_at <= ? "
            "ORDER BY CASE WHEN due_at < 0 THEN due_at + ? ELSE due_at END, id",
            (instance_id, microseconds(now), _ARRIVED),
        )
        return [Message(*row) for row in rows]

    def next_untold(self) -> datetime | None:
        """When the first of the messages is due that `take_due` has not told of; None when none waits."""
        if self._news:
            return from_microseconds(0)
        query = "SELECT min(due_at) FROM messages WHERE due_at > ?"
        (due_at,) = self._db.execute(query, (max(self._told_until, -1),)).fetchone()
        return None if due_at is None else from_microseconds(due_at)

    def next_due(self) -> datetime | None:
        """When the first message is due, 1970 for one that has arrived; None when none waits."""
        (due_at,) = self._db.execute("SELECT min(due_at) FROM messages").fetchone()
        return None if due_at is None else from_microseconds(max(due_at, 0))

    def next_timer(self, now: datetime) -> datetime | None:
        """When the next durable timer is due, of those that are not due yet; None when none waits."""
        query = "SELECT min(due_at) FROM messages WHERE due_at > ?"
        (due_at,) = self._db.execute(query, (microseconds(now),)).fetchone()
        return None if due_at is None else from_microseconds(due_at)

    def page(self, where: Filter, first: str, limit: int) -> list[Record]:
        """Up to `limit` instances from the id `first` on, by id in ordinal order."""
        condition, values = _condition(where)
        query = f"SELECT {_COLUMNS} FROM instances WHERE id >= ? {condition}"
        arguments = [first, *values]
        if where.statuses:
            # One ordered run through the index a status, then merged: no page sorts what it does not show.
            run = f"SELECT * FROM ({query} AND status = ? ORDER BY id LIMIT ?)"
            query = " UNION ALL ".join([run] * len(where.statuses))
            arguments = [each for status in where.statuses for each in (first, *values, status, limit)]
        rows = self._db.execute(f"{query} ORDER BY id LIMIT ?", (*arguments, limit))
        return [_record(row) for row in rows]

    def ids(self, where: Filter) -> list[str]:
        """The ids of all instances that the filter means."""
        condition, values = _condition(where)
        marks = ", ".join("?" * len(where.statuses))
        rows = self._db.execute(
            f"SELECT id FROM instances WHERE status IN ({marks}) {condition}", (*where.statuses, *values)
        )
        return [row[0] for row in rows]


def _condition(where: Filter) -> tuple[str, list[object]]:
    """The SQL for all but the statuses, each clause led by AND."""
    clauses: list[str] = []
    values: list[object] = []
    if where.prefix:
        # U+10FFFF sorts after whatever may follow the prefix.
        clauses.append("AND id >= ? AND id < ?")
        values += [where.prefix, where.prefix + "\U0010ffff"]
    if where.created_from is not None:
        clauses.append("AND created_at >= ?")
        values.append(microseconds(where.created_from))
    if where.created_to is not None:
        clauses.append("AND created_at <= ?")
        values.append(microseconds(where.created_to))
    return " ".join(clauses), values


def _record(row: tuple[Any, ...]) -> Record:
    """Raises: sqlite3.DatabaseError for a row that no host has written; SQLite keeps no checksums."""
    id_, name, execution_id, status, input_text, output, custom_status, version, parent, generation, *times = row
    try:
        created_at, updated_at = map(from_microseconds, times)
        return Record(
            id_,
            name,
            execution_id,
            Status(status),
            input_text,
            output,
            custom_status,
            version,
            None if parent is None else Parent(**json.loads(parent)),
            generation,
            created_at,
            updated_at,
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise sqlite3.DatabaseError(f"a malformed row: {error}") from None
