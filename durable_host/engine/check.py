"""Saved histories against today's code: whether an orchestrator still does what its instances in flight have done.

A history is the JSON that a status request with showHistory=true&showHistoryOutput=true answers, here or on Azure.
It leaves out ids and episodes: ids are given anew by replaying, one arrived event at a time, and what the code
schedules then must be what the history has, in the same order.
Not here: the command line (`__main__`).
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from durable_host.engine import events
from durable_host.engine.actions import parse_answer, parse_failure
from durable_host.engine.determinism import NON_DETERMINISTIC, SCHEDULING
from durable_host.engine.episode import Decision, Instance, decide, open_episode
from durable_host.engine.events import Event, Status
from durable_host.engine.registry import Registry
from durable_host.errors import FunctionFailed, ProtocolError
from durable_host.values import JSON, compact, instant

_DECISIONS = {
    "TaskScheduled": "TaskScheduled",
    "TaskCompleted": "TaskScheduled",
    "TaskFailed": "TaskScheduled",
    "TimerCreated": "TimerCreated",
    "SubOrchestrationInstanceCreated": "SubOrchestrationInstanceCreated",
    "SubOrchestrationInstanceCompleted": "SubOrchestrationInstanceCreated",
    "SubOrchestrationInstanceFailed": "SubOrchestrationInstanceCreated",
}
T = TypeVar("T")
_IGNORED = ("ExecutionStarted", "ExecutionCompleted", "GenericEvent", "EventSent")

# Yields durable contexts, JSON text, and is sent what the orchestrator answered, or how it failed.
Replaying = Generator[str, str | FunctionFailed, T]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a replay came to. `at` is the history's event at which the code left it, None when it did not."""

    instance_id: str
    name: str
    events: int
    at: int | None = None
    history: str = ""
    code: str = ""

    def __str__(self) -> str:
        head = f"{self.instance_id} ({self.name})"
        if self.at is None:
            return f"{head}: replays, {self.events} events."
        where = f"left its history at event {self.at + 1} of {self.events}"
        return f"{head}: {where}\n    history: {self.history}\n    code:    {self.code}"


@dataclass(frozen=True, slots=True)
class _Decision:
    """Something the history has scheduled; `event` is the place of what tells of it."""

    kind: str
    name: str | None
    at: datetime
    event: int

    def __str__(self) -> str:
        return self.kind if self.name is None else f"{self.kind} '{self.name}'"


def replay(status: JSON, registry: Registry) -> Replaying[Verdict]:
    """Run a saved history through the code, episode by episode.

    Raises: ProtocolError when the status has not the shape of one.
    """
    try:
        return (yield from _Replay(status, registry).verdict())
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ProtocolError(
            f"{status.get('instanceId', 'a status')}: its historyEvents are not as a status request with "
            f"showHistory=true&showHistoryOutput=true answers them ({type(error).__name__}: {error})."
        ) from None


class _Left(Exception):
    """The code left its history."""

    def __init__(self, at: int, history: str, code: str) -> None:
        super().__init__()
        self.at, self.history, self.code = at, history, code


class _Replay:
    """One saved history, replayed."""

    def __init__(self, status: JSON, registry: Registry) -> None:
        self._rows = status["historyEvents"]
        self._registry = registry
        started = self._rows[0]
        if "Input" not in started:
            raise ValueError("the Input is missing; ask for the history without showInput=false")
        self._name = status["name"]
        execution_id = "replayed"
        self._instance = Instance(status["instanceId"], self._name, execution_id, started.get("Input"), None, None)
        self._decisions = sorted(self._recorded(), key=lambda each: each.at)
        self._history: list[str] = []
        self._last: Decision
        self._now = instant(started["Timestamp"])
        self._scheduled = 0
        self._message = events.execution_started(
            self._now,
            instance_id=self._instance.id,
            execution_id=execution_id,
            name=self._name,
            input_text=self._instance.input_text,
            generation=None,
        )

    def _recorded(self) -> Iterator[_Decision]:
        for index, row in enumerate(self._rows):
            kind = _DECISIONS.get(row["EventType"])
            if kind is not None:
                at = instant(row.get("ScheduledTime") or row["Timestamp"])
                yield _Decision(kind, row.get("FunctionName") or row.get("Name"), at, index)

    def verdict(self) -> Replaying[Verdict]:
        """Replay one arrived event after the other, then compare the ends."""
        try:
            yield from self._episode([self._message])
            for index, row in enumerate(self._rows):
                text = self._arrived(index, row)
                if text is not None:
                    yield from self._episode([text])
            self._compare_ends()
        except _Left as left:
            return Verdict(self._instance.id, self._name, len(self._rows), left.at, left.history, left.code)
        return Verdict(self._instance.id, self._name, len(self._rows))

    def _episode(self, messages: list[str]) -> Replaying[None]:
        """Replay with one more event; what the code schedules then must be what the history has next."""
        opening = open_episode(self._instance, self._history, messages, self._now)
        told = yield opening.context
        answer = parse_failure(told) if isinstance(told, FunctionFailed) else parse_answer(told)
        decision = decide(self._instance, opening, answer, self._registry)
        for wire in events.parse(decision.history[len(opening.new) :]):
            if wire["EventType"] in SCHEDULING:
                self._check(events.read(wire))
        if decision.status is Status.Failed and str(decision.output).startswith(NON_DETERMINISTIC):
            raise _Left(*self._next_recorded(), str(decision.output))
        self._history.append(",".join(decision.history))
        self._last = decision

    def _next_recorded(self) -> tuple[int, str]:
        if self._scheduled < len(self._decisions):
            recorded = self._decisions[self._scheduled]
            return recorded.event, str(recorded)
        return len(self._rows) - 1, "nothing more is scheduled"

    def _check(self, event: Event) -> None:
        found = event.type.wire_name if event.name is None else f"{event.type.wire_name} '{event.name}'"
        at, expected = self._next_recorded()
        is_at_end = self._scheduled == len(self._decisions)
        # What an instance in flight has not scheduled yet, it may schedule now.
        if is_at_end and self._rows[-1]["EventType"] != "ExecutionCompleted":
            return
        if found.lower() != expected.lower():
            raise _Left(at, expected, found)
        self._scheduled += 1

    def _arrived(self, index: int, row: JSON) -> str | None:
        """The event as it arrived, under the id that its call has in this replay; None for what did not arrive."""
        kind = row["EventType"]
        if kind in _IGNORED or (kind in _DECISIONS and _DECISIONS[kind] == kind):
            return None
        at = instant(row["Timestamp"])
        if kind == "TimerFired":
            at = self._fired_at(instant(row["FireAt"]))
        self._now = max(self._now, at)
        if kind == "EventRaised":
            return events.event_raised(at, row["Name"], row["Input"])
        if kind == "ExecutionTerminated":
            return events.execution_terminated(at, row.get("Input"))
        if kind in ("ExecutionSuspended", "ExecutionResumed"):
            write = events.execution_suspended if kind == "ExecutionSuspended" else events.execution_resumed
            return write(at, row.get("Reason"))
        return _completion(row, at, self._task_id(index, row))

    def _fired_at(self, fire_at: datetime) -> datetime:
        """When a timer's firing was seen: on Azure up to a second early, as the next decision then shows."""
        if self._scheduled < len(self._decisions):
            return min(fire_at, self._decisions[self._scheduled].at)
        return fire_at

    def _task_id(self, index: int, row: JSON) -> int:
        """The id of the call that this event answers: its place among all that the history scheduled."""
        if row["EventType"] == "TimerFired":
            task_id = self._timer_id(index, row["FireAt"])
        else:
            task_id = next(place for place, each in enumerate(self._decisions) if each.event == index)
        if task_id >= self._scheduled:
            raise _Left(index, str(self._decisions[task_id]), f"does not schedule it; {self._state()}")
        return task_id

    def _timer_id(self, index: int, fire_at: str) -> int:
        """Timers are told apart by when they fire; of equal ones the first created fires first."""
        earlier = [
            row for row in self._rows[:index] if row["EventType"] == "TimerFired" and row["FireAt"] == fire_at
        ]
        same = [
            place
            for place, each in enumerate(self._decisions)
            if each.kind == "TimerCreated" and self._rows[each.event]["FireAt"] == fire_at
        ]
        return same[len(earlier)]

    def _compare_ends(self) -> None:
        """The code must be where the history ends; what it returns is not compared, it may hold times."""
        if self._scheduled < len(self._decisions):
            raise _Left(*self._next_recorded(), f"does not schedule it; {self._state()}")
        last = self._rows[-1]
        if last["EventType"] == "ExecutionCompleted" and last["OrchestrationStatus"] != self._last.status.name:
            raise _Left(len(self._rows) - 1, f"the instance is {last['OrchestrationStatus']}", self._state())

    def _state(self) -> str:
        output = f": {self._last.output}" if self._last.status is Status.Failed else ""
        return f"the instance is {self._last.status.name}{output}"


def _completion(row: JSON, at: datetime, task_id: int) -> str:
    """The event that completes the call of this id."""
    kind = row["EventType"]
    if kind.endswith("Completed") and "Result" not in row:
        raise ValueError(
            "the Result of a call is missing; ask for the history with showHistoryOutput=true as well"
        )
    result = None if row.get("Result") is None else compact(row["Result"])
    match kind:
        case "TimerFired":
            return events.timer_fired(at, task_id, instant(row["FireAt"]))
        case "TaskCompleted":
            return events.task_completed(at, task_id, result)
        case "TaskFailed":
            return events.task_failed(at, task_id, row["Reason"], row["Details"])
        case "SubOrchestrationInstanceCompleted":
            return events.sub_orchestration_completed(at, task_id, result)
        case "SubOrchestrationInstanceFailed":
            return events.sub_orchestration_failed(at, task_id, row["Reason"], row["Details"])
        case _:
            raise ValueError(f"unknown EventType {kind!r}")
