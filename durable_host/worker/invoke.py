"""Calls one function: trigger data in, what it returned and wrote to its output bindings out.

Not here: which function to call and when, and what becomes of its outputs (the host's `dispatch`).
Source: azure-functions-python-worker 4.34, dispatcher.py; azure-functions-host 4.1037, WorkerFunctionInvoker.
"""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from azure.functions.meta import Datum

from durable_host.errors import FunctionFailed
from durable_host.values import compact, is_too_deep
from durable_host.worker.converters import decode, encode
from durable_host.worker.entry_points import EntryPoint
from durable_host.worker.http_answers import http_answer
from durable_host.worker.loading import Loaded
from durable_host.worker.protocol import Activity, Call, Declared, HttpRequest, Orchestrator, Result
from durable_host.worker.tracebacks import failed


@dataclass(frozen=True, slots=True)
class TraceContext:
    """No tracing is on: all is empty."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetryContext:
    """The host's own retries (not the durable ones) do not exist for these triggers."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


class CallStorage(threading.local):
    """Knows the invocation's id in every thread, so that the app's own threads may log under it."""

    def __init__(self, invocation_id: str) -> None:
        self.invocation_id = invocation_id


@dataclass(frozen=True, slots=True)
class Context:
    """What a parameter `context: func.Context` receives."""

    function_name: str
    function_directory: str
    invocation_id: str
    thread_local_storage: CallStorage
    trace_context: TraceContext = TraceContext()
    retry_context: RetryContext = RetryContext()


class Out:
    """What an output parameter `func.Out[...]` receives; the last value set counts."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, value: Any) -> None:
        """Set the output; None sends nothing."""
        self._value = value

    def get(self) -> Any:
        """The value last set."""
        return self._value


class Functions:
    """An app's functions, loaded.

    Args:
        client: the text that a client binding (`starter`) receives.
    """

    def __init__(self, loaded: Mapping[str, Loaded], client: str) -> None:
        self._loaded = loaded
        self._client = Datum(client, "string")

    def is_async(self, name: str) -> bool:
        """Whether a function is a coroutine function, which runs in the event loop."""
        entry = self._loaded[name].entry
        return entry is not None and entry.is_async

    def run(self, call: Call) -> Result:
        """Call a function that is not a coroutine function; an orchestrator is none, whatever it is.

        Raises: FunctionFailed.
        """
        with _reporting():
            declared, entry, arguments = self._prepared(call)
            return _result(call, declared, entry, arguments, entry.main(**arguments))

    async def run_async(self, call: Call) -> Result:
        """Call a coroutine function. Raises: FunctionFailed."""
        with _reporting():
            declared, entry, arguments = self._prepared(call)
            # A task of its own: when a function cancels its task, that is not the host's stop.
            returned = await asyncio.create_task(_awaited(entry.main, arguments))
            return _result(call, declared, entry, arguments, returned)

    def _prepared(self, call: Call) -> tuple[Declared, EntryPoint, dict[str, Any]]:
        loaded = self._loaded[call.function]
        declared, entry = loaded.declared, loaded.entry
        if entry is None:
            error = loaded.error
            assert error is not None
            raise FunctionFailed(error.type_name, error.message, error.stack)
        arguments: dict[str, Any] = {name: Out() for name in entry.outputs}
        for name, kind in entry.inputs.items():
            arguments[name] = decode(kind, _given(call) if name == declared.trigger else self._client)
        if entry.takes_context:
            storage = CallStorage(call.invocation_id)
            arguments["context"] = Context(declared.name, declared.folder, call.invocation_id, storage)
        return declared, entry, arguments


def _given(call: Call) -> Datum:
    """What the trigger's parameter is made of."""
    return _request(call) if isinstance(call, HttpRequest) else Datum(call.payload.decode(), "string")


def _result(
    call: Call, declared: Declared, entry: EntryPoint, arguments: Mapping[str, Any], returned: Any
) -> Result:
    if isinstance(call, Orchestrator):
        return Result(call.id, _orchestrator_state(call.function, returned))
    outcome = _outcome(declared, entry, arguments, returned)
    # An HTTP response is told by itself.
    others = [name for name in outcome.written if declared.bindings.get(name, ("", ""))[0] != "http"]
    outputs = {name: _plain(outcome.written[name].value) for name in others}
    if isinstance(call, Activity):
        return Result(call.id, _result_text(outcome.returned), outputs)
    output = next((name for name, (kind, _) in declared.bindings.items() if kind == "http"), "$return")
    answer = http_answer(outcome.returned if output == "$return" else outcome.written.get(output))
    return Result(call.id, answer.body, outputs, answer.status, answer.headers)


def _orchestrator_state(name: str, returned: Any) -> bytes:
    if isinstance(returned, str):
        return returned.encode("utf-8", "surrogatepass")
    if asyncio.iscoroutine(returned):
        returned.close()
    raise FunctionFailed(
        "TypeError",
        f"the entry point of orchestrator '{name}' must be what df.Orchestrator.create returns, "
        f"but it returned {type(returned).__name__}",
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a call returned, and what it wrote to its output bindings, by binding name."""

    returned: Datum | None
    written: Mapping[str, Datum]


@contextmanager
def _reporting() -> Iterator[None]:
    """The app's code runs in here, or a converter on its values: whatever they raise is the function's failure."""
    try:
        yield
    except FunctionFailed:
        raise  # Reported already.
    # sys.exit() in a function must not end the host, nor may its own cancellation pass for the host's.
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
            raise
        raise failed(error) from None


def _is_being_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # In a thread of the pool, which nobody cancels.
        return False
    return task is not None and task.cancelling() > 0


async def _awaited(main: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    # Reported in the task: SystemExit out of a task would end the host.
    with _reporting():
        return await main(**arguments)


def _outcome(declared: Declared, entry: EntryPoint, arguments: Mapping[str, Any], result: Any) -> _Outcome:
    if entry.returns is None and result is not None:
        # The missing blank is the worker's.
        raise RuntimeError(f"function {declared.name!r} without a $return bindingreturned a non-None value")
    values = {name: arguments[name].get() for name in entry.outputs}
    written = {name: encode(entry.outputs[name], value) for name, value in values.items() if value is not None}
    returned = None if entry.returns is None else encode(entry.returns, result)
    if "$return" in declared.bindings:
        written |= {"$return": returned} if returned and returned.type else {}
    elif entry.outputs and isinstance(result, dict):
        # The host takes the keys of a returned object for output bindings, over what was set.
        named = {name: result.get(name) for name in entry.outputs}
        written |= {name: encode("generic", value) for name, value in named.items() if value is not None}
    return _Outcome(returned, written)


def _plain(value: Any) -> Any:
    """What was written to an output binding, as text or parsed JSON. Raises: TypeError for what is neither."""
    return value.decode(errors="replace") if isinstance(value, bytes) else json.loads(json.dumps(value))


def _result_text(data: Datum | None) -> bytes:
    """An activity's result as Newtonsoft writes it: compact, non-ASCII as it is, NaN and Infinity as strings."""
    if data is None or data.type is None:
        return b"null"
    value = base64.b64encode(data.value).decode() if data.type == "bytes" else data.value
    text = value if data.type == "json" else json.dumps(value)
    parsed = json.loads(text, parse_constant=str)
    if is_too_deep(parsed, text):
        raise ValueError("the result is nested too deeply to be kept")
    return compact(parsed).encode()


def _request(call: HttpRequest) -> Datum:
    """Source: azure-functions-host 4.1037, GrpcMessageConversionExtensions."""
    headers = {name.lower(): value for name, value in _joined(call.headers).items()}
    # A parameter without a value does not arrive.
    query = {name: value for name, value in _joined(call.query).items() if value}
    request: dict[str, Any] = {
        "method": Datum(call.method, "string"),
        "url": Datum(call.url, "string"),
        # Without a length there is no body: a chunked one does not reach a function on Azure either.
        "body": Datum(call.payload if "content-length" in headers else b"", "bytes"),
    }
    for part, values in (("headers", headers), ("query", query), ("params", call.route_params)):
        request[part] = {name: Datum(value, "string") for name, value in values.items()}
    return Datum(request, "http")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value a name, whatever its letter case; repeated ones joined by a comma without a blank."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(names.setdefault(name.lower(), name), []).append(value)
    return {name: ",".join(several) for name, several in values.items()}
