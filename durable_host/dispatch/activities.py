"""The activities in flight: started as far as host.json allows, run beside the loop, their results handed in.

Not here: how one is called (`workers`), and what its result sets off (`dispatcher`).
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from durable_host.clock import Clock
from durable_host.dispatch.workers import Worker
from durable_host.engine import events
from durable_host.engine.failures import activity_failure
from durable_host.engine.registry import missing_function
from durable_host.errors import FunctionFailed, HubError
from durable_host.hub.records import Activity
from durable_host.hub.writer import Writer

_RETRY = timedelta(seconds=1)


class Activities:
    """Those that wait for a place, and those that run. What a dead host left in its hub runs again.

    Args:
        most: how many may run at once.
    """

    def __init__(self, writer: Writer, clock: Clock, worker: Worker, most: int) -> None:
        self._hub = writer.hub
        self._writer = writer
        self._clock = clock
        self._worker = worker
        self._most = most
        self._waiting = deque(writer.hub.activities())
        self._running: set[asyncio.Task[None]] = set()

    @property
    def are_running(self) -> bool:
        """Whether one runs, or its result waits to be taken."""
        return bool(self._running)

    def add(self, activities: Iterable[Activity]) -> None:
        """Have these run, once `start` finds a place; they are on disk."""
        self._waiting.extend(activities)

    def start(self) -> None:
        """Start as many as may run at once."""
        while self._waiting and len(self._running) < self._most:
            task = asyncio.create_task(self._run(self._waiting.popleft()))
            self._running.add(task)
            task.add_done_callback(self._done)

    def cancel(self) -> None:
        """Wait for none of them any more; the next host on this hub runs them again."""
        for task in self._running:
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._clock.wake.set()

    async def _run(self, activity: Activity) -> None:
        """Run an activity and hand its result in; while the hub cannot be written, again and again."""
        event = await self._result(activity)
        while True:
            try:
                change = partial(self._hub.finish_activity, activity, event, self._clock.now())
                return await self._writer.submit(change)
            except HubError:
                await self._clock.sleep_until(self._clock.now() + _RETRY)

    async def _result(self, activity: Activity) -> str:
        """The event that the activity ends with."""
        function = self._worker.app.find(activity.name)
        if function is None or function not in self._worker.app.activities:
            text = missing_function(activity.name, "activity", (each.name for each in self._worker.app.activities))
            return events.task_failed(self._clock.now(), activity.task_id, text, "")
        invocation = self._worker.begin(function)
        problem = None
        try:
            result = await self._worker.run_activity(function, activity.input_text, invocation.id)
            event = events.task_completed(self._clock.now(), activity.task_id, result)
        except FunctionFailed as failure:
            reason, details = activity_failure(activity.name, failure)
            event = events.task_failed(self._clock.now(), activity.task_id, reason, details)
            # Without the serialized .NET exception that the failure of an activity of its own may carry.
            problem = f"{reason}\n{failure.stack}".partition(" \n ")[0]
        invocation.end(problem)
        return event
