"""The SDK's actions played against the history: which exist, which are open, and what each is called.

The SDK answers with all its actions since the start of the generation; the engine walks that list and creates the
next one only when the one before is done. Ids count what is created, in that order, and the SDK finds a completion
by this id, so the order is the contract. A `task_all` is done when all in it have ended, failed or not. The SDK
raises at the first failure; what the orchestrator asks for then waits for the rest (recorded, a_all_four_caught).
Not here: what the instance's status becomes (`episode`).
Source: TaskOrchestrationShim and TaskOrchestrationContext of the engine, as recorded (durable extension 3.19.0).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from durable_host.engine.actions import (
    Action,
    CallActivity,
    CallSubOrchestrator,
    ContinueAsNew,
    CreateTimer,
    RetryPolicy,
    WaitForExternalEvent,
    WhenAll,
    WhenAny,
)
from durable_host.engine.determinism import KIND_OF, SCHEDULING, Scheduled, mismatch
from durable_host.engine.events import Event, EventType
from durable_host.engine.registry import Registry, missing_function
from durable_host.values import instant


class Fatal(Exception):
    """The instance fails now, whatever is still open; `text` is the failure, in the engine's words."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(slots=True, eq=False)
class _Task:
    """What an action became. Leaves are completed by events, compounds by their children."""

    is_done: bool = False
    parent: "_Task | None" = None
    needs: int = 0  # Of a compound: how many more children must end.

    def complete(self) -> None:
        """Mark this task done, and its parent when that settles it."""
        self.is_done = True
        if self.parent is not None:
            self.parent.needs -= 1
            if self.parent.needs == 0:
                self.parent.complete()


@dataclass(slots=True, eq=False)
class _Retry(_Task):
    """A call with retries: its attempts and the timers between them, one open at a time."""

    call: CallActivity | CallSubOrchestrator | None = None
    policy: RetryPolicy | None = None
    failures: int = 0


class Play:
    """The SDK's actions played against the history, event by event.

    Args:
        instance_id, execution_id, parent_id: of the instance; sub-orchestrations' ids depend on them.
        actions: the SDK's answer.
        registry: the names that may be called.
    """

    def __init__(
        self,
        instance_id: str,
        execution_id: str,
        parent_id: str | None,
        actions: Sequence[Action],
        registry: Registry,
    ) -> None:
        self._execution_id = execution_id
        self._relatives = (instance_id, parent_id)
        self._actions = actions
        self._registry = registry
        self._cursor = 0
        self._current: _Task | None = None
        self._scheduled: dict[int, tuple[Scheduled, str]] = {}  # id -> action, sub-orchestration's instance id
        self._open: dict[int, _Task] = {}
        self._waiting: dict[str, list[_Task]] = defaultdict(list)
        self._early: dict[str, list[Event]] = defaultdict(list)
        self._held: list[Event] = []
        self._now = ""
        self._asked = 0
        self.next_id = 0
        self.suspended = self.terminated = False
        self.reason: str | None = None
        self.continued: ContinueAsNew | None = None
        self.carried: list[Event] = []

    @property
    def is_settled(self) -> bool:
        """Whether every action has come to its end, so that the instance may."""
        at_end = self._cursor == len(self._actions) and (self._current is None or self._current.is_done)
        return at_end and not self._open

    @property
    def is_mixed_up(self) -> bool:
        """Whether a retry goes on while the orchestrator, which caught another failure, went on without it.

        The SDK has then given the id of the retry's next attempt to what it asked for next, which gets its result.
        Source: recorded, a_all_retry_mixup.
        """
        goes_on = any(isinstance(task, _Retry) and task.failures for task in self._open.values())
        return goes_on and self._cursor < len(self._actions)

    def handle(self, event: Event) -> None:
        """Play on to where this event leads. While suspended, all but resume and terminate is held back."""
        if event.type is EventType.ORCHESTRATOR_STARTED:
            self._now = event.timestamp
        elif event.type is EventType.EXECUTION_RESUMED:
            self.suspended = False
            self._keep_reason(event)
            held, self._held = self._held, []
            for each in held:
                self.handle(each)
        elif event.type is EventType.EXECUTION_TERMINATED:
            self.terminated, self.reason = True, event.text
        elif self.suspended:
            self._held.append(event)
        elif not self.terminated and (apply := _APPLY.get(event.type)) is not None:
            apply(self, event)

    def _start(self, _: Event) -> None:
        self._advance()

    def _suspend(self, event: Event) -> None:
        self.suspended = True
        self._keep_reason(event)

    def _keep_reason(self, event: Event) -> None:
        # One without a reason leaves the last in the instance's row. Source: recorded, h_pending.
        if event.text is not None:
            self.reason = event.text

    def _advance(self) -> None:
        """Create the next actions' tasks: one that is not done yet keeps all later ones from existing."""
        while self._cursor < len(self._actions) and (self._current is None or self._current.is_done):
            self._current = self._create(self._actions[self._cursor], None)
            self._cursor += 1

    def _create(self, action: Action, parent: _Task | None) -> _Task:
        """The task of an action, with ids given in order, depth first."""
        match action:
            case CallActivity(retry=None) | CallSubOrchestrator(retry=None):
                task = _Task(parent=parent)
                self._call(action, task)
            case CallActivity(retry=policy) | CallSubOrchestrator(retry=policy):
                task = _Retry(parent=parent, call=action, policy=policy)
                self._call(action, task)
            case CreateTimer():
                task = _Task(parent=parent)
                self._call(action, task)
            case WaitForExternalEvent(name):
                task = _Task(parent=parent)
                self._wait(name.lower(), task)
            case WhenAll(children) | WhenAny(children):
                task = self._compound(children, isinstance(action, WhenAny), parent)
            case ContinueAsNew():
                self.continued, task = action, _Task(is_done=True)
            case _:
                raise Fatal(f"{action.call} is not supported by the local host.")
        return task

    def _compound(self, children: Sequence[Action], is_any: bool, parent: _Task | None) -> _Task:
        task = _Task(parent=parent, needs=1 if is_any else len(children))
        for child in children:
            self._create(child, task)
        if not children:
            task.complete()
        return task

    def _call(self, action: Scheduled, task: _Task) -> None:
        """Schedule what the orchestrator asks for itself, and count it."""
        self._asked += 1
        most = self._registry.options.max_actions
        if self._asked > most:
            raise Fatal(
                f"It asks for more than {most} actions, which maxOrchestrationActions in host.json forbids."
            )
        self._schedule(action, task)

    def _schedule(self, action: Scheduled, task: _Task) -> None:
        task_id = self.next_id
        child_id = self._check_callable(action, task_id)
        self.next_id += 1
        self._scheduled[task_id] = (action, child_id)
        if isinstance(action, CreateTimer) and action.is_canceled:
            task.complete()
        else:
            self._open[task_id] = task

    def _check_callable(self, action: Scheduled, task_id: int) -> str:
        """The instance id of a sub-orchestration, "" of all else; a name that nobody has fails the instance."""
        known = self._registry
        match action:
            case CallActivity(name):
                if not known.has_activity(name.lower()):
                    raise Fatal(missing_function(name, "activity", known.activities))
            case CallSubOrchestrator(name, _, instance_id):
                if not known.has_orchestrator(name.lower()):
                    raise Fatal(missing_function(name, "orchestrator", known.orchestrators))
                if instance_id is None or not instance_id.strip():
                    return f"{self._execution_id}:{task_id}"
                if instance_id in self._relatives or instance_id.startswith("@"):
                    raise Fatal(
                        f"A sub-orchestration cannot have the instance id '{instance_id}': give it one that is "
                        "not its parent's or grandparent's and does not start with '@'."
                    )
                return instance_id
        return ""

    def _wait(self, name: str, task: _Task) -> None:
        if self._early[name]:
            self._early[name].pop(0)
            task.complete()
        else:
            self._waiting[name].append(task)

    def _raise(self, event: Event) -> None:
        # The engine matches names without regard to case, and the latest wait first. Which value the orchestrator
        # sees is the SDK's business.
        name = (event.name or "").lower()
        if self.continued is not None:
            self.carried.append(event)
        elif self._waiting[name]:
            self._waiting[name].pop().complete()
            self._advance()
        else:
            self._early[name].append(event)

    def _complete(self, event: Event, failed: bool = False) -> None:
        task = self._open.pop(-1 if event.task_id is None else event.task_id, None)
        if isinstance(task, _Retry) and task.call is not None and task.policy is not None:
            self._go_on(task, task.call, task.policy, event, failed)
        elif task is not None:
            task.complete()
        self._advance()

    def _fail(self, event: Event) -> None:
        self._complete(event, failed=True)

    def _go_on(
        self,
        task: _Retry,
        call: CallActivity | CallSubOrchestrator,
        policy: RetryPolicy,
        event: Event,
        failed: bool,
    ) -> None:
        """The next step of a call with retries. After the last failure one more timer fires, due at once: the SDK
        counts on it.
        """
        if event.type is EventType.TIMER_FIRED:
            if task.failures < policy.max_attempts:
                self._schedule(call, task)
            else:
                task.complete()
        elif failed:
            task.failures += 1
            now = instant(self._now)
            is_last = task.failures >= policy.max_attempts
            self._schedule(CreateTimer(now if is_last else now + policy.delay, False), task)
        else:
            task.complete()

    def _check_recorded(self, event: Event) -> None:
        """What an earlier episode scheduled must be scheduled now, under the same id.

        Source: TaskOrchestrationContext.Handle*Event of DurableTask.Core 3.9.0; activities' texts as recorded.
        """
        action, _ = self._scheduled.get(event.event_id, (None, ""))
        problem = mismatch(event, action)
        if problem is not None:
            raise Fatal(problem)

    def decisions(self, history: Iterable[Event]) -> Iterator[tuple[int, Scheduled, str]]:
        """What no earlier episode scheduled, by id: (id, action, a sub-orchestration's instance id)."""
        recorded = {(event.event_id, event.type) for event in history if event.type in SCHEDULING}
        for task_id, (action, child_id) in self._scheduled.items():
            if (task_id, KIND_OF[type(action)]) not in recorded:
                yield task_id, action, child_id


_APPLY: dict[EventType, Callable[[Play, Event], None]] = {
    EventType.EXECUTION_STARTED: Play._start,
    EventType.EXECUTION_SUSPENDED: Play._suspend,
    EventType.EVENT_RAISED: Play._raise,
    EventType.TASK_COMPLETED: Play._complete,
    EventType.TASK_FAILED: Play._fail,
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED: Play._complete,
    EventType.SUB_ORCHESTRATION_INSTANCE_FAILED: Play._fail,
    EventType.TIMER_FIRED: Play._complete,
    **dict.fromkeys(SCHEDULING, Play._check_recorded),
}
