"""Every operation on instances, in any order, with the host ended or killed in between, against a dict."""

import asyncio
import json
import shutil
import sys
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from durable_host import Host, HostError
from durable_host.engine.events import Status
from durable_host.errors import InstanceExists, InstanceFinished, InstanceNotFound, NotAllowed
from durable_host.hub.records import Filter
from durable_host.values import stamp
from tests.conftest import rounds
from tests.crash.clock import START, FrozenClock
from tests.golden_app import WHOLE as GOLDEN_APP

FUNCTIONS = ("T_Instant", "T_Raise", "T_Rewind", "T_Flaky", "T_WaitEvent", "T_Wait")
HALF_AN_HOUR_S = 1800
HOUR_S = 3600

IDS = ["a", "b", "B", "ü 1"]
ids = st.sampled_from(IDS)
suspended_ids = st.runner().flatmap(lambda machine: st.sampled_from(machine.suspended() or IDS))
names = st.sampled_from(["T_Instant", "T_Raise", "T_Rewind", "T_WaitEvent", "T_Wait"])
values = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.booleans(), max_size=2)
reasons = st.none() | st.sampled_from(["why", "because"])
statuses = st.lists(st.sampled_from(Status), unique=True, max_size=3)
prefixes = st.sampled_from(["", "a", "ü"])
hours = st.none() | st.integers(0, 5)


@dataclass
class Instance:
    """What an instance should be. `held` is what has come for it while it was suspended."""

    name: str
    value: Any
    generation: int
    created_s: int
    status: Status = Status.Running
    output: Any = None
    held: list[Any] = field(default_factory=list)
    has_slept: bool = False

    def __post_init__(self) -> None:
        if self.name == "T_Instant":
            self.status, self.output = Status.Completed, self.value
        elif self.name == "T_Raise":
            self.status, self.output = Status.Failed, "Orchestrator function 'T_Raise' failed: orchestrator boom"

    def attempt(self, number: int) -> None:
        """Its activity fails the first time that this host runs it."""
        if number == 1:
            reason = "Activity function 'T_Flaky' failed: RuntimeError: attempt 1 failed"
            self.status, self.output = Status.Failed, f"Orchestrator function 'T_Rewind' failed: {reason} \n"
        else:
            self.status, self.output = Status.Completed, f"ok on attempt {number}"

    def hold(self, status: Status, reason: str | None) -> None:
        """It is suspended or resumed; the output shows the last reason that was given."""
        self.status = status
        if reason is not None:
            self.output = reason

    @property
    def due_s(self) -> int | None:
        """When its timer is due, None when it waits for none."""
        is_waiting = self.name == "T_Wait" and not self.status.is_terminal and not self.has_slept
        return self.created_s + HOUR_S if is_waiting else None

    def give(self, result: Any) -> None:
        """What it waits for has come."""
        if self.status is Status.Suspended:
            self.held.append(result)
        else:
            self.status, self.output = Status.Completed, result


class Instances(RuleBasedStateMachine):
    """Each rule does the same to a host and to the model, and expects the same refusal or none.

    `done` counts the operations by name, refused ones apart, over all runs.
    """

    done: ClassVar[Counter[str]] = Counter()

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = FrozenClock()
        self.stack = AsyncExitStack()
        self.app = Path(self.folder.name) / "app"
        for name in FUNCTIONS:  # To load all of the golden app would take longer than all the rest.
            shutil.copytree(GOLDEN_APP / name, self.app / name)
        self.hub = Path(self.folder.name) / "hub" / "hub.db"
        self.now_s = 0
        self.model: dict[str, Instance] = {}
        self.attempts = Counter[str]()
        self.await_(self.open())
        # Without these, most operations would be on nothing.
        for instance_id, name in (("a", "T_WaitEvent"), ("b", "T_Wait"), ("B", "T_Rewind")):
            self.start(name, instance_id, None)

    def teardown(self) -> None:
        self.await_(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def await_(self, operation: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(operation)

    async def open(self) -> None:
        # A new clock and newly loaded code, as in a new process: what was skipped must be in the hub.
        self.clock = FrozenClock()
        self.attempts.clear()
        self.host = await self.stack.enter_async_context(
            Host(self.app, hub=self.hub, clock=self.clock, in_process=True)
        )

    def do(self, refusal: type[HostError] | None, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Run the operation, which must be refused like this, and whatever follows from it."""
        name = sys._getframe(1).f_code.co_name
        self.done[name if refusal is None else f"{name}: {refusal.__name__}"] += 1

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

    def suspended(self) -> list[str]:
        return [key for key, instance in self.model.items() if instance.status is Status.Suspended]

    def put(self, instance_id: str, name: str, value: Any) -> None:
        old = self.model.get(instance_id)
        self.model[instance_id] = Instance(name, value, 0 if old is None else old.generation + 1, self.now_s)
        self.try_(instance_id)

    def try_(self, instance_id: str) -> None:
        """Its activity, if it has one."""
        if self.model[instance_id].name == "T_Rewind":
            self.attempts[instance_id] += 1
            self.model[instance_id].attempt(self.attempts[instance_id])

    def pass_until(self, at_s: int) -> None:
        self.now_s = at_s
        for instance in self.model.values():
            if instance.due_s is not None and instance.due_s <= at_s:
                instance.has_slept = True
                instance.give("woke")

    def chosen(self, where: Filter) -> list[str]:
        """The ids of those that a filter means."""
        return sorted(
            key
            for key, instance in self.model.items()
            if key.startswith(where.prefix)
            and instance.status in (where.statuses or Status)
            and (where.created_from or START) <= START + timedelta(seconds=instance.created_s)
            and (where.created_to is None or START + timedelta(seconds=instance.created_s) <= where.created_to)
        )

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
            self.model[instance_id].hold(Status.Suspended, reason)

    @rule(instance_id=suspended_ids, reason=reasons)
    def resume(self, instance_id: str, reason: str | None) -> None:
        refusal = self.to_live(instance_id)
        if refusal is None and self.model[instance_id].status is not Status.Suspended:
            refusal = NotAllowed

        self.do(refusal, lambda: self.host.resume(instance_id, reason))

        if refusal is None:
            instance = self.model[instance_id]
            instance.hold(Status.Running, reason)
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

        new = uuid.uuid4().hex if new_id else instance_id
        started = self.do(refusal, lambda: self.host.instances.restart(instance_id, new))

        if instance is not None and refusal is None:
            assert started == new
            self.put(started, instance.name, instance.value)

    @rule(instance_id=ids)
    def rewind(self, instance_id: str) -> None:
        instance = self.model.get(instance_id)
        refusal: type[HostError] | None = None
        if instance is None:
            refusal = InstanceNotFound
        elif instance.status is not Status.Failed:
            refusal = NotAllowed

        self.do(refusal, lambda: self.host.instances.rewind(instance_id, None))

        # What failed by itself fails again; a failed activity is run again.
        if refusal is None:
            self.try_(instance_id)

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

    @rule(wanted=statuses, prefix=prefixes, begin=hours, end=hours)
    def purge_many(self, wanted: list[Status], prefix: str, begin: int | None, end: int | None) -> None:
        where = Filter(prefix, tuple(wanted), _hour(begin), _hour(end))
        gone = [key for key in self.chosen(where) if not wanted or self.model[key].status.is_terminal]

        count = self.do(None, lambda: self.host.instances.purge_many(where))

        assert count == len(gone)
        for key in gone:
            del self.model[key]

    @rule(wanted=statuses, prefix=prefixes, begin=hours, end=hours, limit=st.integers(1, 3))
    def list_page_by_page(
        self, wanted: list[Status], prefix: str, begin: int | None, end: int | None, limit: int
    ) -> None:
        where, found = Filter(prefix, tuple(wanted), _hour(begin), _hour(end)), list[str]()
        first: str | None = ""
        while first is not None:
            # As the durable HTTP API does: one more than the page holds is the first of the next.
            ids = [record.id for record in self.host.instances.page(where, first, limit + 1)]
            found += ids[:limit]
            first = ids[limit] if len(ids) > limit else None
        self.done["list_page_by_page"] += 1

        assert found == self.chosen(where)

    @rule(instance_id=ids | st.just("nobody"))
    def query(self, instance_id: str) -> None:
        status = self.do(None, lambda: self.host.status(instance_id, history=True))

        instance = self.model.get(instance_id)
        assert (status is None) is (instance is None)
        if instance is not None:
            events = [event["EventType"] for event in status["historyEvents"]]
            assert events[0] == "ExecutionStarted"
            assert (events[-1] == "ExecutionCompleted") is instance.status.is_terminal
            assert (events.count("TimerCreated"), events.count("TimerFired")) <= (1, 1)
            assert status["createdTime"] == stamp(START + timedelta(seconds=instance.created_s))
            assert json.loads(status["input"] or "null") == instance.value

    @rule()
    def let_half_an_hour_pass(self) -> None:
        self.do(None, lambda: self.host.advance(HALF_AN_HOUR_S))

        self.pass_until(self.now_s + HALF_AN_HOUR_S)

    @rule()
    def skip_to_the_next_timer(self) -> None:
        due_s = min((each.due_s for each in self.model.values() if each.due_s is not None), default=None)

        at = self.do(None, lambda: self.host.skip())

        assert at == (None if due_s is None else START + timedelta(seconds=due_s))
        if due_s is not None:
            self.pass_until(due_s)

    @rule(kill=st.booleans())
    def end_the_host(self, kill: bool) -> None:
        self.done["end_the_host"] += 1
        if kill:
            # What its files hold at this moment is what a killed process leaves.
            left = Path(self.folder.name) / f"killed {self.done['end_the_host']}"
            shutil.copytree(self.hub.parent, left)
            self.hub = left / self.hub.name
        self.await_(self.stack.aclose())
        self.await_(self.open())

    # What must hold after each.

    @invariant()
    def each_instance_is_as_in_the_model(self) -> None:
        for instance_id, instance in self.model.items():
            status = self.await_(self.host.status(instance_id))
            assert (status["name"], status["runtimeStatus"]) == (instance.name, instance.status.name)
            if instance.name == "T_Rewind" and instance.status is Status.Failed:
                assert status["output"].startswith(instance.output)
            else:
                assert status["output"] == instance.output
            assert self.host.instances.get(instance_id).generation == instance.generation

    @invariant()
    def lists_hold_what_the_model_holds(self) -> None:
        for where in (Filter(), *(Filter(statuses=(status,)) for status in Status)):
            assert [record.id for record in self.host.instances.page(where, "", 1000)] == self.chosen(where)


def _hour(number: int | None) -> datetime | None:
    return None if number is None else START + timedelta(hours=number)


@rounds(20, soak=400, long=3_000)
def test_operations_in_any_order_do_as_the_model_says(
    rounds: int, record_property: Callable[[str, object], None]
) -> None:
    Instances.done.clear()

    run_state_machine_as_test(
        Instances, settings=settings(max_examples=rounds, stateful_step_count=30, deadline=None, derandomize=True)
    )

    rules = {name for name, each in vars(Instances).items() if hasattr(each, "hypothesis_stateful_rule")}
    assert {name for name in Instances.done if ":" not in name} == rules
    record_property("cases", Instances.done.total())  # For the table of tests/hostile.
