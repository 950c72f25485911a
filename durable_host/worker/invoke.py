"""Calls one function: trigger data in, output bindings out, as the Functions host and its Python worker do.

Not here: which function to call and when (`server`, `dispatcher`), and what an activity's failure looks like then.
Source: azure-functions-python-worker 4.34, dispatcher.py; azure-functions-host 4.1037, WorkerFunctionInvoker.
"""

import asyncio
import base64
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from azure.functions.meta import Datum

from durable_host.dispatch import twilio_sms
from durable_host.errors import FunctionFailed
from durable_host.functions.triggers import FunctionApp
from durable_host.http.answers import HttpAnswer, http_answer
from durable_host.values import compact, is_too_deep
from durable_host.worker.converters import decode, encode
from durable_host.worker.entry_points import EntryPoint
from durable_host.worker.function_json import Function
from durable_host.worker.threads import Threads
from durable_host.worker.tracebacks import failed


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request for an HTTP function.

    Args:
        url: scheme, host, path as sent, and query string.
        headers, query: name and value as received, repeated ones one by one.
        route_params: what the route's match gave.
        body: dropped without a Content-Length: a chunked body does not reach a function on Azure either.
    """

    method: str
    url: str
    headers: Iterable[tuple[str, str]] = ()
    query: Iterable[tuple[str, str]] = ()
    route_params: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


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


class Bindings:
    """Calls the functions of an app.

    Args:
        pool: where synchronous functions, and the sending of an SMS, run.
        client_json: makes the text that a client binding (`starter`) receives, at each call.
    """

    def __init__(self, app: FunctionApp, pool: Executor, client_json: Callable[[], str]) -> None:
        self._app = app
        self._threads = Threads(pool)
        self._client_json = client_json

    def run_orchestrator(self, function: Function, context_json: str, invocation_id: str | None = None) -> str:
        """One episode, run inline: the durable context in, the SDK's answer out, both JSON text.

        Raises: FunctionFailed.
        """
        entry = _entry(function)
        with _reporting():
            answer = entry.main(**self._arguments(function, entry, Datum(context_json, "string"), invocation_id))
        if not isinstance(answer, str):
            if asyncio.iscoroutine(answer):
                answer.close()
            raise FunctionFailed(
                "TypeError",
                f"the entry point of orchestrator '{function.name}' must be what df.Orchestrator.create returns, "
                f"but it returned {type(answer).__name__}",
            )
        return answer

    async def run_activity(
        self, function: Function, input_text: str | None, invocation_id: str | None = None
    ) -> str | None:
        """One activity: JSON text in (None is null), compact JSON text out (None for null).

        Raises: FunctionFailed.
        """
        data = Datum("null" if input_text is None else input_text, "string")
        outcome = await self._invoke(function, data, invocation_id)
        with _reporting():
            return _result_text(outcome.returned)

    async def run_http(self, function: Function, call: HttpCall, invocation_id: str | None = None) -> HttpAnswer:
        """One HTTP function. Raises: FunctionFailed, for which the host answers 500 without a body."""
        outcome = await self._invoke(function, _request(call), invocation_id)
        output = next((b.name for b in function.bindings if b.type == "http"), "$return")
        with _reporting():
            return http_answer(outcome.returned if output == "$return" else outcome.written.get(output))

    async def _invoke(self, function: Function, data: Datum, invocation_id: str | None) -> "_Outcome":
        entry = _entry(function)
        with _reporting():
            arguments = self._arguments(function, entry, data, invocation_id)
        if entry.is_async:
            with _reporting():
                # A task of its own: when a function cancels its task, that is not the host's stop.
                result = await asyncio.create_task(_awaited(entry.main, arguments))
        else:
            result = await self._threads.run(_called, entry.main, arguments)
        with _reporting():
            outcome = _outcome(function, entry, arguments, result)
        for binding in function.bindings:
            if binding.type == "twilioSms" and binding.name in outcome.written:
                value = outcome.written[binding.name].value
                await self._threads.run(twilio_sms.send, binding.properties, value, self._app.twilio)
        return outcome

    def _arguments(
        self, function: Function, entry: EntryPoint, data: Datum, invocation_id: str | None
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {name: Out() for name in entry.outputs}
        for name, kind in entry.inputs.items():
            is_trigger = name == function.trigger.name
            arguments[name] = decode(kind, data if is_trigger else Datum(self._client_json(), "string"))
        if entry.takes_context:
            call_id = invocation_id or str(uuid.uuid4())
            arguments["context"] = Context(function.name, str(function.folder), call_id, CallStorage(call_id))
        return arguments


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a call returned, and what it wrote to its output bindings, by binding name."""

    returned: Datum | None
    written: Mapping[str, Datum]


def _entry(function: Function) -> EntryPoint:
    if function.entry is None:
        assert function.load_error is not None
        raise FunctionFailed(function.load_error.type_name, function.load_error.message, function.load_error.stack)
    return function.entry


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


def _outcome(function: Function, entry: EntryPoint, arguments: Mapping[str, Any], result: Any) -> _Outcome:
    if entry.returns is None and result is not None:
        # The missing blank is the worker's.
        raise RuntimeError(f"function {function.name!r} without a $return bindingreturned a non-None value")
    values = {name: arguments[name].get() for name in entry.outputs}
    written = {name: encode(entry.outputs[name], value) for name, value in values.items() if value is not None}
    returned = None if entry.returns is None else encode(entry.returns, result)
    if any(binding.name == "$return" for binding in function.bindings):
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
