"""What one may do to an instance: start, query, raise event, terminate, suspend, resume, restart, rewind, purge.

Each change is checked and written in one step of the next batch, and returns once that is on disk.
Not here: URLs, status codes and JSON shapes (`webhooks`).
Source of rules and texts: recorded from the durable extension 3.19.0; the operation's recordings are named.
"""

import logging
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from durable_host.clock import Clock
from durable_host.engine import events
from durable_host.engine.events import EventType, Status
from durable_host.errors import InstanceExists, InstanceFinished, InstanceNotFound, NotAllowed
from durable_host.hub.records import Filter, Record, Start
from durable_host.hub.taskhub import TaskHub
from durable_host.hub.writer import Writer
from durable_host.values import JSON, compact

_PURGED_AT_ONCE = 100  # So that a purge of 100,000 instances holds up nobody else.
_LONGEST_ID = 512  # In UTF-16 units, as a key of Azure's tables. Source: recorded, l_id_limit.
_MADE_WAY = (
    "A new instance creation request has been issued for instance {} which currently has status {}. Since the "
    "dedupe statuses of the creation request, [] (all statuses reusable), do not contain the orchestration's "
    "status, the orchestration has been terminated and a new instance with the same instance ID will be created."
)
log = logging.getLogger(__name__)


class Instances:
    """The operations on a hub's instances.

    Args:
        replaces_live: a start ends a live instance of its id, and does not fail.
        default_version: of starts that name none.
    """

    def __init__(self, writer: Writer, clock: Clock, replaces_live: bool, default_version: str | None) -> None:
        self._hub = writer.hub
        self._writer = writer
        self._clock = clock
        self._replaces_live = replaces_live
        self._default_version = default_version

    def get(self, instance_id: str) -> Record:
        """An instance's row.

        Raises: InstanceNotFound.
        """
        record = self._hub.record(instance_id)
        if record is None:
            raise InstanceNotFound(instance_id)
        return record

    def history(self, instance_id: str) -> list[JSON]:
        """The history of an instance's generation, as wire events; empty when there is none."""
        return events.parse(self._hub.history(instance_id))

    def page(self, where: Filter, first: str, limit: int) -> list[Record]:
        """Up to `limit` instances from the id `first` on, in ordinal order of ids."""
        return self._hub.page(where, first, limit)

    async def start(
        self,
        name: str,
        input_text: str | None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        execution_id: str | None = None,
    ) -> str:
        """Start an instance and return its id. `input_text` is raw JSON.

        A finished instance of the same id is replaced; a live one too, once it is terminated, when host.json says
        so. The name is not checked: an unknown orchestrator fails in its first episode.
        Raises: InstanceExists when one of that id is live; NotAllowed when the id is too long.
        Source: start_extension_api, duplicates, j_any_state, l_id_limit.
        """
        start = Start(
            instance_id or uuid.uuid4().hex,
            name,
            execution_id or str(uuid.uuid4()),
            input_text,
            self._default_version if version is None else version,
        )
        await self._replace(start.instance_id, lambda: self._start(start))
        return start.instance_id

    async def _replace(self, instance_id: str, start: Callable[[], None]) -> None:
        """Start an instance; when host.json allows it, a live one of its id is terminated first."""
        while True:
            try:
                return await self._writer.submit(start)
            except InstanceExists as problem:
                if not self._replaces_live:
                    raise
                reason = _MADE_WAY.format(instance_id, problem.runtime_status)
            with suppress(InstanceFinished, InstanceNotFound):
                await self.terminate(instance_id, reason)
            while (record := self._hub.record(instance_id)) is not None and not record.status.is_terminal:
                await self._writer.submit(
                    lambda: None
                )  # The episode that ends it runs in one of the next batches.

    def _start(self, start: Start) -> None:
        if len(start.instance_id.encode("utf-16-le", "surrogatepass")) // 2 > _LONGEST_ID:
            raise NotAllowed(f"An instance id has at most {_LONGEST_ID} characters; this one is longer.")
        old = self._hub.record(start.instance_id)
        if old is not None and not old.status.is_terminal:
            raise InstanceExists(old.status.name)
        put_start(self._hub, start, self._clock.now())

    async def raise_event(self, instance_id: str, name: str, input_text: str) -> None:
        """Send an external event; `input_text` is compact JSON.

        Raises: InstanceNotFound, InstanceFinished.
        Source: raise_event.
        """
        await self._send(instance_id, lambda at: events.event_raised(at, name, input_text))

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        """End an instance, whatever it waits for.

        Raises: InstanceNotFound, InstanceFinished.
        Source: status_running_and_terminate.
        """
        await self._send(instance_id, lambda at: events.execution_terminated(at, reason))

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Hold an instance's decisions back until it is resumed.

        Raises: InstanceNotFound, InstanceFinished; NotAllowed when it is suspended already.
        Source: suspend_resume.
        """
        await self._send(instance_id, lambda at: events.execution_suspended(at, reason), suspended=False)

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Let a suspended instance go on.

        Raises: InstanceNotFound, InstanceFinished; NotAllowed when it is not suspended.
        Source: suspend_resume.
        """
        await self._send(instance_id, lambda at: events.execution_resumed(at, reason), suspended=True)

    async def _send(
        self, instance_id: str, event: Callable[[datetime], str], suspended: bool | None = None
    ) -> None:
        def send() -> None:
            record = self._live(instance_id)
            if suspended is not None and (record.status is Status.Suspended) is not suspended:
                verb = "resume" if suspended else "suspend"
                raise NotAllowed(
                    f"Cannot {verb} the orchestration instance {instance_id} because instance is in the "
                    f"{record.status.name} state."
                )
            now = self._clock.now()
            self._hub.deliver(instance_id, None, now, event(now))

        await self._writer.submit(send)

    def _live(self, instance_id: str) -> Record:
        record = self.get(instance_id)
        if record.status.is_terminal:
            raise InstanceFinished(instance_id)
        return record

    async def restart(self, instance_id: str, started_id: str, version: str | None = None) -> str:
        """Start an instance's orchestrator again with the same input, under its id or another, and return that.

        Without a `version` it keeps its own.
        Raises: InstanceNotFound; InstanceExists when one of the new id is live; NotAllowed when that is too long.
        Source: restart, n_routes.
        """

        def restart() -> None:
            record = self.get(instance_id)
            input_text = record.input_text or "null"
            new_version = record.version if version is None else version
            self._start(
                Start(
                    started_id,
                    record.name,
                    uuid.uuid4().hex,
                    input_text,
                    self._default_version if new_version is None else new_version,
                    source_id=None if started_id == instance_id else instance_id,
                )
            )

        await self._replace(started_id, restart)
        return started_id

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Take back the failures of a failed instance, so that its failed activities are scheduled again.

        Raises: InstanceNotFound; NotAllowed when it has not failed.
        Source: rewind.
        """
        await self._writer.submit(lambda: self._rewind(instance_id, reason))

    def _rewind(self, instance_id: str, reason: str | None) -> None:
        record = self.get(instance_id)
        if record.status is not Status.Failed:
            raise NotAllowed(
                f'This orchestration has status {record.status.name}, but only orchestrations in the "Failed" '
                "state can be rewound."
            )
        now = self._clock.now()
        history = self.history(instance_id)
        failed = {
            event["TaskScheduledId"] for event in history if event["EventType"] == EventType.TASK_FAILED.value
        }
        children = _failed_children(history)
        rewound = [_rewound(event, failed) for event in history]
        self._hub.replace_history(instance_id, [compact(event) for event in rewound])
        self._hub.set_status(instance_id, Status.Pending, now)
        for child in children:
            self._rewind(child, reason)
        if not children:
            self._hub.deliver(instance_id, record.execution_id, now, events.generic_event(now, reason))

    async def purge(self, instance_id: str) -> None:
        """Remove a finished instance and its history.

        Raises: InstanceNotFound; NotAllowed when it is live.
        Source: purge.
        """
        await self._writer.submit(lambda: self._purge(instance_id))

    def _purge(self, instance_id: str) -> None:
        record = self.get(instance_id)
        if not record.status.is_terminal:
            raise NotAllowed(
                "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID "
                f"{instance_id} has status {record.status.name}"
            )
        self._hub.delete_instance(instance_id)

    async def purge_many(self, where: Filter) -> int:
        """Remove the instances that the filter means, and return how many there were.

        With statuses, the finished ones among these; without, what is live as well, which the console is told.
        """
        statuses = tuple(s for s in where.statuses if s.is_terminal) if where.statuses else tuple(Status)
        ids = self._hub.ids(replace(where, statuses=statuses))
        purged: Counter[Status] = Counter()
        for start in range(0, len(ids), _PURGED_AT_ONCE):
            chunk = ids[start : start + _PURGED_AT_ONCE]
            purged += await self._writer.submit(lambda chunk=chunk: self._delete(chunk, statuses))  # type: ignore[misc]
        live = ", ".join(f"{count} {status.name}" for status, count in purged.items() if not status.is_terminal)
        if live:
            log.warning("Purged %d instances, live ones among them: %s", purged.total(), live)
        return purged.total()

    def _delete(self, ids: list[str], statuses: tuple[Status, ...]) -> "Counter[Status]":
        records = [record for record in map(self._hub.record, ids) if record is not None]
        purged = [record for record in records if record.status in statuses]
        for record in purged:
            self._hub.delete_instance(record.id)
        return Counter(record.status for record in purged)


def put_start(hub: TaskHub, start: Start, now: datetime) -> None:
    """Store a new instance, and the message that starts it; a finished one of its id is replaced."""
    old = hub.record(start.instance_id)
    generation = 0 if old is None else old.generation + 1
    hub.put_instance(
        Record(
            id=start.instance_id,
            name=start.name,
            execution_id=start.execution_id,
            status=Status.Pending,
            input_text=start.input_text,
            output=None,
            custom_status=None,
            version=start.version,
            parent=start.parent,
            generation=generation,
            created_at=now,
            updated_at=now,
        )
    )
    event = events.execution_started(
        now,
        instance_id=start.instance_id,
        execution_id=start.execution_id,
        name=start.name,
        input_text=start.input_text,
        generation=generation if start.parent is None else None,
        version=start.version,
        parent=start.parent,
        source_id=start.source_id,
    )
    hub.deliver(start.instance_id, start.execution_id, now, event)


def _failed_children(history: list[JSON]) -> list[str]:
    failed = {
        event["TaskScheduledId"]
        for event in history
        if event["EventType"] == EventType.SUB_ORCHESTRATION_INSTANCE_FAILED.value
    }
    created = EventType.SUB_ORCHESTRATION_INSTANCE_CREATED.value
    return [
        event["InstanceId"] for event in history if event["EventType"] == created and event["EventId"] in failed
    ]


def _rewound(event: JSON, failed: set[int]) -> JSON:
    """A history event after a rewind: failures, and what failed, have become GenericEvents in their place."""
    kind = EventType(event["EventType"])
    undone = kind in (
        EventType.TASK_FAILED,
        EventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
        EventType.EXECUTION_COMPLETED,
    ) or (kind is EventType.TASK_SCHEDULED and event["EventId"] in failed)
    if not undone:
        return event
    kept = {key: event[key] for key in ("EventId", "IsPlayed", "Timestamp")}
    return {"Data": None, "EventType": EventType.GENERIC_EVENT.value, **kept}
