"""What the SDK answers at the end of an episode, parsed: actions, output, custom status, error.

Not here: what the host makes of it (`episode`).
Source: OrchestratorState.to_json and models/actions of azure-functions-durable 1.7.0, replay schema V3.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from durable_host.errors import FunctionFailed, ProtocolError
from durable_host.values import JSON, compact, instant, is_too_deep, storable

_MARKER = "\n\n$OutOfProcData$:"
_DEEPEST = 100  # Of tasks within tasks; playing them takes Python's stack.
_LONGEST_DELAY = timedelta(days=6)  # Source: the engine's default maxRetryInterval.
# What reading a text raises that is not the SDK's state.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts in all, and the wait after each that failed: the SDK sends no backoff."""

    max_attempts: int
    delay: timedelta


@dataclass(frozen=True, slots=True)
class CallActivity:
    """`call_activity`, with its retries if it has any; `input_text` is JSON."""

    name: str
    input_text: str | None
    retry: RetryPolicy | None


@dataclass(frozen=True, slots=True)
class CallSubOrchestrator:
    """`call_sub_orchestrator`; no instance id means that the host makes one."""

    name: str
    input_text: str | None
    instance_id: str | None
    version: str | None
    retry: RetryPolicy | None


@dataclass(frozen=True, slots=True)
class CreateTimer:
    """`create_timer`; cancelled once the orchestrator no longer waits for it."""

    fire_at: datetime
    is_canceled: bool


@dataclass(frozen=True, slots=True)
class WaitForExternalEvent:
    """`wait_for_external_event`."""

    name: str


@dataclass(frozen=True, slots=True)
class ContinueAsNew:
    """`continue_as_new`; `input_text` is the JSON text of the next input."""

    input_text: str | None


@dataclass(frozen=True, slots=True)
class WhenAll:
    """`task_all`, and what the SDK wraps into one: retries, timers longer than six days."""

    children: tuple["Action", ...]


@dataclass(frozen=True, slots=True)
class WhenAny:
    """`task_any`."""

    children: tuple["Action", ...]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A call that this host refuses, by the name that the user wrote."""

    call: str


Action = (
    CallActivity
    | CallSubOrchestrator
    | CreateTimer
    | WaitForExternalEvent
    | ContinueAsNew
    | WhenAll
    | WhenAny
    | Unsupported
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The SDK's answer to one episode.

    `output` and `custom_status` are JSON texts, None when the SDK left them out. `error` is the whole text of a
    failure; `raw` says that it came without the SDK's state, so that nothing else of the answer is known.
    """

    is_done: bool
    actions: tuple[Action, ...]
    output: str | None = None
    custom_status: str | None = None
    error: str | None = None
    raw: bool = False


def parse_answer(text: str) -> Answer:
    """The answer of an orchestrator function that returned.

    Raises: ProtocolError when `text` is not the SDK's JSON, as of a function that is no orchestrator.
    """
    try:
        return _answer(json.loads(text))
    except _MALFORMED as error:
        problem = f"expected the JSON of an orchestrator's state, found {text[:80]!r}"
        raise ProtocolError(f"{problem} ({type(error).__name__}: {error})") from None


def parse_failure(failure: FunctionFailed) -> Answer:
    """The answer of an orchestrator function that raised: the SDK hides its state in the exception's text.

    The engine takes the state only when it is not done; else the failure is the worker's raw text.
    Source: Orchestrator.handle raises f"{exception}\\n\\n$OutOfProcData$:{state}". The exception's own text may
    hold the marker too, so the last one counts. Recorded: e_bad_return, e_yield_non_task.
    """
    _, marker, state = failure.message.rpartition(_MARKER)
    if marker:
        with suppress(*_MALFORMED):
            answer = _answer(json.loads(state))
            if not answer.is_done and answer.error is not None:
                return answer
    text = f"Result: Failure\nException: {failure.type_name}: {failure.message}\nStack: {failure.stack}"
    return Answer(False, (), error=storable(f"One or more errors occurred. ({text})"), raw=True)


def _answer(state: JSON) -> Answer:
    (actions,) = state["actions"]
    return Answer(
        is_done=state["isDone"] is True,
        actions=tuple(_action(action) for action in actions),
        output=_kept(state["output"]) if "output" in state else None,
        custom_status=_kept(state["customStatus"]) if "customStatus" in state else None,
        error=_text(state["error"]) if state.get("error") else None,
    )


def _kept(value: JSON) -> str:
    text = compact(value)
    if is_too_deep(value, text):
        raise ValueError("its output or custom status is nested too deeply to be kept")
    return text


def _action(action: JSON, depth: int = 0) -> Action:
    if depth > _DEEPEST:
        raise ValueError(f"its tasks are nested deeper than {_DEEPEST}")
    match action["actionType"]:
        case 0 | 1:
            return CallActivity(_text(action["functionName"]), _text_or_none(action["input"]), _retry(action))
        case 2 | 3:
            return CallSubOrchestrator(
                _text(action["functionName"]),
                _text_or_none(action["input"]),
                _text_or_none(action["instanceId"]),
                _text_or_none(action.get("version")),
                _retry(action),
            )
        case 4:
            return ContinueAsNew(_text_or_none(action["input"]))
        case 5:
            return CreateTimer(_fire_at(action["fireAt"]), action["isCanceled"] is True)
        case 6:
            return WaitForExternalEvent(_text(action["externalEventName"]))
        case 11:
            return WhenAny(tuple(_action(child, depth + 1) for child in action["compoundActions"]))
        case 12:
            return WhenAll(tuple(_action(child, depth + 1) for child in action["compoundActions"]))
        case number:
            return Unsupported(_UNSUPPORTED[number])


def _text(value: JSON) -> str:
    """A text as the hub can hold it. The SDK passes on as a name or an id whatever the user gave it."""
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {value!r:.80}")
    return storable(value)


def _text_or_none(value: JSON) -> str | None:
    return None if value is None else _text(value)


def _fire_at(value: JSON) -> datetime:
    at = instant(value)
    if at.utcoffset() is None:
        raise ValueError(f"expected an instant with its offset, found {value!r:.80}")
    return at.astimezone(UTC)


_UNSUPPORTED = {7: "call_entity", 8: "call_http", 9: "signal_entity", 10: "signal_entity"}


def _retry(action: JSON) -> RetryPolicy | None:
    options = action.get("retryOptions")
    if options is None:
        return None
    first_interval = timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"])
    return RetryPolicy(int(options["maxNumberOfAttempts"]), min(max(first_interval, timedelta(0)), _LONGEST_DELAY))
