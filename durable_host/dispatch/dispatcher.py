"""The loop: take what is there, commit it as one batch, tell callers, send the next work, and have the clock wait.

An instance has at most one episode out; its messages stay in the hub until the batch that applies its decision.
Not here: what an episode decides (`episode`) and how a function is called (`workers`).
"""

import asyncio
import logging
import sqlite3
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from durable_host.clock import Clock, stopwatch_s
from durable_host.dispatch.activities import Activities
from durable_host.dispatch.workers import Invocation, Worker, state_of
from durable_host.engine import events
from durable_host.engine.actions import Answer, parse_answer, parse_failure
from durable_host.engine.episode import ChildStart, Opening, decide, open_episode, orchestrator_missing
from durable_host.engine.events import EventType
from durable_host.engine.registry import Registry
from durable_host.errors import FunctionFailed, HostError, HubError, InstanceExists, ProtocolError, WorkerDied
from durable_host.hub.instances import put_start
from durable_host.hub.records import Activity, Message, Record, Start
from durable_host.hub.writer import Writer
from durable_host.worker.protocol import Result

_ROUNDS = 10
_SHORT_S = 0.002  # An episode that took no longer is not worth a rest.
_LONGEST_REST_S = 1.0
_ALONE_S = 1.0
_MOST_DEATHS = 3  # Of workers, by one episode that was out alone.
log = logging.getLogger(__name__)

OnEpisode = Callable[[str, str, str, str | FunctionFailed], None]


@dataclass(slots=True)
class _Episode:
    """An episode that is out, or whose answer waits to be applied.

    `taken` are the ids of the messages that it is made of; `has_more` says that others wait for the next one;
    `sent_s` is when it was sent, in real time.
    """

    record: Record
    opening: Opening
    taken: list[int]
    has_more: bool
    sent_s: float
    invocation: Invocation | None = None
    told: Result | FunctionFailed | None = None
    answer: Answer | None = None


class Dispatcher:
    """Runs a hub's work items.

    Args:
        on_episode: told of each episode: instance id, function name, the context and the answer as exchanged.
        may_rest: an instance rests while results gather; by real time, so not where all must come in one order.
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        worker: Worker,
        registry: Registry,
        activities: Activities,
        on_episode: OnEpisode | None = None,
        may_rest: bool = True,
    ) -> None:
        self._hub = writer.hub
        self._writer = writer
        self._clock = clock
        self._worker = worker
        self._registry = registry
        self._activities = activities
        self._on_episode = on_episode
        self._may_rest = may_rest
        self._ready: dict[str, None] = {}  # Instances that may have messages due.
        self._out: dict[str, _Episode] = {}
        self._again: set[str] = set()  # Those of them for which more has come.
        self._rests_until_s: dict[str, float] = {}
        self._answers: deque[_Episode] = deque()
        # Instances whose episode was out when a worker died, and how often one died of theirs alone.
        self._suspects: dict[str, int] = {}
        self._is_stopping = False
        self._quiet = asyncio.Event()
        self._strays: list[int] = []  # Messages that nobody is there for.
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
                self._worker.look()
                if not await self._turn():
                    await self._rest()
        except Exception as error:
            # A bug in this host: whoever waits is told.
            self._broken = HostError(f"The host has stopped working ({type(error).__name__}: {error}).")
            self._writer.close(self._broken)
            for event in (self._idle, self._quiet, *self._watched.values()):
                event.set()
            raise

    async def _turn(self) -> bool:
        """Write what there is to write, and send what there is to send; False when there was nothing."""
        has_work = self._has_to_write
        if has_work:
            await self._run_batch()
        if self._is_stopping:
            if not (self._activities.are_out or self._activities.have_ended):
                self._quiet.set()
        elif self._writer.problem is None and self._worker.is_ready:
            has_work = self._send(self._clock.now()) or has_work
        if has_work:
            # Requests and answers come on: what arrives in these rounds of the loop shares a commit.
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)  # noqa: TID251 - Waits for nothing.
        return has_work

    async def stop(self, limit_s: float) -> None:
        """Send nothing more, and give the activities that run so much time to end; what they answer is stored."""
        self._is_stopping = True
        self._clock.wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._quiet.wait()

    @property
    def _has_to_write(self) -> bool:
        waits = self._answers or self._strays or self._activities.have_ended or self._writer.has_changes
        return bool(waits) or self._writer.problem is not None

    @property
    def problem(self) -> HubError | None:
        """Why the hub cannot be written now; None when it can."""
        return self._writer.problem

    async def _rest(self) -> None:
        is_idle = not (self._running or self._out or self._ready or self._activities.are_running)
        if is_idle:
            self._idle.set()
        try:
            may_send = self._worker.is_ready and not self._is_stopping
            due = self._hub.next_untold() if may_send else None
        except sqlite3.Error as error:
            self._writer.fail(error)
            return
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

    async def _run_batch(self) -> None:
        """One transaction: answers, results of activities, callers' changes; they are told once it is on disk."""
        heard, ended, strays = list(self._answers), self._activities.take_ended(), self._strays
        self._answers.clear()
        answers = [episode for episode in heard if self._hear(episode)]
        for episode in heard:
            if episode.answer is None:
                self._ask_again(episode)
        self._finished, self._strays = [], []
        activities: list[Activity] = []
        try:
            with self._writer.batch():
                for episode in answers:
                    activities += self._apply_safely(episode)
                for activity, event in ended:
                    self._hub.finish_activity(activity, event, self._clock.now())
                self._hub.delete_messages(strays)
        except HubError:
            for episode in answers:
                self._ask_again(episode)
            self._activities.give_back(ended)
            self._strays = strays
            self._idle.set()
            await self._clock.wait(None, False)
            return
        self._activities.add(activities)
        for episode in answers:
            self._let_go(episode)
        for instance_id in self._finished:
            self._rests_until_s.pop(instance_id, None)
            if instance_id in self._watched:
                self._watched.pop(instance_id).set()

    def _let_go(self, episode: _Episode) -> None:
        """The instance may have its next episode."""
        instance_id = episode.record.id
        del self._out[instance_id]
        self._rest_after(episode)
        if episode.has_more or instance_id in self._again:
            self._again.discard(instance_id)
            self._ready[instance_id] = None

    def _rest_after(self, episode: _Episode) -> None:
        """While more results of its activities come, the instance rests as long as its episode took.

        So they gather: a fan-out of n costs about n, and not n squared, as each episode replays all before it.
        """
        now_s = stopwatch_s()
        took_s = min(now_s - episode.sent_s, _LONGEST_REST_S)
        if self._may_rest and took_s > _SHORT_S and self._activities.expected_by(episode.record.id) > 1:
            self._rests_until_s[episode.record.id] = now_s + took_s
            asyncio.get_running_loop().call_later(took_s, self._clock.wake.set)

    def _rests(self, instance_id: str, now_s: float) -> bool:
        until_s = self._rests_until_s.get(instance_id)
        if until_s is None:
            return False
        if now_s < until_s and self._activities.expected_by(instance_id):
            return True
        del self._rests_until_s[instance_id]
        return False

    def _ask_again(self, episode: _Episode) -> None:
        """What was answered is forgotten: the same messages make another episode."""
        episode.has_more = True
        self._let_go(episode)

    def _send(self, now: datetime) -> bool:
        """Send the activities and episodes that are due, as far as there is room; False when there were none."""
        try:
            for instance_id, is_urgent in self._hub.take_due(now).items():
                if is_urgent:
                    self._rests_until_s.pop(instance_id, None)
                if instance_id in self._out:
                    self._again.add(instance_id)
                else:
                    self._ready[instance_id] = None
            if self._suspects:
                return self._send_suspect(now)
            self._activities.start()
            now_s, was_ready = stopwatch_s(), False
            for instance_id in [each for each in self._ready if not self._rests(each, now_s)]:
                if len(self._out) >= self._registry.options.max_episodes:
                    break
                self._open(instance_id, now)
                del self._ready[instance_id]
                was_ready = True
        except sqlite3.Error as error:
            self._writer.fail(error)
            return True
        return was_ready

    def _send_suspect(self, now: datetime) -> bool:
        """Send the episode of one instance that may have killed a worker, once nothing else is out.

        One that has lived for a second no longer holds the others up.
        """
        now_s = stopwatch_s()
        young = {each for each, episode in self._out.items() if now_s - episode.sent_s < _ALONE_S}
        for instance_id in self._suspects.keys() & (self._out.keys() - young):
            del self._suspects[instance_id]
        if young or self._activities.are_out:
            return False
        if not self._suspects:
            return True
        instance_id = next(iter(self._suspects))
        self._ready.pop(instance_id, None)
        self._open(instance_id, now)
        if instance_id in self._out:
            asyncio.get_running_loop().call_later(_ALONE_S, self._clock.wake.set)
        else:
            del self._suspects[instance_id]  # It was purged, or has nothing to do any more.
        return True

    def _open(self, instance_id: str, now: datetime) -> None:
        """Send an episode, or none when the messages are for an instance or a generation that is over."""
        messages = self._hub.messages(instance_id, now)
        if not messages:
            return
        record = self._hub.record(instance_id)
        if record is None or record.status.is_terminal:
            self._strays += (message.id for message in messages)
            return
        history = self._hub.history(record.id)
        taken: list[int] = []
        texts: list[str] = []
        for message in messages:
            # A generation's first episode is its start alone, or a loop's that is to end.
            if (
                texts
                and not history
                and events.read_row(message.event)[0].type is not EventType.EXECUTION_TERMINATED
            ):
                continue
            if message.execution_id is None or message.execution_id == record.execution_id:
                texts.append(message.event)
            taken.append(message.id)
        if not texts:
            self._strays += taken
            return
        # An instance never sees time run back, whatever the system's clock does.
        now = max(now, record.updated_at)
        opening = open_episode(record.instance, history, texts, now, self._registry.options.http_sleep_ms)
        episode = _Episode(record, opening, taken, len(taken) < len(messages), stopwatch_s())
        self._out[instance_id] = episode
        self._call(episode)

    def _call(self, episode: _Episode) -> None:
        """Have the orchestrator function called."""
        function = self._worker.app.find(episode.record.name)
        if function is None or function.name not in self._registry.orchestrators:
            episode.answer = orchestrator_missing(episode.record.name, self._registry)
            self._answers.append(episode)
            return
        invocation = self._worker.begin(function)

        def done(told: Result | FunctionFailed) -> None:
            episode.invocation, episode.told = invocation, told
            self._answers.append(episode)
            self._clock.wake.set()

        self._worker.run_orchestrator(function, episode.record.id, episode.opening.context, invocation.id, done)

    def _hear(self, episode: _Episode) -> bool:
        """Take in what the worker said of an episode; False when it died, and the episode is to be asked again."""
        invocation, told = episode.invocation, episode.told
        if invocation is None or told is None:
            return True  # Nothing was called.
        if isinstance(told, WorkerDied):
            return self._suspect(episode, told)
        self._suspects.pop(episode.record.id, None)
        text = state_of(told) if isinstance(told, Result) else told
        episode.answer = _parsed(text)
        # Without the serialized .NET exception that an activity's failure carries.
        invocation.end(episode.answer.error and episode.answer.error.partition(" \n ")[0])
        if self._on_episode is not None:
            self._on_episode(episode.record.id, invocation.name, episode.opening.context, text)
        return True

    def _suspect(self, episode: _Episode, death: WorkerDied) -> bool:
        """A worker died while an episode was out: it is asked again, alone; the third that dies so fails it."""
        assert episode.invocation is not None
        instance_id = episode.record.id
        deaths = self._suspects.get(instance_id, -1) + 1
        self._suspects[instance_id] = deaths
        if deaths < _MOST_DEATHS:
            episode.invocation.end("")
            return False
        del self._suspects[instance_id]
        # Source: recorded, real319-b2-dies.
        episode.answer = Answer(False, (), error=f"One or more errors occurred. ({death.message})", raw=True)
        episode.invocation.end(episode.answer.error)
        return True

    def _apply_safely(self, episode: _Episode) -> list[Activity]:
        """Apply an answer; what goes wrong there fails its instance alone."""
        try:
            with self._hub.change():
                return self._apply(episode, episode.answer)
        except (sqlite3.Error, HubError):
            raise
        except Exception as error:  # A bug of this host, which must not take the other work down.
            log.exception("%s: its answer could not be applied.", episode.record.id)
            text = f"The host could not apply the orchestrator's answer ({type(error).__name__}: {error})."
            with self._hub.change():
                return self._apply(episode, Answer(False, (), error=text, raw=True))

    def _apply(self, episode: _Episode, answer: Answer | None) -> list[Activity]:
        assert answer is not None
        opening = episode.opening
        record = self._hub.record(episode.record.id)
        if record is None or record.execution_id != episode.record.execution_id or record.status.is_terminal:
            return []  # It was purged or replaced meanwhile.
        self._hub.delete_messages(episode.taken)
        decision = decide(record.instance, opening, answer, self._registry)
        for warning in decision.warnings:
            log.warning("%s", warning)
        for child in decision.children:
            self._start_child(child, opening.now)
        timers = [
            (timer.fire_at, events.timer_fired(opening.now, timer.task_id, timer.fire_at))
            for timer in decision.timers
        ]
        if decision.status.is_terminal:
            self._finished.append(record.id)
        return self._hub.apply(record, decision, timers)

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


def _terminates(message: Message) -> bool:
    return events.read_row(message.event)[0].type is EventType.EXECUTION_TERMINATED


def _parsed(told: str | FunctionFailed) -> Answer:
    """What the SDK answered, or raised."""
    if isinstance(told, FunctionFailed):
        return parse_failure(told)
    try:
        return parse_answer(told)
    except ProtocolError as error:
        return Answer(False, (), error=str(error), raw=True)
