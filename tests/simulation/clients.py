"""Clients that start, disturb and end instances at random, and know what the host owes them.

Not here: whether it has paid (`invariants`).
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from durable_host import Host, HostError
from durable_host.errors import HubError, InstanceExists, InstanceFinished, InstanceNotFound, NotAllowed
from durable_host.values import compact
from tests.simulation.programs import Step, program
from tests.simulation.world import World

_LONGEST_PAUSE_S = 400
_OPERATIONS = {"monitor": 6, "program": 6, "raise": 3, "suspend": 1, "resume": 2, "terminate": 2, "purge": 2}


@dataclass(frozen=True, slots=True)
class Started:
    """A start that was asked for: its execution, and what it runs."""

    instance_id: str
    execution_id: str
    monitor: dict[str, Any] | None = None
    steps: list[Step] | None = None


@dataclass
class Ledger:
    """What the clients know.

    `asked` are all starts by execution id, `acknowledged` and `refused` the ids of those that got that answer;
    `owed` are the instances that must be there, `terminated` and `suspended` those for which that was asked;
    `skipped` is how far the clock was ahead at the last answer.
    """

    asked: dict[str, Started] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)
    terminated: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    skipped: timedelta = timedelta(0)


class Client:
    """One of the clients; it goes on with the next host where it was when the last one died."""

    def __init__(self, name: str, world: World, ledger: Ledger) -> None:
        self._name = name
        self._world = world
        self._ledger = ledger
        self._left = world.chance.randint(2, 8)
        self._starts = 0

    async def run(self, host: Host) -> None:
        """Ask for one thing after the other until all is asked for."""
        while self._left:
            self._left -= 1
            await self._world.pause(_LONGEST_PAUSE_S * self._world.chance.choice((0, 0, 0.01, 1)))
            operation = self._world.chance.choices(list(_OPERATIONS), list(_OPERATIONS.values()))[0]
            known = sorted({start.instance_id for start in self._ledger.asked.values()})
            try:
                if operation in ("monitor", "program"):
                    await self._start(host, operation)
                elif known:
                    await self._disturb(host, operation, self._world.chance.choice(known))
                else:
                    continue
            except (HubError, InstanceExists, InstanceFinished, InstanceNotFound, NotAllowed) as error:
                self._world.note(f"{self._name} is refused: {type(error).__name__}")
            else:
                self._ledger.skipped = max(self._ledger.skipped, host.clock.skipped)

    async def _start(self, host: Host, kind: str) -> None:
        self._starts += 1
        chance, ledger = self._world.chance, self._ledger
        instance_id = f"{kind}-{chance.randint(1, 3)}"
        execution_id = f"{self._name}-{self._starts}"
        if kind == "monitor":
            monitor = {
                "repo": f"octo/{chance.randint(1, 3)}",
                "phone": f"+1{ord(self._name):03}{self._starts:04}",
                "interval_seconds": chance.choice((20, 60, 61)),
                "expiry_seconds": chance.choice((1, 100, 300, 1_500)),
            }
            start, name = Started(instance_id, execution_id, monitor), "E3_Monitor"
            given: dict[str, Any] = monitor
        else:
            steps = program(chance, execution_id)
            start, name = Started(instance_id, execution_id, steps=steps), "Program"
            given = {"steps": steps, "results": []}
        ledger.asked[execution_id] = start
        self._world.note(f"{self._name} starts {instance_id} as {execution_id}: {given}")
        try:
            await host.instances.start(name, compact(compact(given)), instance_id, execution_id=execution_id)
        except HostError:
            ledger.refused.add(execution_id)
            raise
        self._world.note(f"{self._name} has started {execution_id}")
        ledger.acknowledged.add(execution_id)
        ledger.owed.add(instance_id)

    async def _disturb(self, host: Host, operation: str, instance_id: str) -> None:
        self._world.note(f"{self._name}: {operation} {instance_id}")
        match operation:
            case "raise":
                await host.raise_event(instance_id, "go", self._name)
            case "suspend":
                self._ledger.suspended.add(instance_id)
                await host.suspend(instance_id)
            case "resume":
                await host.resume(instance_id)
            case "terminate":
                self._ledger.terminated.add(instance_id)
                await host.terminate(instance_id, "enough")
            case "purge":
                try:
                    self._ledger.owed.discard(instance_id)
                    await host.purge(instance_id)
                finally:
                    # It may have been started again, and purged after that.
                    self._ledger.owed.discard(instance_id)
