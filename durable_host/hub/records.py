"""The rows of a task hub, and the filter that picks instances.

Not here: how they are stored (`taskhub`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from durable_host.engine.episode import Instance
from durable_host.engine.events import Parent, Status


@dataclass(frozen=True, slots=True)
class Record:
    """An instance's row. Texts are as stored: input and output raw, custom status compact JSON."""

    id: str
    name: str
    execution_id: str
    status: Status
    input_text: str | None
    output: str | None
    custom_status: str | None
    version: str | None
    parent: Parent | None
    generation: int
    created_at: datetime
    updated_at: datetime

    @property
    def instance(self) -> Instance:
        """What an episode needs of it."""
        return Instance(self.id, self.name, self.execution_id, self.input_text, self.version, self.parent)


@dataclass(frozen=True, slots=True)
class Start:
    """An instance to be made.

    Args:
        parent: of a sub-orchestration.
        source_id: the instance that it restarts under another id.
    """

    instance_id: str
    name: str
    execution_id: str
    input_text: str | None
    version: str | None
    parent: Parent | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity in flight: work item `id`, its instance's generation, and the id that its completion answers."""

    id: int
    instance_id: str
    execution_id: str
    task_id: int
    name: str
    input_text: str | None


class Message(NamedTuple):
    """A message for an instance; without an execution id it is for whatever generation the instance is in."""

    id: int
    execution_id: str | None
    event: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which instances a list or a purge means; None and () do not restrict. The window includes both its ends."""

    prefix: str = ""
    statuses: tuple[Status, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None
