"""What host and worker tell each other: the functions to load, the calls, and what came of each.

Not here: how it is carried (`dispatch.workers`) and done (`loading`, `invoke`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


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
class HttpAnswer:
    """A response; `headers` may name Set-Cookie more than once."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ActivityResult:
    """What an activity returned, as compact JSON text, None for null.

    `outputs` are what it wrote to its output bindings, by name: text, bytes, or parsed JSON.
    """

    text: str | None
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HttpResult:
    """What an HTTP function answered, and what it wrote to its other output bindings."""

    answer: HttpAnswer
    outputs: Mapping[str, Any]
