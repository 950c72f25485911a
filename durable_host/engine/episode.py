"""One episode of one instance, decided: (instance, history, messages, now, the SDK's answer) -> what to commit.

Not here: calling the function, storing the outcome, and which action gets which id (`play`). No clock, no file.
Source: TaskOrchestrationExecutor and TaskOrchestrationShim of the engine, as recorded (durable extension 3.19.0).
"""

import itertools
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from durable_host.engine import events
from durable_host.engine.actions import Answer, CallActivity, CallSubOrchestrator, ContinueAsNew
from durable_host.engine.determinism import NON_DETERMINISTIC
from durable_host.engine.events import Event, EventType, Parent, Status
from durable_host.engine.play import Fatal, Play
from durable_host.engine.registry import HTTP_SLEEP_MS, Options, Registry, missing_function
from durable_host.values import compact, instant

_STATUS_LIMIT_KB = 16
# The engine's stack of a failed sub-orchestration, whatever failed in it. Source: recorded, c_chain_1.
_STACK = (
    "   at Microsoft.Azure.WebJobs.Extensions.DurableTask.TaskOrchestrationShim.InvokeUserCodeAndHandleResults("
    "RegisteredFunctionInfo orchestratorInfo, OrchestrationContext innerContext) in "
    "/_/src/WebJobs.Extensions.DurableTask/Listener/TaskOrchestrationShim.cs:line 148"
)
_MIXED_UP = (
    "{}: {} caught a failure in a task_all while a retry in it went on. What it asked for next gets the retry's "
    "result, here as on Azure: wait for the retry in a try of its own."
)
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

    @property
    def source_id(self) -> str | None:
        """The instance that this one restarts under another id."""
        return _source_id(self.history)


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
    `for_parent` is the text of the completion that a waiting parent gets. `warnings` are lines for the console.
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
    warnings: list[str] = field(default_factory=list)


def open_episode(
    instance: Instance,
    history: Sequence[str],
    messages: Sequence[str],
    now: datetime,
    http_sleep_ms: int = HTTP_SLEEP_MS,
) -> Opening:
    """The context that the SDK gets for these messages.

    `history` and `messages` are event texts. `now` becomes the orchestrator's current_utc_datetime, and
    `http_sleep_ms` is host.json's wait between polls of call_http.
    Source: the recorded contexts of the engine; keys and constants are its own, spelling included.
    """
    new = (events.orchestrator_started(now), *messages)
    texts = ",".join((*history, *new))
    is_replaying = "true" if history else "false"
    parent_id = compact(instance.parent.instance_id) if instance.parent else "null"
    past = itertools.chain.from_iterable(map(events.read_row, history))
    read = (*past, *map(events.read, events.parse(new)))
    source_id = _source_id(read)
    context = (
        f'{{"history":[{texts}],"input":{_input_json(instance.input_text)},"instanceId":{compact(instance.id)},'
        f'"isReplaying":{is_replaying},"parentInstanceId":{parent_id},"sourceInstanceId":{compact(source_id)},'
        '"upperSchemaVersion":1,"upperSchemaVersionNew":3,"longRunningTimerIntervalDuration":"3.00:00:00",'
        '"maximumShortTimerDuration":"6.00:00:00","defaultHttpAsyncRequestSleepTimeMillseconds":'
        f"{http_sleep_ms}}}"
    )
    return Opening(context, read, new, now)


def _source_id(history: Sequence[Event]) -> str | None:
    return next((event.source_id for event in history if event.type is EventType.EXECUTION_STARTED), None)


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
        _schedule(instance, decision, play, opening.history, registry.options)
        if play.is_mixed_up and _has_new_failure(opening.history):
            decision.warnings.append(_MIXED_UP.format(instance.id, instance.name))
    _conclude(instance, decision, play, answer, failure, opening)
    decision.history.append(events.orchestrator_completed(decision.last_at))
    return decision


def _has_new_failure(history: Sequence[Event]) -> bool:
    """Whether a call has failed since the last episode."""
    new = itertools.takewhile(lambda event: event.type is not EventType.ORCHESTRATOR_STARTED, reversed(history))
    failures = (EventType.TASK_FAILED, EventType.SUB_ORCHESTRATION_INSTANCE_FAILED)
    return any(event.type in failures for event in new)


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


def _schedule(
    instance: Instance, decision: Decision, play: Play, history: Sequence[Event], options: Options
) -> None:
    """Add what this episode decided: an event for the history, and the work behind it.

    The events' times are a microsecond apart: they tell the order of the ids, which showHistory leaves out.
    """
    for task_id, action, child_id in play.decisions(history):
        decision.last_at += timedelta(microseconds=1)
        now = decision.last_at
        match action:
            case CallActivity(name, input_text):
                shown = compact([input_text]) if options.store_inputs else None
                decision.history.append(events.task_scheduled(now, task_id, name, shown))
                decision.activities.append(ActivityCall(task_id, name, input_text))
            case CallSubOrchestrator(name, input_text, _, version):
                version = options.default_version if version is None else version
                shown = compact([input_text]) if options.store_inputs else None
                created = events.sub_orchestration_created(now, task_id, name, child_id, version, shown)
                decision.history.append(created)
                parent = Parent(instance.name, instance.id, instance.execution_id, task_id, instance.version)
                # An SDK's input is JSON text, stored as a JSON string; no input is the text null.
                stored = compact("null" if input_text is None else input_text)
                decision.children.append(ChildStart(child_id, name, stored, version, parent))
            case _:
                decision.history.append(events.timer_created(now, task_id, action.fire_at))
                decision.timers.append(Timer(task_id, action.fire_at))


def _conclude(
    instance: Instance, decision: Decision, play: Play, answer: Answer, failure: str | None, opening: Opening
) -> None:
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
    elif answer.is_done and play.continued is not None and play.suspended:
        # It came with what led to the next generation, which begins when the instance is resumed.
        decision.status, decision.output = Status.Suspended, play.reason
    elif answer.is_done and play.continued is not None:
        decision.next_generation = _next_generation(instance, play.continued, play.carried, opening)
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
        text = f"Message: {details}, StackTrace: {_STACK}" if status is Status.Failed else None
        decision.for_parent = events.sub_orchestration_failed(decision.now, task_id, output, text)


def _next_generation(
    instance: Instance, action: ContinueAsNew, carried: Sequence[Event], opening: Opening
) -> Generation:
    now = opening.now
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
        source_id=opening.source_id,
    )
    raised = (events.event_raised(instant(e.timestamp), e.name or "", e.text or "null") for e in carried)
    # The first episode of such a generation finds itself closed already. Source: recorded, e_continue_as_new.
    first = ",".join((started, *map(events.played, raised), events.orchestrator_completed(now)))
    return Generation(execution_id, input_text, first)
