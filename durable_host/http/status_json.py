"""An instance's status and history in the JSON shapes that the durable HTTP API shows.

Not here: which of it a request asks for (`webhooks`).
Source: recorded from the durable extension 3.19.0 (every final status with history and outputs).
"""

import json
from collections.abc import Sequence

from durable_host.engine.events import EventType, Status
from durable_host.hub.records import Record
from durable_host.values import JSON, stamp

_SCHEDULING = (EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_INSTANCE_CREATED)
_COMPLETING = (
    EventType.TASK_COMPLETED,
    EventType.TASK_FAILED,
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
    EventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
)
_EPISODE_BORDERS = (EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED)
_INTERNAL = frozenset(
    ("OrchestrationInstance", "ParentInstance", "Version", "EventId", "IsPlayed", "TaskScheduledId", "TimerId")
)


def json_or_text(text: str | None) -> JSON:
    """A stored value as the API shows it: parsed if it is JSON, else the text itself."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def status_json(
    record: Record,
    *,
    show_input: bool = True,
    history: Sequence[JSON] | None = None,
    show_outputs: bool = False,
) -> dict[str, JSON]:
    """An instance's status; with `history`, its wire events, historyEvents too."""
    status: dict[str, JSON] = {
        "name": record.name,
        **({} if not record.version else {"version": record.version}),
        "instanceId": record.id,
        **({} if record.parent is None else {"parentInstanceId": record.parent.instance_id}),
        "runtimeStatus": record.status.name,
        "input": json_or_text(record.input_text) if show_input else None,
        "customStatus": json_or_text(record.custom_status),
        "output": json_or_text(record.output),
        "createdTime": stamp(record.created_at.replace(microsecond=0)),
        "lastUpdatedTime": stamp(record.updated_at.replace(microsecond=0)),
    }
    if history is not None:
        status["historyEvents"] = history_json(history, show_input, show_outputs)
    return status


def history_json(history: Sequence[JSON], show_input: bool, show_outputs: bool) -> list[JSON]:
    """Wire events as historyEvents: no episode borders, and a call folded into its result once that is there."""
    calls = {event["EventId"]: event for event in history if event["EventType"] in _SCHEDULING}
    answered = {event["TaskScheduledId"] for event in history if event["EventType"] in _COMPLETING}
    shown = []
    for event in history:
        kind = EventType(event["EventType"])
        if kind in _EPISODE_BORDERS or (kind in _SCHEDULING and event["EventId"] in answered):
            continue
        shown.append(_event(event, kind, calls, show_input, show_outputs))
    return shown


def _event(event: JSON, kind: EventType, calls: dict[int, JSON], show_input: bool, show_outputs: bool) -> JSON:
    row = {key: value for key, value in event.items() if key not in _INTERNAL}
    row["EventType"] = kind.wire_name
    if "Result" in row:
        if show_outputs:
            row["Result"] = json_or_text(row["Result"])
        else:
            del row["Result"]
    if kind is EventType.EXECUTION_STARTED:
        row["FunctionName"] = row.pop("Name")
        del row["Tags"]
        if not show_input:
            del row["Input"]
    elif kind is EventType.EXECUTION_COMPLETED:
        row["OrchestrationStatus"] = Status(row["OrchestrationStatus"]).name
    elif kind is EventType.TASK_SCHEDULED or kind is EventType.SUB_ORCHESTRATION_INSTANCE_CREATED:
        if not show_input:
            row["Input"] = None
    elif kind in _COMPLETING:
        row |= _of_call(calls[event["TaskScheduledId"]], show_input)
    return row


def _of_call(call: JSON, show_input: bool) -> dict[str, JSON]:
    """What a completion shows of the call that it answers."""
    fields = {"ScheduledTime": call["Timestamp"].removesuffix("Z") + "+00:00", "FunctionName": call["Name"]}
    if "InstanceId" in call:
        fields["InstanceId"] = call["InstanceId"]
    return fields | ({"Input": call.get("Input")} if show_input else {})
