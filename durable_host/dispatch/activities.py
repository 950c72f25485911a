"""The activities in flight: sent to the worker as far as host.json allows, and what became of them.

Not here: how one is called (`workers`), and what its result sets off (`dispatcher`).
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from functools import partial

from durable_host.clock import Clock
from durable_host.dispatch.workers import Invocation, Worker
from durable_host.engine import events
from durable_host.engine.failures import activity_failure
from durable_host.engine.registry import missing_function
from durable_host.errors import FunctionFailed
from durable_host.hub.records import Activity
from durable_host.hub.taskhub import TaskHub
from durable_host.worker.protocol import Result


class Activities:
    """Those that wait for a place, and those that run. What a dead host left in its hub runs again.

    Args:
        most: how many may run at once.
    """

    def __init__(self, hub: TaskHub, clock: Clock, worker: Worker, most: int) -> None:
        self._hub = hub
        self._clock = clock
        self._worker = worker
        self._most = most
        self._waiting = deque(hub.activities())
        self._expected = Counter(activity.instance_id for activity in self._waiting)
        self._running = 0
        self._ended: deque[tuple[Activity, str]] = deque()

    @property
    def are_running(self) -> bool:
        """Whether one runs or waits for a place, or its result waits to be written."""
        return bool(self._running or self._waiting or self._ended)

    @property
    def are_out(self) -> bool:
        """Whether one is with the worker, or its outputs are being sent."""
        return bool(self._running)

    @property
    def have_ended(self) -> bool:
        """Whether a result waits to be written."""
        return bool(self._ended)

    def expected_by(self, instance_id: str) -> int:
        """How many results of an instance's activities have not come yet."""
        return self._expected[instance_id]

    def add(self, activities: Sequence[Activity]) -> None:
        """Have these run, once `start` finds a place; they are on disk."""
        self._waiting.extend(activities)
        self._expected.update(activity.instance_id for activity in activities)

    def start(self) -> None:
        """Start as many as may run at once."""
        while self._waiting and self._running < self._most:
            self._start(self._waiting.popleft())

    def take_ended(self) -> list[tuple[Activity, str]]:
        """The activities that have ended, each with the event that its instance gets."""
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def give_back(self, ended: Iterable[tuple[Activity, str]]) -> None:
        """These could not be written: they are taken again."""
        self._ended.extendleft(reversed(list(ended)))

    def _start(self, activity: Activity) -> None:
        app = self._worker.app
        function = app.find(activity.name)
        if function is None or function not in app.activities:
            text = missing_function(activity.name, "activity", (each.name for each in app.activities))
            self._end(activity, events.task_failed(self._clock.now(), activity.task_id, text, ""))
            return
        self._running += 1
        invocation = self._worker.begin(function)
        done = partial(self._done, activity, invocation)
        self._worker.run_activity(function, activity.input_text, invocation.id, done)

    def _done(self, activity: Activity, invocation: Invocation, answer: Result | FunctionFailed) -> None:
        self._running -= 1
        now, problem = self._clock.now(), None
        if isinstance(answer, Result):
            text = answer.payload.decode()
            event = events.task_completed(now, activity.task_id, None if text == "null" else text)
        else:
            reason, details = activity_failure(activity.name, answer)
            event = events.task_failed(now, activity.task_id, reason, details)
            # Without the serialized .NET exception that the failure of an activity of its own may carry.
            problem = f"{reason}\n{answer.stack}".partition(" \n ")[0]
        invocation.end(problem)
        self._end(activity, event)

    def _end(self, activity: Activity, event: str) -> None:
        self._expected[activity.instance_id] -= 1
        if not self._expected[activity.instance_id]:
            del self._expected[activity.instance_id]
        self._ended.append((activity, event))
        self._clock.wake.set()
