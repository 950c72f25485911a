"""One episode of one instance, decided: (instance, history, messages, now, the SDK's answer) -> what to commit.

Not here: calling the function, storing the outcome, and which action gets which id (`play`). No clock, no file.
Source: TaskOrchestrationExecutor and TaskOrchestrationShim of the engine, as recorded (durable extension 3.14.1).
"""

import itertools
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from durable_host import events
from durable_host.actions import Answer, CallActivity, CallSubOrchestrator, ContinueAsNew
from durable_host.determinism import NON_DETERMINISTIC
from durable_host.events import Event, Parent, Status, compact
from durable_host.play import Fatal, Play, Registry, missing_function

_STATUS_LIMIT_KB = 16
_HUGE = re.compile(r"[eE]\+?[0-9]{3}")  # An exponent of three digits; far from each is too large.


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as the hub holds it, as far as an episode needs it.

    `input_text` is the raw JSON text of the input, None for none.
    """

    id: str
    name: str
    execution_id: str
    input_text: str | None
    version: str | None
    parent: Parent | None


@dataclass(frozen=True, slots=True)
class Opening:
    """An episode about to run: `context` is what the SDK is given, `new` what it adds to the history first."""

    context: str
    history: tuple[Event, ...]
    new: tuple[str, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class ActivityCall:
    """An activity to run; `task_id` is the id that its completion answers."""

    task_id: int
    name: str
    input_text: str | None


@dataclass(frozen=True, slots=True)
class ChildStart:
    """A sub-orchestration to start; its completion answers `parent.task_id`."""

    instance_id: str
    name: str
    input_text: str
    version: str | None
    parent: Parent


@dataclass(frozen=True, slots=True)
class Timer:
    """A durable timer to arm."""

    task_id: int
    fire_at: datetime


@dataclass(frozen=True, slots=True)
class Generation:
    """What an instance that continues as new starts over with; `opening` is the text of its first message."""

    execution_id: str
    input_text: str | None
    opening: str


@dataclass(slots=True)
class Decision:
    """What the hub must commit: new history, new work, and the instance's next status.

    `now` is the episode's time, `last_at` that of its last event. `history` are event texts in their stored form.
    `output` is JSON, or the plain text of a failure or reason.
    `next_generation` replaces the instance's history by a new generation's first message.
    `for_parent` is the text of the completion that a waiting parent gets.
    """

    now: datetime
    last_at: datetime
    status: Status = Status.Running
    history: list[str] = field(default_factory=list)
    activities: list[ActivityCall] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    children: list[ChildStart] = field(default_factory=list)
    custom_status: str | None = None
    output: str | None = None
    next_generation: Generation | None = None
    for_parent: str | None = None


def open_episode(instance: Instance, history: Sequence[str], messages: Sequence[str], now: datetime) -> Opening:
    """The context that the SDK gets for these messages.

    `history` and `messages` are event texts. `now` becomes the orchestrator's current_utc_datetime.
    Source: the recorded contexts of the engine; keys and constants are its own, spelling included.
    """
    new = (events.orchestrator_started(now), *messages)
    texts = ",".join((*history, *new))
    is_replaying = "true" if history else "false"
    parent_id = compact(instance.parent.instance_id) if instance.parent else "null"
    context = (
        f'{{"history":[{texts}],"input":{_input_json(instance.input_text)},"instanceId":{compact(instance.id)},'
        f'"isReplaying":{is_replaying},"parentInstanceId":{parent_id},"upperSchemaVersion":1,'
        '"upperSchemaVersionNew":3,"longRunningTimerIntervalDuration":"3.00:00:00",'
        '"maximumShortTimerDuration":"6.00:00:00","defaultHttpAsyncRequestSleepTimeMillseconds":30000}'
    )
    past = itertools.chain.from_iterable(map(events.read_row, history))
    return Opening(context, (*past, *map(events.read, events.parse(new))), new, now)


def _input_json(text: str | None) -> str:
    """The input as the context holds it: as it was stored, but for numbers too large to be one, which are texts.

    Source: recorded, start_extension_api: Newtonsoft reads 1e400 as Infinity, and writes that as a string.
    """
    if text is None:
        return "null"
    return compact(json.loads(text)) if _HUGE.search(text) else text


def orchestrator_missing(name: str, registry: Registry) -> Answer:
    """The answer for an instance whose orchestrator function this app has not; nothing is called for it."""
    return Answer(False, (), error=missing_function(name, "orchestrator", registry.orchestrators), raw=True)


def decide(instance: Instance, opening: Opening, answer: Answer, registry: Registry) -> Decision:
    """What follows from the SDK's answer."""
    started, *arrived = opening.new
    decision = Decision(opening.now, opening.now, history=[started, *map(events.played, arrived)])
    parent_id = instance.parent.instance_id if instance.parent else None
    play = Play(instance.id, instance.execution_id, parent_id, answer.actions, registry)
    # Without the SDK's state there is nothing to play; that it lacks what the history has is no news then.
    failure = answer.error if answer.raw else _status_failure(answer)
    if failure is None:
        decision.custom_status = answer.custom_status
        try:
            for event in opening.history:
                play.handle(event)
        except Fatal as fatal:
            failure = fatal.text
        _schedule(instance, decision, play, opening.history)
    _conclude(instance, decision, play, answer, failure)
    decision.history.append(events.orchestrator_completed(decision.last_at))
    return decision


def _status_failure(answer: Answer) -> str | None:
    """The failure of a custom status that is too large, judged before any action is played."""
    if answer.custom_status is None:
        return None
    size_kb = len(answer.custom_status.encode("utf-16-le")) // 1024
    if size_kb <= _STATUS_LIMIT_KB:
        return None
    return (
        f"The UTF-16 size of the JSON-serialized payload must not exceed {_STATUS_LIMIT_KB} KB. "
        f"The current payload size is {size_kb} KB."
    )


def _schedule(instance: Instance, decision: Decision, play: Play, history: Sequence[Event]) -> None:
    """Add what this episode decided: an event for the history, and the work behind it.

    The events' times are a microsecond apart: they tell the order of the ids, which showHistory leaves out.
    """
    for task_id, action, child_id in play.decisions(history):
        decision.last_at += timedelta(microseconds=1)
        now = decision.last_at
        match action:
            case CallActivity(name, input_text):
                decision.history.append(events.task_scheduled(now, task_id, name))
                decision.activities.append(ActivityCall(task_id, name, input_text))
            case CallSubOrchestrator(name, input_text, _, version):
                created = events.sub_orchestration_created(now, task_id, name, child_id, version)
                decision.history.append(created)
                parent = Parent(instance.name, instance.id, instance.execution_id, task_id, instance.version)
                # An SDK's input is JSON text, stored as a JSON string; no input is the text null.
                stored = compact("null" if input_text is None else input_text)
                decision.children.append(ChildStart(child_id, name, stored, version, parent))
            case _:
                decision.history.append(events.timer_created(now, task_id, action.fire_at))
                decision.timers.append(Timer(task_id, action.fire_at))


def _conclude(instance: Instance, decision: Decision, play: Play, answer: Answer, failure: str | None) -> None:
    """Set the instance's next status: it ends or continues as new only when no task is open."""
    prefix = f"Orchestrator function '{instance.name}' failed: "
    if failure is not None:
        decision.activities, decision.timers, decision.children = [], [], []
        text = failure if failure.startswith(NON_DETERMINISTIC) else prefix + failure
        _finish(instance, decision, play, Status.Failed, text, details=failure)
    elif play.terminated:
        _finish(instance, decision, play, Status.Terminated, play.reason)
    elif not play.is_settled:
        decision.status = Status.Suspended if play.suspended else Status.Running
        decision.output = play.reason  # Of the last suspend or resume, as Azure Storage keeps it.
    elif answer.error is not None:
        _finish(instance, decision, play, Status.Failed, prefix + answer.error, details=answer.error)
    elif answer.is_done and play.continued is not None:
        decision.next_generation = _next_generation(instance, play.continued, play.carried, decision.now)
    elif answer.is_done:
        _finish(instance, decision, play, Status.Completed, answer.output)


def _finish(
    instance: Instance, decision: Decision, play: Play, status: Status, output: str | None, details: str = ""
) -> None:
    decision.status, decision.output = status, output
    decision.history.append(events.execution_completed(decision.last_at, play.next_id, status, output))
    if instance.parent is None:
        return
    task_id = instance.parent.task_id
    if status is Status.Completed:
        decision.for_parent = events.sub_orchestration_completed(decision.now, task_id, output)
    else:
        # Source: recorded, e_sub_fail; the .NET stack that follows there is not made up here.
        text = f"Message: {details}, StackTrace: " if status is Status.Failed else None
        decision.for_parent = events.sub_orchestration_failed(decision.now, task_id, output, text)


def _next_generation(
    instance: Instance, action: ContinueAsNew, carried: Sequence[Event], now: datetime
) -> Generation:
    execution_id = uuid.uuid4().hex
    # The SDK hands over JSON text, which is stored as a JSON string, as a start through the SDK stores it.
    input_text = None if action.input_text is None else compact(action.input_text)
    started = events.execution_started(
        now,
        instance_id=instance.id,
        execution_id=execution_id,
        name=instance.name,
        input_text=input_text,
        generation=None,
        version=instance.version,
        parent=instance.parent,
    )
    raised = (events.event_raised(events.instant(e.timestamp), e.name or "", e.text or "null") for e in carried)
    # The first episode of such a generation finds itself closed already. Source: recorded, e_continue_as_new.
    opening = ",".join((started, *map(events.played, raised), events.orchestrator_completed(now)))
    return Generation(execution_id, input_text, opening)
