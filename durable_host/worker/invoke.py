"""Calls one function: trigger data in, what it returned and wrote to its output bindings out.

Not here: which function to call and when, and what becomes of its outputs (the host's `dispatch`).
Source: azure-functions-python-worker 4.34, dispatcher.py; azure-functions-host 4.1037, WorkerFunctionInvoker.
"""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
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
from durable_host.worker.protocol import ActivityResult, Declared, HttpCall, HttpResult
from durable_host.worker.threads import Threads
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


class Invoker:
    """Calls the functions of an app.

    Args:
        functions: by name.
        pool: where synchronous functions run.
        client_json: makes the text that a client binding (`starter`) receives, at each call.
    """

    def __init__(self, functions: Mapping[str, Loaded], pool: Executor, client_json: Callable[[], str]) -> None:
        self._functions = functions
        self._threads = Threads(pool)
        self._client_json = client_json

    def run_orchestrator(self, name: str, context_json: str, invocation_id: str) -> str:
        """One episode, run inline: the durable context in, the SDK's answer out, both JSON text.

        Raises: FunctionFailed.
        """
        declared, entry = self._found(name)
        with _reporting():
            arguments = self._arguments(declared, entry, Datum(context_json, "string"), invocation_id)
            answer = entry.main(**arguments)
        if not isinstance(answer, str):
            if asyncio.iscoroutine(answer):
                answer.close()
            raise FunctionFailed(
                "TypeError",
                f"the entry point of orchestrator '{name}' must be what df.Orchestrator.create returns, "
                f"but it returned {type(answer).__name__}",
            )
        return answer

    async def run_activity(self, name: str, input_text: str | None, invocation_id: str) -> ActivityResult:
        """One activity: JSON text in, None is null.

        Raises: FunctionFailed.
        """
        data = Datum("null" if input_text is None else input_text, "string")
        outcome = await self._invoke(name, data, invocation_id)
        with _reporting():
            return ActivityResult(_result_text(outcome.returned), outcome.outputs)

    async def run_http(self, name: str, call: HttpCall, invocation_id: str) -> HttpResult:
        """One HTTP function. Raises: FunctionFailed."""
        outcome = await self._invoke(name, _request(call), invocation_id)
        bindings = self._functions[name].declared.bindings
        output = next((each for each, (kind, _) in bindings.items() if kind == "http"), "$return")
        with _reporting():
            answer = http_answer(outcome.returned if output == "$return" else outcome.written.get(output))
        return HttpResult(answer, outcome.outputs)

    def _found(self, name: str) -> tuple[Declared, EntryPoint]:
        loaded = self._functions[name]
        if loaded.entry is None:
            error = loaded.error
            assert error is not None
            raise FunctionFailed(error.type_name, error.message, error.stack)
        return loaded.declared, loaded.entry

    async def _invoke(self, name: str, data: Datum, invocation_id: str) -> "_Outcome":
        declared, entry = self._found(name)
        with _reporting():
            arguments = self._arguments(declared, entry, data, invocation_id)
        if entry.is_async:
            with _reporting():
                # A task of its own: when a function cancels its task, that is not the host's stop.
                result = await asyncio.create_task(_awaited(entry.main, arguments))
        else:
            result = await self._threads.run(_called, entry.main, arguments)
        with _reporting():
            return _outcome(declared, entry, arguments, result)

    def _arguments(self, declared: Declared, entry: EntryPoint, data: Datum, invocation_id: str) -> dict[str, Any]:
        arguments: dict[str, Any] = {name: Out() for name in entry.outputs}
        for name, kind in entry.inputs.items():
            is_trigger = name == declared.trigger
            arguments[name] = decode(kind, data if is_trigger else Datum(self._client_json(), "string"))
        if entry.takes_context:
            storage = CallStorage(invocation_id)
            arguments["context"] = Context(declared.name, declared.folder, invocation_id, storage)
        return arguments


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a call returned, and what it wrote to its output bindings, by binding name."""

    returned: Datum | None
    written: Mapping[str, Datum]

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What was written, without the worker's types; an HTTP response is told by itself."""
        return {name: data.value for name, data in self.written.items() if data.type != "http"}


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


def _called(main: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    # Reported in the thread: a future cannot carry StopIteration, and SystemExit would end the host.
    with _reporting():
        return main(**arguments)


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


def _result_text(data: Datum | None) -> str | None:
    """An activity's result as Newtonsoft writes it: compact, non-ASCII as it is, NaN and Infinity as strings."""
    if data is None or data.type is None:
        return None
    value = base64.b64encode(data.value).decode() if data.type == "bytes" else data.value
    text = value if data.type == "json" else json.dumps(value)
    parsed = json.loads(text, parse_constant=str)
    if is_too_deep(parsed, text):
        raise ValueError("the result is nested too deeply to be kept")
    return None if parsed is None else compact(parsed)


def _request(call: HttpCall) -> Datum:
    """Source: azure-functions-host 4.1037, GrpcMessageConversionExtensions."""
    headers = {name.lower(): value for name, value in _joined(call.headers).items()}
    # A parameter without a value does not arrive.
    query = {name: value for name, value in _joined(call.query).items() if value}
    request: dict[str, Any] = {
        "method": Datum(call.method, "string"),
        "url": Datum(call.url, "string"),
        "body": Datum(call.body if "content-length" in headers else b"", "bytes"),
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
