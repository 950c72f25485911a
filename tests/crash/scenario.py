"""The run that the crash tests cut: monitors, a retry, a fan-out, a continue as new, events, a terminate, a purge.

It plays in a process of its own, which kills itself at one numbered point. What the host has acknowledged is
written down in a journal, by which the next process goes on; all its times are the frozen clock's.
Not here: which points, and what must hold (`test_crash_points`).
"""

import asyncio
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from durable_host import Host
from durable_host.dispatch.drivers import AtOnce
from tests.crash.clock import START, FrozenClock

INSTANCES = "/runtime/webhooks/durabletask/instances"
ORCHESTRATORS = "/runtime/webhooks/durabletask/orchestrators"
REFUSED_PHONE = "+15005550009"  # One of Twilio's magic numbers: always error 21614.


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run plays: the app, its settings, the files it keeps, its phone, and the point at which it dies."""

    app: Path
    settings: Mapping[str, str]
    folder: Path
    phone: str
    die_at: int = 0  # Nowhere.

    @property
    def hub(self) -> Path:
        return self.folder / "hub.db"

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def outcome(self) -> Path:
        return self.folder / "outcome.json"


class Points:
    """Numbers each SQL statement before it runs, and each piece of a request before it is sent, from 1 on."""

    def __init__(self, die_at: int) -> None:
        self._die_at = die_at
        self.labels: list[str] = []

    def watch(self, host: Host) -> None:
        """Number from here on; an audit hook stays for the life of its process."""
        host.hub.trace(self._point)
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "http.client.send":
            first_line: bytes = arguments[1].split(b"\r\n", 1)[0]
            self._point(f"send {first_line.decode()}")

    def _point(self, label: str) -> None:
        self.labels.append(label)
        if len(self.labels) == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)


Is = Callable[[dict[str, Any] | None], bool]


@dataclass(frozen=True, slots=True)
class Step:
    """A request of the client; `is_done` tells from the instance's status whether it has taken effect already."""

    instance_id: str
    method: str
    path: str
    is_done: Is
    body: Any = None


def _monitor(instance_id: str, repo: str, phone: str, **more: int) -> Step:
    body = {"repo": repo, "phone": phone, **more}
    return Step(instance_id, "POST", f"/orchestrators/E3_Monitor/{instance_id}", _is_there, body)


def _start(name: str, instance_id: str, value: Any = None) -> Step:
    # The SDK's orchestrators expect a string that holds JSON, as its client sends it.
    return Step(instance_id, "POST", f"{ORCHESTRATORS}/{name}/{instance_id}", _is_there, json.dumps(value))


def _post(instance_id: str, operation: str, is_done: Is, value: Any = None) -> Step:
    return Step(instance_id, "POST", f"{INSTANCES}/{instance_id}/{operation}", is_done, value)


def _is_there(status: dict[str, Any] | None) -> bool:
    return status is not None


def _has(*statuses: str) -> Is:
    return lambda status: status is not None and status["runtimeStatus"] in statuses


def _was_raised(status: dict[str, Any] | None) -> bool:
    return status is not None and any(event["EventType"] == "EventRaised" for event in status["historyEvents"])


def steps(phone: str) -> list[Step]:
    """What the client asks for, one after the other."""
    return [
        _monitor("alerting", "octo/busy", phone),
        _monitor("quiet", "octo/quiet", phone, expiry_seconds=120),
        _monitor("refused", "octo/busy", REFUSED_PHONE),
        _monitor("doomed", "octo/quiet", phone),
        _start("Countdown", "countdown", 2),
        _start("Retrying", "retried"),
        _start("FanOut", "fan-out", [[1, 2, 3], [4]]),
        _start("FanOut", "purged", [[5]]),
        _start("Gate", "gate"),
        _post("gate", "suspend?reason=wait", _has("Suspended", "Completed")),
        _post("gate", "raiseEvent/go", _was_raised, {"by": "client"}),
        _post("gate", "resume?reason=now", _has("Running", "Completed")),
        _post("doomed", "terminate?reason=enough", _has("Terminated")),
        Step("purged", "DELETE", f"{INSTANCES}/purged", lambda status: status is None),
    ]


def play(run: Run) -> None:
    """Play the scenario to its end, or until the point; what was acknowledged before is not asked for again."""
    logging.disable()
    os.environ.update(run.settings)
    asyncio.run(_play(run))


async def _play(run: Run) -> None:
    host = Host(run.app, hub=run.hub, clock=FrozenClock(), executor=AtOnce())
    async with host, ClientSession(host.url) as client:
        points = Points(run.die_at)
        points.watch(host)
        for second, step in enumerate(steps(run.phone)):
            # Asked for at this second in every run; what came before has settled by then.
            await host.advance(max(0, second - (host.clock.now() - START).total_seconds()))
            await _ask(run, host, client, step)
        while await host.skip() is not None:
            pass
        instances = {step.instance_id: await host.status(step.instance_id, True) for step in steps(run.phone)}
        outcome = {"labels": points.labels, "state": _comparable(instances)}
    run.outcome.write_text(json.dumps(outcome))


async def _ask(run: Run, host: Host, client: ClientSession, step: Step) -> None:
    """Make a request, unless it is acknowledged; where only the answer was lost, its effect tells."""
    name = f"{step.method} {step.path}"
    if run.journal.exists() and name in run.journal.read_text().splitlines():
        return
    if not step.is_done(await host.status(step.instance_id, history=True)):
        async with client.request(step.method, step.path, json=step.body) as response:
            if response.status not in (200, 202):
                raise AssertionError(f"{name}: {response.status} {await response.text()}")
    with run.journal.open("a") as journal:
        journal.write(f"{name}\n")


def _comparable(instances: dict[str, Any]) -> Any:
    """What must be equal in every run: all but Twilio's ids and the microseconds that tell the order of ids."""
    text = json.dumps(instances, sort_keys=True)
    text = re.sub(r"SM[0-9a-f]{32}", "SM", text)
    text = re.sub(r"[0-9a-f-]{32,36}(?=:\d+\b)", "execution", text)  # In the id of a child.
    return json.loads(re.sub(r"(:\d\d)\.\d+(Z|\+00:00)", r"\1\2", text))
