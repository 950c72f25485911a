"""Each change that a client may ask for, and how a hub's files tell that it has been taken."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable_host.engine.events import EventType, parse
from durable_host.hub.taskhub import TaskHub
from tests.crash.scenario import INSTANCES, ORCHESTRATORS

END = datetime(9999, 1, 1, tzinfo=UTC)
MONITOR = {"repo": "octo/cat", "phone": "+14255550167"}


@dataclass(frozen=True, slots=True)
class Request:
    """A change that a client asks for, and how the files tell that it has been taken."""

    method: str
    path: str
    is_taken: Callable[[TaskHub], bool]
    body: Any = None


def is_there(instance_id: str) -> Callable[[TaskHub], bool]:
    return lambda hub: hub.record(instance_id) is not None


def is_gone(instance_id: str) -> Callable[[TaskHub], bool]:
    return lambda hub: hub.record(instance_id) is None


def has_started_over(instance_id: str) -> Callable[[TaskHub], bool]:
    return lambda hub: (record := hub.record(instance_id)) is not None and record.generation == 1


def has(instance_id: str, kind: EventType) -> Callable[[TaskHub], bool]:
    """Whether this event waits for the instance, or has reached it."""

    def find(hub: TaskHub) -> bool:
        texts = [message.event for message in hub.messages(instance_id, datetime(9999, 1, 1, tzinfo=UTC))]
        return any(event["EventType"] == kind for event in parse([*hub.history(instance_id), *texts]))

    return find


REQUESTS = {
    "a monitor": Request("POST", "/orchestrators/E3_Monitor/new", is_there("new"), MONITOR),
    "a start": Request("POST", f"{ORCHESTRATORS}/Gate/new", is_there("new")),
    "an event": Request(
        "POST", f"{INSTANCES}/gate/raiseEvent/other", has("gate", EventType.EVENT_RAISED), "value"
    ),
    "terminate": Request("POST", f"{INSTANCES}/gate/terminate", has("gate", EventType.EXECUTION_TERMINATED)),
    "suspend": Request("POST", f"{INSTANCES}/gate/suspend", has("gate", EventType.EXECUTION_SUSPENDED)),
    "resume": Request("POST", f"{INSTANCES}/held/resume", has("held", EventType.EXECUTION_RESUMED)),
    "rewind": Request("POST", f"{INSTANCES}/failed/rewind", has("failed", EventType.GENERIC_EVENT)),
    "restart": Request(
        "POST", f"{INSTANCES}/ended/restart?restartWithNewInstanceId=false", has_started_over("ended")
    ),
    "purge": Request("DELETE", f"{INSTANCES}/ended", is_gone("ended")),
    "purge of many": Request("DELETE", f"{INSTANCES}?createdTimeFrom=2000-01-01", is_gone("ended")),
}


def taken(request: Request, hub: Path, folder: Path) -> bool:
    """Whether what lies on the disk has the change."""
    folder.mkdir()
    for file in hub.parent.glob(f"{hub.name}*"):
        shutil.copy(file, folder)
    with TaskHub(folder / hub.name) as copy:
        return request.is_taken(copy)
