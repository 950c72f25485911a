"""kill -9 with 100,000 monitors asleep, as 2,000 of them wake: how soon the host is back, and what became of all.

Not here: the hub (`hub`).
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.client import MONITOR_REQUEST, Client
from bench.figures import Figure, Goal
from bench.hub import DUE, DUE_AFTER, DUE_PREFIX, FAR, SLEEPING, copy_of_sleeping
from bench.plan import Plan
from bench.processes import command_line, free_port, kill, running
from durable_host.engine import events
from durable_host.engine.events import EventType, Status
from durable_host.hub.records import Filter
from durable_host.hub.taskhub import TaskHub

NAME = "crash"
_POST = "/orchestrators/E3_Monitor"
_CLOCK = "/durable-host/clock"
_ASLEEP = f"/runtime/webhooks/durabletask/instances?instanceIdPrefix={DUE_PREFIX}&runtimeStatus=Running&top=1"
_INTO_THE_WAKING_S = 0.3


@dataclass(slots=True)
class Crash:
    """What one crash came to."""

    to_202_s: float = 0
    to_202_waking_s: float = 0
    to_armed_s: float = 0
    to_woken_s: float = 0
    wrong: int = 0
    started: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """For the one who waits."""
        return (
            f"202 after {self.to_202_s:.2f} s, armed after {self.to_armed_s:.2f} s; "
            f"waking {DUE:,}: 202 after {self.to_202_waking_s:.2f} s, all after {self.to_woken_s:.2f} s; "
            f"{self.wrong} lost or twice"
        )


def measure(plan: Plan) -> list[Figure]:
    """Crash as often as there are runs, each time on a copy of the hub."""
    crashes = plan.in_turns({"kill -9": lambda: _crash(plan)})["kill -9"]
    back = f"kill -9 with {SLEEPING:,} asleep: process start to"
    wrong = [float(crash.wrong) for crash in crashes]
    return [
        Figure(NAME, f"{back} first 202", "s", [crash.to_202_s for crash in crashes], Goal("at most", 1)),
        Figure(NAME, f"{back} all timers armed", "s", [crash.to_armed_s for crash in crashes], Goal("at most", 2)),
        Figure(NAME, f"{back} first 202, {DUE:,} of them due", "s", [crash.to_202_waking_s for crash in crashes]),
        Figure(NAME, f"{back} the last of {DUE:,} due timers fired", "s", [crash.to_woken_s for crash in crashes]),
        Figure(NAME, "timers and starts lost, or timers fired twice", "", wrong, Goal("at most", 0)),
    ]


def _crash(plan: Plan) -> Crash:
    """Kill a host that is waking monitors, then the one that wakes the rest, and count after a third."""
    crash = Crash()
    with TemporaryDirectory(dir=plan.out) as folder:
        hub = Path(folder) / "hub.db"
        copy_of_sleeping(plan, hub)
        with TaskHub(hub) as opened, opened.batch():
            opened.save_skipped(DUE_AFTER)
        _live(crash, hub, wakes_all=False)
        with TaskHub(hub) as opened:
            woken = sum(each.startswith(DUE_PREFIX) for each in opened.ids(Filter(statuses=(Status.Completed,))))
        plan.tell(f"  killed when {woken:,} of {DUE:,} had woken")
        crash.to_202_waking_s, crash.to_woken_s = _live(crash, hub, wakes_all=True)
        crash.to_202_s, crash.to_armed_s = _live(crash, hub, wakes_all=True)
        crash.wrong = _wrong(hub, crash.started)
    return crash


def _live(crash: Crash, hub: Path, wakes_all: bool) -> tuple[float, float]:
    """Start a host on the hub, and kill it: seconds to its first 202, and until its next timer is a later one."""
    port = free_port()
    began = time.perf_counter()
    with running(command_line(port, hub)) as process:
        client = Client(port)
        crash.started.append(client.until(202, "POST", _POST, MONITOR_REQUEST).json["id"])
        to_202_s = time.perf_counter() - began
        if wakes_all:
            while not _is_armed(client):
                time.sleep(0.005)
        else:
            time.sleep(_INTO_THE_WAKING_S)
        to_armed_s = time.perf_counter() - began
        kill(process)
    return to_202_s, to_armed_s


def _is_armed(client: Client) -> bool:
    """Whether none that was due is asleep, and the host has a timer that is still to come."""
    return client.get(_ASLEEP).json == [] and client.get(_CLOCK).json["next"] is not None


def _wrong(hub: Path, started: list[str]) -> int:
    """How many instances are not as they must be, counting each once."""
    wrong = 0
    with TaskHub(hub) as opened:
        far = datetime.now(UTC) + FAR
        waiting = {each: len(opened.messages(each, far)) for each in opened.waiting(far)}
        completed = set(opened.ids(Filter(statuses=(Status.Completed,))))
        due = set(opened.ids(Filter(prefix=DUE_PREFIX, statuses=tuple(Status))))
        wrong += DUE - len(due)
        for instance_id in due:
            kinds = [event["EventType"] for event in events.parse(opened.history(instance_id))]
            fired = kinds.count(EventType.TIMER_FIRED)
            wrong += instance_id not in completed or instance_id in waiting or fired != 1
        asleep = set(opened.ids(Filter(statuses=(Status.Running,)))) - due - set(started)
        wrong += abs(SLEEPING - DUE - len(asleep))
        wrong += sum(waiting.get(each) != 1 for each in asleep)
        wrong += sum(opened.record(each) is None for each in started)
    return wrong
