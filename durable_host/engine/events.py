"""History events: their wire JSON, as the SDK gets it, and what the host reads back from it.

A message that waits for an instance is the text of the event that it becomes, so nothing is encoded twice. Texts
are written with `IsPlayed` false; `played` marks them once an episode has seen them.
Not here: which event comes when (`episode`), and the shape that showHistory gives them (`webhooks`).
Source: recorded contexts of Microsoft.Azure.WebJobs.Extensions.DurableTask 3.19.0, DurableTask.Core 3.11.2.
"""

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from durable_host.values import JSON, compact, stamp

_SOURCE = "MS_DurableFunctions_SourceInstanceId"  # The tag of an instance that is another's restart.
_SHORT = 4_000  # Characters; what is remembered stays under some megabytes.


class EventType(IntEnum):
    """The numbers by which the wire names history events."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_INSTANCE_CREATED = 7
    SUB_ORCHESTRATION_INSTANCE_COMPLETED = 8
    SUB_ORCHESTRATION_INSTANCE_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_SENT = 14
    EVENT_RAISED = 15
    GENERIC_EVENT = 17
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20

    __hash__ = int.__hash__  # Enum's own is Python code, and each event of each replay is looked up.

    @property
    def wire_name(self) -> str:
        """The name that showHistory gives it: `TaskScheduled`, `TimerFired`, ..."""
        return self.name.title().replace("_", "")


class Status(IntEnum):
    """Runtime statuses, by the numbers that the wire and the list filter use."""

    Running = 0
    Completed = 1
    ContinuedAsNew = 2
    Failed = 3
    Canceled = 4
    Terminated = 5
    Pending = 6
    Suspended = 7

    @property
    def is_terminal(self) -> bool:
        """Whether an instance with this status is finished."""
        return self in _TERMINAL


_TERMINAL = frozenset((Status.Completed, Status.Failed, Status.Canceled, Status.Terminated))


class Event(NamedTuple):
    """What the host reads of a history event; a field that its type has not is None.

    `task_id` is the id that a completion answers: TaskScheduledId or TimerId.
    `text` is the reason, input or data that the event carries, as it stands on the wire.
    `child_id` is the instance id of a sub-orchestration that was created; `source_id` that of the instance which a
    started one restarts under another id.
    """

    type: EventType
    timestamp: str
    event_id: int = -1
    task_id: int | None = None
    name: str | None = None
    text: str | None = None
    child_id: str | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Parent:
    """The instance that waits for a sub-orchestration, and the id under which it does."""

    name: str
    instance_id: str
    execution_id: str
    task_id: int
    version: str | None


def _event(kind: EventType, at: datetime, fields: Mapping[str, JSON], event_id: int = -1) -> str:
    return compact({"EventType": kind.value, **fields, **_tail(at, event_id)})


def _tail(at: datetime, event_id: int) -> dict[str, JSON]:
    return {"EventId": event_id, "IsPlayed": False, "Timestamp": stamp(at)}


def execution_started(
    at: datetime,
    *,
    instance_id: str,
    execution_id: str,
    name: str,
    input_text: str | None,
    generation: int | None,
    version: str | None = None,
    parent: Parent | None = None,
    source_id: str | None = None,
) -> str:
    """The first event of a generation; `source_id` is the instance that it restarts under another id."""
    return _event(
        EventType.EXECUTION_STARTED,
        at,
        {
            "OrchestrationInstance": {"InstanceId": instance_id, "ExecutionId": execution_id},
            "ParentInstance": parent and _parent(parent),
            "Name": name,
            "Version": version,
            "Input": input_text,
            "Tags": source_id and {_SOURCE: source_id},
            "Correlation": None,
            "ParentTraceContext": None,
            "ScheduledStartTime": None,
            "Generation": generation,
            "GenerateNewTrace": False,
        },
    )


def _parent(parent: Parent) -> JSON:
    return {
        "Name": parent.name,
        "OrchestrationInstance": {"InstanceId": parent.instance_id, "ExecutionId": parent.execution_id},
        "TaskScheduleId": parent.task_id,
        "Version": parent.version,
    }


def execution_completed(at: datetime, event_id: int, status: Status, result: str | None) -> str:
    """The last decision of an instance: `result` is output JSON, or the text of a failure or terminate reason."""
    fields = {"OrchestrationStatus": status.value, "Result": result, "FailureDetails": None}
    return _event(EventType.EXECUTION_COMPLETED, at, fields, event_id)


def execution_terminated(at: datetime, reason: str | None) -> str:
    """A request to terminate."""
    return _event(EventType.EXECUTION_TERMINATED, at, {"Input": reason})


def task_scheduled(at: datetime, event_id: int, name: str, input_text: str | None = None) -> str:
    """An activity was called; its input is in the history only when host.json asks for it."""
    fields = {"Name": name, "Version": "", "Input": input_text, "ParentTraceContext": None, "Tags": None}
    return _event(EventType.TASK_SCHEDULED, at, fields, event_id)


def task_completed(at: datetime, task_id: int, result: str | None) -> str:
    """An activity returned; `result` is JSON text, None for a None."""
    return _event(EventType.TASK_COMPLETED, at, {"TaskScheduledId": task_id, "Result": result})


def task_failed(at: datetime, task_id: int, reason: str, details: str) -> str:
    """An activity raised."""
    fields = {"TaskScheduledId": task_id, "Reason": reason, "Details": details, "FailureDetails": None}
    return _event(EventType.TASK_FAILED, at, fields)


def sub_orchestration_created(
    at: datetime,
    event_id: int,
    name: str,
    instance_id: str,
    version: str | None,
    input_text: str | None = None,
) -> str:
    """A sub-orchestration was called; its input is in the history only when host.json asks for it."""
    fields = {
        "Name": name,
        "Version": version,
        "InstanceId": instance_id,
        "Input": input_text,
        "ClientSpanId": None,
        "Tags": None,
    }
    return _event(EventType.SUB_ORCHESTRATION_INSTANCE_CREATED, at, fields, event_id)


def sub_orchestration_completed(at: datetime, task_id: int, result: str | None) -> str:
    """A sub-orchestration completed; `result` is JSON text."""
    fields = {"TaskScheduledId": task_id, "Result": result}
    return _event(EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED, at, fields)


def sub_orchestration_failed(at: datetime, task_id: int, reason: str | None, details: str | None) -> str:
    """A sub-orchestration failed or was terminated."""
    fields = {"TaskScheduledId": task_id, "Reason": reason, "Details": details, "FailureDetails": None}
    return _event(EventType.SUB_ORCHESTRATION_INSTANCE_FAILED, at, fields)


def timer_created(at: datetime, event_id: int, fire_at: datetime) -> str:
    """A durable timer was created."""
    return _event(EventType.TIMER_CREATED, at, {"FireAt": stamp(fire_at)}, event_id)


def timer_fired(at: datetime, timer_id: int, fire_at: datetime) -> str:
    """A durable timer fired; `at` is when it was created, as the engine writes it."""
    return _event(EventType.TIMER_FIRED, at, {"TimerId": timer_id, "FireAt": stamp(fire_at)})


def orchestrator_started(at: datetime) -> str:
    """An episode begins; its timestamp is the orchestrator's current_utc_datetime."""
    return _event(EventType.ORCHESTRATOR_STARTED, at, {})


def orchestrator_completed(at: datetime) -> str:
    """An episode ended."""
    return _event(EventType.ORCHESTRATOR_COMPLETED, at, {})


def event_raised(at: datetime, name: str, input_text: str) -> str:
    """An external event; `input_text` is compact JSON."""
    fields = {"Name": name, "Input": input_text, "ParentTraceContext": None}
    return _event(EventType.EVENT_RAISED, at, fields)


def generic_event(at: datetime, data: str | None, event_id: int = -1) -> str:
    """What a rewind leaves where an event was, and what wakes the rewound instance."""
    return compact({"Data": data, "EventType": EventType.GENERIC_EVENT.value, **_tail(at, event_id)})


def execution_suspended(at: datetime, reason: str | None) -> str:
    """A request to suspend."""
    return _event(EventType.EXECUTION_SUSPENDED, at, {"Reason": reason})


def execution_resumed(at: datetime, reason: str | None) -> str:
    """A request to resume."""
    return _event(EventType.EXECUTION_RESUMED, at, {"Reason": reason})


def played(text: str) -> str:
    """The same events once an episode has seen them: `IsPlayed` true in each."""
    # Inside a JSON string each quote is escaped, so these characters stand only where the key does.
    return text.replace('"IsPlayed":false', '"IsPlayed":true')


def parse(texts: Iterable[str]) -> list[JSON]:
    """Event texts, each of one or more events, as JSON objects."""
    events: list[JSON] = json.loads(f"[{','.join(texts)}]")
    return events


def read(wire: JSON) -> Event:
    """What the host reads of one event.

    Raises: KeyError, ValueError or TypeError when `wire` is no history event.
    """
    kind, get = EventType(wire["EventType"]), wire.get
    task_id = get("TimerId") if kind is EventType.TIMER_FIRED else get("TaskScheduledId")
    text = wire["Reason"] if "Reason" in wire else get("Input")
    source = (get("Tags") or {}).get(_SOURCE) if kind is EventType.EXECUTION_STARTED else None
    return Event(kind, wire["Timestamp"], wire["EventId"], task_id, get("Name"), text, get("InstanceId"), source)


def read_row(text: str) -> tuple[Event, ...]:
    """What the host reads of a text of several events."""
    # The same ones come again at each replay, so short ones are remembered.
    return _remembered(text) if len(text) <= _SHORT else _read_row(text)


def _read_row(text: str) -> tuple[Event, ...]:
    return tuple(map(read, parse([text])))


_remembered = functools.lru_cache(2048)(_read_row)
