"""The one place that touches the inside of azure-functions-durable: what slows it, warns, and keeps a session.

Each function here asks the SDK for the attribute that it needs, never for its version; without it the SDK is left
as it is.
Not here: what the SDK is given and answers (`episode`, `actions`).
Source: HistoryEvent.py, TaskOrchestrationExecutor.py and http_utils.py, azure-functions-durable 1.7.0.
"""

import functools
import importlib
import inspect
import json
import logging
import os
import sys
import warnings
from collections import namedtuple
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any

from durable_host.worker.protocol import Reply

# Regular expressions for the beginnings of the warnings that are normal here, on any Python and with any library
# that the app may have. Where warnings are errors, each of them would fail a function.
NORMAL_WARNINGS = (
    "Your application uses the legacy Python v1 programming model",  # The SDK, at import, for function.json.
    "Potential duplicate Task completion",  # The SDK, at each event that no task waits for, at every replay.
    "enable_cleanup_closed ignored",  # aiohttp 3.11, for the SDK's own session, since Python 3.12.8 and 3.13.1.
    "azure.functions (df_loads|Durable JSON codec)",  # azure-functions 1.26 and 2, for how the SDK reads JSON.
)
# As .NET writes them: with up to seven digits of a second, from the first year on.
_TIMESTAMPS = (
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.6Z",
    "2026-01-02T03:04:05.123456Z",
    "2026-12-31T23:59:59.9999999Z",
    "0001-01-01T00:00:00.0000001+00:00",
)
Asking = Callable[..., Awaitable[Any]]
Ask = Callable[[str, str, bytes], Awaitable[Reply]]  # Method, URL and JSON text.
_CLIENT = "DurableOrchestrationClient"
log = logging.getLogger(__name__)


def preload() -> str | None:
    """Import the SDK before an app asks for it; the problem, when this interpreter has none.

    It takes most of a worker's start, and needs nothing of the app.
    """
    quiet_warnings()
    try:
        importlib.import_module("azure.durable_functions")
    except ImportError as error:
        return f"{sys.executable} lacks the app's requirements ({error})."
    return None


def quiet_warnings() -> Callable[[], None]:
    """Silence the warnings that are normal here; returns what undoes it. Before the app is loaded."""
    ours = []
    for text in NORMAL_WARNINGS:
        warnings.filterwarnings("ignore", text)
        ours.append(warnings.filters[0])

    def undo() -> None:
        for each in ours:
            if each in warnings.filters:
                warnings.filters.remove(each)  # type: ignore[attr-defined]

    return undo


def speed_up_replay() -> Callable[[], None]:
    """Spare the SDK its two costs that are not replay; returns what undoes it. Once the app is loaded.

    It reads each event's timestamp, at every replay, with dateutil, which takes most of a replay's time. The
    standard library's ISO parser agrees with it on all that .NET writes, and cuts digits past the microsecond too.
    And it defines the same named tuple's class anew at each replay, which takes a sixth of what then remains.
    DURABLE_HOST_FAST_REPLAY=0 leaves the SDK as it is. An SDK whose inside differs is left alone too, and the log
    says so.
    """
    if os.environ.get("DURABLE_HOST_FAST_REPLAY") == "0" or "azure.durable_functions" not in sys.modules:
        return lambda: None
    undo = [
        # The package exports the classes under their modules' names, so the modules are only to be had here.
        _replace("models.history.HistoryEvent", "dt_parse", _reads_timestamps, lambda _: datetime.fromisoformat),
        _replace(
            "models.TaskOrchestrationExecutor",
            "namedtuple",
            lambda theirs: getattr(theirs, "__wrapped__", theirs) is namedtuple,
            lambda _: functools.cache(namedtuple),
        ),
    ]

    def undo_all() -> None:
        for each in undo:
            each()

    return undo_all


def speed_up_client(base: str, ask: Ask) -> Callable[[], None]:
    """Have the SDK's durable client speak to the host by `ask`, not over HTTP; returns what undoes it.

    Only of URLs that begin with `base`; others go where they went. DURABLE_HOST_FAST_CLIENT=0 leaves the SDK as it
    is, and so does an SDK whose inside differs.
    """
    if os.environ.get("DURABLE_HOST_FAST_CLIENT") == "0" or "azure.durable_functions" not in sys.modules:
        return lambda: None

    undo = [
        _replace(f"models.{_CLIENT}", name, inspect.iscoroutinefunction, partial(making, base, ask))
        for name, making in (
            ("post_async_request", _posting),
            ("get_async_request", _getting),
            ("delete_async_request", _deleting),
        )
    ]

    def undo_all() -> None:
        for each in undo:
            each()

    return undo_all


def _posting(base: str, ask: Ask, theirs: Asking) -> Asking:
    async def post(url: str, data: object = None, *args: Any, **kwargs: Any) -> Any:
        if not url.startswith(base):
            return await theirs(url, data, *args, **kwargs)
        # As aiohttp does with `json=None`.
        return _shown(await ask("POST", url, b"" if data is None else json.dumps(data).encode()))

    return post


def _getting(base: str, ask: Ask, theirs: Asking) -> Asking:
    async def get(url: str, *args: Any, **kwargs: Any) -> Any:
        if not url.startswith(base):
            return await theirs(url, *args, **kwargs)
        status, data = _shown(await ask("GET", url, b""))
        return [status, "" if data is None else data]

    return get


def _deleting(base: str, ask: Ask, theirs: Asking) -> Asking:
    async def delete(url: str, *args: Any, **kwargs: Any) -> Any:
        return (
            _shown(await ask("DELETE", url, b"")) if url.startswith(base) else await theirs(url, *args, **kwargs)
        )

    return delete


def _shown(reply: Reply) -> list[Any]:
    """As the SDK's functions of http_utils answer."""
    return [reply.status, json.loads(reply.payload) if reply.payload else None]


def _replace(
    module_name: str, attribute: str, is_as_known: Callable[[Any], bool], make: Callable[[Any], object]
) -> Callable[[], None]:
    """Put ours, made of theirs, in the place of an attribute that is as we know it; returns what undoes it."""
    module = sys.modules.get(f"azure.durable_functions.{module_name}")
    theirs = getattr(module, attribute, None)
    if theirs is None or not is_as_known(theirs):
        log.warning(
            "The installed azure-functions-durable has no %s.%s that this host knows: it runs more slowly, and "
            "nothing else changes.",
            module_name,
            attribute,
        )
        return lambda: None
    setattr(module, attribute, make(theirs))
    return partial(setattr, module, attribute, theirs)


def _reads_timestamps(parse: Callable[[str], datetime]) -> bool:
    """Whether the SDK's reader and the standard library's agree."""
    return all(parse(text) == datetime.fromisoformat(text) for text in _TIMESTAMPS)


async def close_session() -> None:
    """Close the SDK's one HTTP session, which is bound to this event loop, so that the next loop gets its own."""
    module = sys.modules.get("azure.durable_functions.models.utils.http_utils")
    session = getattr(module, "_client_session", None)
    if session is not None:
        await session.close()
