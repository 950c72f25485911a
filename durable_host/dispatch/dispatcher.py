"""The loop: take what is ready, run it, commit it as one batch, start the activities, and have the clock wait.

Orchestrators run here, inline; activities run beside it and come back through the writer.
Not here: what an episode decides (`episode`) and how a function is called (`workers`).
"""

import asyncio
import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from durable_host.clock import Clock
from durable_host.dispatch.activities import Activities
from durable_host.dispatch.workers import Worker
from durable_host.engine import events
from durable_host.engine.actions import Answer, parse_answer, parse_failure
from durable_host.engine.episode import ChildStart, decide, open_episode, orchestrator_missing
from durable_host.engine.events import EventType
from durable_host.engine.registry import Registry
from durable_host.errors import FunctionFailed, HostError, HubError, InstanceExists, ProtocolError
from durable_host.hub.instances import put_start
from durable_host.hub.records import Activity, Record, Start, WorkItem
from durable_host.hub.writer import Writer

_BATCH = 32
_ROUNDS = 10
log = logging.getLogger(__name__)

OnEpisode = Callable[[str, str, str, str | FunctionFailed], None]


class Dispatcher:
    """Runs a hub's work items.

    Args:
        on_episode: told of each episode: instance id, function name, the context and the answer as exchanged.
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        worker: Worker,
        registry: Registry,
        activities: Activities,
        on_episode: OnEpisode | None = None,
    ) -> None:
        self._hub = writer.hub
        self._writer = writer
        self._clock = clock
        self._worker = worker
        self._registry = registry
        self._activities = activities
        self._on_episode = on_episode
        self._running = 0
        self._idle = asyncio.Event()
        self._watched: dict[str, asyncio.Event] = {}
        self._finished: list[str] = []
        self._broken: HostError | None = None

    async def run(self) -> None:
        """Work until cancelled. What is in flight then is run again by the next host on this hub."""
        try:
            while True:
                self._clock.wake.clear()
                self._clock.release()
                self._activities.start()
                now = self._clock.now()
                due = self._next_due(now)
                if (
                    self._writer.has_changes
                    or self._writer.problem is not None
                    or (due is not None and due <= now)
                ):
                    await self._run_batch(now)
                    # Requests and activities come on: what arrives in these rounds of the loop shares a commit.
                    for _ in range(_ROUNDS):
                        await asyncio.sleep(0)  # noqa: TID251 - Waits for nothing.
                else:
                    await self._rest(due)
        except Exception as error:
            # A bug of this host. Nobody may go on waiting for it.
            self._broken = HostError(f"The host has stopped working ({type(error).__name__}: {error}).")
            self._writer.close(self._broken)
            for event in (self._idle, *self._watched.values()):
                event.set()
            raise
        finally:
            self._activities.cancel()

    def _next_due(self, now: datetime) -> datetime | None:
        """When the first message is due; when the hub cannot be read, now, so that a batch finds out and tells."""
        try:
            return self._hub.next_due()
        except sqlite3.Error:
            return now

    @property
    def problem(self) -> HubError | None:
        """Why the hub cannot be written now; None when it can."""
        return self._writer.problem

    async def _rest(self, due: datetime | None) -> None:
        is_idle = self._running == 0 and not self._activities.are_running
        if is_idle:
            self._idle.set()
        sleeper = self._clock.next_sleeper()
        await self._clock.wait(min(filter(None, (due, sleeper)), default=None), is_idle)

    async def idle(self) -> None:
        """Return once no work item is due and no function runs."""
        self._clock.wake.set()
        while True:
            self._idle.clear()
            await self._told(self._idle)
            if self._writer.problem is None:
                return

    async def _settle(self) -> None:
        """Be idle, or raise HubError when the hub cannot be written, and so what is due cannot be done."""
        self._idle.clear()
        self._clock.wake.set()
        await self._told(self._idle)
        if self._writer.problem is not None:
            raise self._writer.problem

    async def finished(self, instance_id: str) -> None:
        """Return when an instance that is live has come to its end."""
        await self._told(self._watched.setdefault(instance_id, asyncio.Event()))

    async def _told(self, event: asyncio.Event) -> None:
        if self._broken is None:
            await event.wait()
        if self._broken is not None:
            raise self._broken

    async def skip(self) -> datetime | None:
        """When idle, jump to the next due timer, and return when idle again; None when no timer waits.

        Raises: HubError when the hub cannot be written; so does `advance`.
        """
        await self._settle()
        due = self._hub.next_due()
        if due is not None:
            await self._skip_to(due)
        return due

    async def advance(self, span: timedelta) -> None:
        """Jump on by `span`, from one due instant to the next, so that timers keep their order."""
        await self._settle()
        target = self._clock.now() + span
        while (
            due := min(filter(None, (self._hub.next_due(), self._clock.next_sleeper())), default=target)
        ) < target:
            await self._skip_to(due)
        await self._skip_to(target)

    async def _skip_to(self, at: datetime) -> None:
        """Jump, and return when idle again. A batch goes with it: it keeps how far the clock is ahead."""
        self._clock.skip_to(at)
        await self._writer.submit(lambda: None)
        await self._settle()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count an HTTP function as running while the block lasts."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._clock.wake.set()

    async def _run_batch(self, now: datetime) -> None:
        """One transaction: the episodes that are due, and callers' changes. Answers leave once it is on disk."""
        activities: list[Activity] = []
        self._finished = []
        try:
            with self._writer.batch():
                # First, so that a start is on disk, and its caller told, before its first episode runs.
                for item in self._hub.due(now, _BATCH):
                    activities += self._run_orchestrator(item)
        except HubError:
            self._idle.set()
            await self._clock.wait(None, False)
            return
        self._activities.add(activities)
        for instance_id in self._finished:
            if instance_id in self._watched:
                self._watched.pop(instance_id).set()

    def _run_orchestrator(self, item: WorkItem) -> list[Activity]:
        """One episode, or none when the messages are for an instance or a generation that is over."""
        record = self._hub.record(item.instance_id)
        if record is None or record.status.is_terminal:
            self._hub.delete_messages(message_id for message_id, _, _ in item.messages)
            return []
        history = self._hub.history(record.id)
        taken: list[int] = []
        texts: list[str] = []
        for message_id, execution_id, text in item.messages:
            # A generation's first episode is its start alone, or a loop's that is to end.
            if texts and not history and events.read_row(text)[0].type is not EventType.EXECUTION_TERMINATED:
                continue
            if execution_id is None or execution_id == record.execution_id:
                texts.append(text)
            taken.append(message_id)
        self._hub.delete_messages(taken)
        return self._run_episode(record, history, texts) if texts else []

    def _run_episode(self, record: Record, history: list[str], messages: list[str]) -> list[Activity]:
        # An instance never sees time run back, whatever the system's clock does.
        now = max(self._clock.now(), record.updated_at)
        opening = open_episode(record.instance, history, messages, now, self._registry.options.http_sleep_ms)
        answer = self._call(record, opening.context)
        decision = decide(record.instance, opening, answer, self._registry)
        for warning in decision.warnings:
            log.warning("%s", warning)
        for child in decision.children:
            self._start_child(child, now)
        timers = [
            (timer.fire_at, events.timer_fired(now, timer.task_id, timer.fire_at)) for timer in decision.timers
        ]
        if decision.status.is_terminal:
            self._finished.append(record.id)
        return self._hub.apply(record, decision, timers)

    def _call(self, record: Record, context: str) -> Answer:
        """Call the orchestrator function and parse what it says."""
        function = self._worker.app.find(record.name)
        if function is None or function.name not in self._registry.orchestrators:
            return orchestrator_missing(record.name, self._registry)
        invocation = self._worker.begin(function)
        told: str | FunctionFailed
        try:
            text = told = self._worker.run_orchestrator(function, context, invocation.id)
            answer = parse_answer(text)
        except FunctionFailed as failure:
            told = failure
            answer = parse_failure(failure)
        except ProtocolError as error:
            answer = Answer(False, (), error=str(error), raw=True)
        # Without the serialized .NET exception that an activity's failure carries.
        invocation.end(answer.error and answer.error.partition(" \n ")[0])
        if self._on_episode is not None:
            self._on_episode(record.id, function.name, context, told)
        return answer

    def _start_child(self, child: ChildStart, now: datetime) -> None:
        old = self._hub.record(child.instance_id)
        parent = child.parent
        if old is not None and not old.status.is_terminal:
            # The engine replaces it without a word. Source: recorded, d_sub_live_id.
            reason = (
                f"The sub-orchestration '{child.instance_id}' was not started. {InstanceExists(old.status.name)}"
            )
            event = events.sub_orchestration_failed(now, parent.task_id, reason, None)
            self._hub.deliver(parent.instance_id, parent.execution_id, now, event)
            return
        start = Start(child.instance_id, child.name, uuid.uuid4().hex, child.input_text, child.version, parent)
        put_start(self._hub, start, now)
