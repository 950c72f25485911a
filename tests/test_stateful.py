"""Every operation on instances, in any order, with the hub reopened in between, against a model that is a dict."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from durable_host import Host, HostError, RealClock
from durable_host.errors import InstanceExists, InstanceFinished, InstanceNotFound, NotAllowed
from durable_host.events import Status
from durable_host.records import Filter

APP = Path(__file__).parent / "fixture_apps" / "golden"
HALF_AN_HOUR_S = 1800

ids = st.sampled_from(["a", "b", "B", "ü 1"])
names = st.sampled_from(["T_Instant", "T_Raise", "T_WaitEvent", "T_Wait"])
values = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.booleans(), max_size=2)
reasons = st.none() | st.sampled_from(["why", "because"])
statuses = st.lists(st.sampled_from(Status), unique=True, max_size=3)


@dataclass
class Instance:
    """What an instance should be. `held` is what has come for it while it was suspended."""

    name: str
    value: Any
    generation: int
    status: Status = Status.Running
    output: Any = None
    slept_s: int = 0
    held: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.name == "T_Instant":
            self.status, self.output = Status.Completed, self.value
        elif self.name == "T_Raise":
            self.status, self.output = Status.Failed, "Orchestrator function 'T_Raise' failed: orchestrator boom"

    def give(self, result: Any) -> None:
        """What it waits for has come."""
        if self.status is Status.Suspended:
            self.held.append(result)
        else:
            self.status, self.output = Status.Completed, result


class Instances(RuleBasedStateMachine):
    """Each rule does the same to a host and to the model, and expects the same refusal or none."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = RealClock()
        self.stack = AsyncExitStack()
        self.model: dict[str, Instance] = {}
        self.await_(self.open())

    def teardown(self) -> None:
        self.await_(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def await_(self, operation: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(operation)

    async def open(self) -> None:
        host = Host(APP, hub=Path(self.folder.name) / "hub.db", clock=self.clock)
        self.host = await self.stack.enter_async_context(host)

    def do(self, refusal: type[HostError] | None, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Run the operation, which must be refused like this, and whatever follows from it."""

        async def done() -> Any:
            if refusal is None:
                result = await operation()
            else:
                with pytest.raises(refusal):
                    await operation()
                result = None
            await self.host.idle()
            return result

        return self.await_(done())

    def to_live(self, instance_id: str) -> type[HostError] | None:
        """How what is sent to this instance is refused."""
        if instance_id not in self.model:
            return InstanceNotFound
        return InstanceFinished if self.model[instance_id].status.is_terminal else None

    def put(self, instance_id: str, name: str, value: Any) -> None:
        old = self.model.get(instance_id)
        self.model[instance_id] = Instance(name, value, 0 if old is None else old.generation + 1)

    # The rules.

    @rule(name=names, instance_id=ids, value=values)
    def start(self, name: str, instance_id: str, value: Any) -> None:
        live = instance_id in self.model and not self.model[instance_id].status.is_terminal

        self.do(InstanceExists if live else None, lambda: self.host.start(name, value, instance_id))

        if not live:
            self.put(instance_id, name, value)

    @rule(instance_id=ids, name=st.sampled_from(["Go", "Other"]), value=values)
    def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        refusal = self.to_live(instance_id)

        self.do(refusal, lambda: self.host.raise_event(instance_id, name, value))

        if refusal is None and name == "Go" and self.model[instance_id].name == "T_WaitEvent":
            self.model[instance_id].give([type(value).__name__, value])

    @rule(instance_id=ids, reason=reasons)
    def terminate(self, instance_id: str, reason: str | None) -> None:
        refusal = self.to_live(instance_id)

        self.do(refusal, lambda: self.host.terminate(instance_id, reason))

        if refusal is None:
            self.model[instance_id].status, self.model[instance_id].output = Status.Terminated, reason

    @rule(instance_id=ids, reason=reasons)
    def suspend(self, instance_id: str, reason: str | None) -> None:
        refusal = self.to_live(instance_id)
        if refusal is None and self.model[instance_id].status is Status.Suspended:
            refusal = NotAllowed

        self.do(refusal, lambda: self.host.suspend(instance_id, reason))

        if refusal is None:
            self.model[instance_id].status, self.model[instance_id].output = Status.Suspended, reason

    @rule(instance_id=ids, reason=reasons)
    def resume(self, instance_id: str, reason: str | None) -> None:
        refusal = self.to_live(instance_id)
        if refusal is None and self.model[instance_id].status is not Status.Suspended:
            refusal = NotAllowed

        self.do(refusal, lambda: self.host.resume(instance_id, reason))

        if refusal is None:
            instance = self.model[instance_id]
            instance.status, instance.output = Status.Running, reason
            if instance.held:
                instance.give(instance.held[0])

    @rule(instance_id=ids, new_id=st.booleans())
    def restart(self, instance_id: str, new_id: bool) -> None:
        instance = self.model.get(instance_id)
        refusal: type[HostError] | None = None
        if instance is None:
            refusal = InstanceNotFound
        elif not new_id and not instance.status.is_terminal:
            refusal = InstanceExists

        started = self.do(refusal, lambda: self.host.instances.restart(instance_id, new_id))

        if instance is not None and refusal is None:
            assert (started == instance_id) is not new_id
            self.put(started, instance.name, instance.value)

    @rule(instance_id=ids)
    def rewind(self, instance_id: str) -> None:
        instance = self.model.get(instance_id)
        refusal: type[HostError] | None = None
        if instance is None:
            refusal = InstanceNotFound
        elif instance.status is not Status.Failed:
            refusal = NotAllowed

        # What failed by itself fails again, so the model stays as it is.
        self.do(refusal, lambda: self.host.instances.rewind(instance_id, None))

    @rule(instance_id=ids)
    def purge(self, instance_id: str) -> None:
        instance = self.model.get(instance_id)
        refusal: type[HostError] | None = None
        if instance is None:
            refusal = InstanceNotFound
        elif not instance.status.is_terminal:
            refusal = NotAllowed

        self.do(refusal, lambda: self.host.purge(instance_id))

        if refusal is None:
            del self.model[instance_id]

    @rule(wanted=statuses, prefix=st.sampled_from(["", "a", "ü"]))
    def purge_many(self, wanted: list[Status], prefix: str) -> None:
        gone = [
            key
            for key, instance in self.model.items()
            if instance.status.is_terminal and instance.status in (wanted or Status) and key.startswith(prefix)
        ]

        count = self.do(None, lambda: self.host.instances.purge_many(Filter(prefix, tuple(wanted))))

        assert count == len(gone)
        for key in gone:
            del self.model[key]

    @rule()
    def let_half_an_hour_pass(self) -> None:
        self.do(None, lambda: self.host.advance(HALF_AN_HOUR_S))

        for instance in self.model.values():
            instance.slept_s += HALF_AN_HOUR_S
            if (
                instance.name == "T_Wait"
                and instance.slept_s == 2 * HALF_AN_HOUR_S
                and not instance.status.is_terminal
            ):
                instance.give("woke")

    @precondition(lambda self: self.model)
    @rule()
    def reopen(self) -> None:
        self.await_(self.stack.aclose())
        self.await_(self.open())

    # What must hold after each.

    @invariant()
    def each_instance_is_as_in_the_model(self) -> None:
        for instance_id, instance in self.model.items():
            status = self.await_(self.host.status(instance_id))
            assert (status["name"], status["runtimeStatus"]) == (instance.name, instance.status.name)
            assert status["output"] == instance.output
            assert self.host.instances.get(instance_id).generation == instance.generation

    @invariant()
    def lists_hold_what_the_model_holds(self) -> None:
        page = self.host.instances.page
        assert [record.id for record in page(Filter(), "", 1000)] == sorted(self.model)
        for status in (Status.Running, Status.Suspended, Status.Completed):
            expected = sorted(key for key, instance in self.model.items() if instance.status is status)
            assert [record.id for record in page(Filter(statuses=(status,)), "", 1000)] == expected


@pytest.mark.timeout(60)
def test_operations_in_any_order_do_as_the_model_says() -> None:
    run_state_machine_as_test(Instances, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))
