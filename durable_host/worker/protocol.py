"""What host and worker tell each other, and how it goes over a pipe.

Each message is a line of JSON; the bytes that it announces follow it, so that a body or an input is never encoded.
A worker is told `Init` once, answers `Ready`, and then each call with a `Result` or a `Failure` of the call's id.
Not here: who writes and reads the pipe (`dispatch.drivers`, `worker.__main__`), and what is done (`serving`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Pairs = tuple[tuple[str, str], ...]
_write = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Declared:
    """A function as the host found it, for the worker to load.

    Args:
        trigger: the name of the binding that starts it.
        bindings: name -> type and direction, in the order of its declaration.
    """

    name: str
    folder: str
    script: str
    entry_point: str
    trigger: str
    bindings: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Init:
    """Load an app.

    Args:
        functions: their declarations, each as `Declared` has it.
        environment: what to set.
        client: the text that a client binding (`starter`) receives.
        client_base: the URLs of the SDK's own calls begin so; they come as `ClientCall`.
        is_verbose: log records from DEBUG on are told, else from INFO on.
    """

    root: str
    functions: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, str]
    client: str
    client_base: str
    is_verbose: bool = False


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """Run one episode: `payload` is the durable context, JSON text, and so is the result's."""

    id: int
    function: str
    invocation_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Activity:
    """Run an activity: `payload` is its input, JSON text, and so is the result's."""

    id: int
    function: str
    invocation_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Run an HTTP function; `payload` is the body.

    Args:
        url: scheme, host, path as sent, and query string.
        headers, query: name and value as received, repeated ones one by one.
        route_params: what the route's match gave.
    """

    id: int
    function: str
    invocation_id: str
    method: str
    url: str
    headers: Pairs = ()
    query: Pairs = ()
    route_params: Mapping[str, str] = field(default_factory=dict)
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """The host's answer to a `ClientCall`: status, and JSON text or nothing."""

    id: int
    status: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """The app is loaded, but for the functions in `errors`: name -> type, text and stack, as in `Failure`."""

    errors: Mapping[str, tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class NotReady:
    """The app cannot be loaded at all."""

    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a call returned.

    Args:
        payload: the SDK's answer, an activity's result, or the body of an HTTP answer.
        outputs: what was written to output bindings, by name: text or parsed JSON.
        status, headers: of an HTTP answer; `headers` may name Set-Cookie more than once.
    """

    id: int
    payload: bytes
    outputs: Mapping[str, Any] = field(default_factory=dict)
    status: int = 0
    headers: Pairs = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A call raised: the exception's bare class name, its text, and its frames as Azure's worker prints them."""

    id: int
    type_name: str
    message: str
    stack: str


@dataclass(frozen=True, slots=True)
class ClientCall:
    """A call of the SDK's durable client, spared the way over HTTP; `payload` is JSON text or nothing."""

    id: int
    method: str
    url: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """A log record of the app: level as a number, seconds since 1970."""

    level: int
    logger: str
    text: str
    created_s: float


Call = Orchestrator | Activity | HttpRequest
ToWorker = Init | Call | Reply
ToHost = Ready | NotReady | Result | Failure | ClientCall | Log
Message = ToWorker | ToHost
_CLASSES: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        *(Init, Orchestrator, Activity, HttpRequest, Reply),
        *(Ready, NotReady, Result, Failure, ClientCall, Log),
    )
}
_FIELDS = {
    name: tuple(each.name for each in fields(cls) if each.name != "payload") for name, cls in _CLASSES.items()
}


def encode(message: Message) -> bytes:
    """A message as it goes over the pipe."""
    name = type(message).__name__
    payload: bytes | None = getattr(message, "payload", None)
    values = [getattr(message, each) for each in _FIELDS[name]]
    if payload is None:
        return f"{_write([name, -1, *values])}\n".encode()
    return f"{_write([name, len(payload), *values])}\n".encode() + payload


class Decoder:
    """Takes a pipe's bytes as they come, and gives the messages that are whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: list[Any] | None = None

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that end in `data`."""
        self._buffer += data
        start = 0
        while True:
            if self._head is None:
                end = self._buffer.find(b"\n", start)
                if end < 0:
                    break
                self._head = json.loads(self._buffer[start:end])
                start = end + 1
            name, size, *values = self._head
            if len(self._buffer) - start < size:
                break
            message = dict(zip(_FIELDS[name], values, strict=True))
            if size >= 0:
                message["payload"] = bytes(self._buffer[start : start + size])
                start += size
            self._head = None
            yield _CLASSES[name](**message)
        del self._buffer[:start]
