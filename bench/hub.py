"""A task hub with 100,000 sleeping monitors; `python -m bench.hub FILE` fills it.

One real E3_Monitor runs until it sleeps after its check; the others are copies of its rows under ids of their own,
written through TaskHub. Those whose ids begin with `due` have six hours to go, the others twelve, and all of them
have then expired. A hundred more are completed.
Not here: what is measured on it (`sleeping`, `crash`).
"""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.client import MONITOR_REQUEST
from bench.plan import Plan
from bench.processes import ROOT, output, python
from durable_host import Host
from durable_host.engine.episode import Decision
from durable_host.engine.events import Status
from durable_host.hub.records import Record
from durable_host.hub.taskhub import TaskHub
from sandbox.server import Sandbox

SLEEPING = 100_000
DUE = 2_000
FINISHED = 100
DUE_PREFIX = "due"
FAR = timedelta(days=365)
# With this much time skipped, those of the prefix are due, and the others are not.
DUE_AFTER = timedelta(hours=7)
_HOURS = 6
_REQUEST = {**MONITOR_REQUEST, "interval_seconds": _HOURS * 3600, "expiry_seconds": _HOURS * 3600}
_BATCH = 1000
_FRESH_S = 3600


def copy_of_sleeping(plan: Plan, target: Path) -> None:
    """Copy the hub to `target`; it is filled first, unless this was done within the hour."""
    filled = plan.out / "sleeping.db"
    if not filled.exists() or time.time() - filled.stat().st_mtime > _FRESH_S:
        plan.tell(f"  filling a hub with {SLEEPING:,} sleeping monitors")
        started = filled.with_suffix(".new")
        started.unlink(missing_ok=True)
        output(python("bench.hub", started))
        started.rename(filled)
    shutil.copy(filled, target)
    with target.open("rb+") as copied:
        os.fsync(copied.fileno())  # Or the first commits measured would wait for the copy to reach the disk.


async def _sleeper(folder: Path) -> tuple[Record, list[str], str]:
    """A monitor that sleeps: its row, its history, and the message that will wake it."""
    async with Sandbox(port=0) as sandbox:
        os.environ.update(sandbox.settings, GITHUB_TOKEN="", NO_PROXY="localhost", no_proxy="localhost")
        async with Host(ROOT, hub=folder / "one.db") as host:
            instance_id = await host.start("E3_Monitor", _REQUEST)
            await host.idle()
            (message,) = host.hub.messages(instance_id, datetime.now(UTC) + FAR)
            return host.instances.get(instance_id), host.hub.history(instance_id), message.event


def fill(path: Path) -> None:
    """Write the hub."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        record, history, event = asyncio.run(_sleeper(Path(folder)))
    due_at = datetime.now(UTC) + timedelta(hours=_HOURS)
    numbers = range(SLEEPING + FINISHED)
    with TaskHub(path) as hub:
        for start in numbers[::_BATCH]:
            with hub.batch():
                for number in numbers[start : start + _BATCH]:
                    new_id = uuid.uuid4().hex
                    later = timedelta(hours=_HOURS, milliseconds=number)
                    if number < DUE:
                        new_id, later = DUE_PREFIX + new_id[len(DUE_PREFIX) :], timedelta(0)
                    timer = (due_at + later, event) if number < SLEEPING else None
                    _Copy(record, new_id).write(hub, history, timer)


class _Copy:
    """A sleeping monitor under another id."""

    def __init__(self, record: Record, new_id: str) -> None:
        self._old = record
        self._new = replace(record, id=new_id, execution_id=str(uuid.uuid4()))

    def write(self, hub: TaskHub, history: Sequence[str], timer: tuple[datetime, str] | None) -> None:
        """Store it; without a timer it is completed."""
        hub.put_instance(self._new)
        *earlier, last = history
        for text in earlier:
            hub.apply(
                self._new, Decision(self._new.created_at, self._new.updated_at, history=[self._own(text)]), ()
            )
        status = Status.Completed if timer is None else self._new.status
        decision = Decision(
            self._new.created_at,
            self._new.updated_at,
            status,
            [self._own(last)],
            custom_status=self._new.custom_status,
        )
        hub.apply(self._new, decision, () if timer is None else (timer,))

    def _own(self, text: str) -> str:
        return text.replace(self._old.id, self._new.id).replace(self._old.execution_id, self._new.execution_id)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    fill(Path(sys.argv[1]))
