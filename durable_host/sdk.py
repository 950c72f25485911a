"""The one place that touches the inside of azure-functions-durable: what slows it, warns, and keeps a session.

Not here: what the SDK is given and answers (`episode`, `actions`).
Source: HistoryEvent.py, TaskOrchestrationExecutor.py and http_utils.py, azure-functions-durable 1.7.0.
"""

import functools
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import ModuleType

_KNOWN = "1.7."  # The version whose inside was read: another one is left as it is.


def version() -> str:
    """The installed SDK's version."""
    return importlib.metadata.version("azure-functions-durable")


def quiet_warnings() -> Callable[[], None]:
    """Silence what the SDK warns of and is normal here; returns what undoes it. Before the app is loaded.

    One comes at import, for function.json. The other comes at each event that no task waits for, at every replay,
    and would fail the instance where warnings are errors.
    """
    texts = ("Your application uses the legacy Python v1 programming model", "Potential duplicate Task completion")
    ours = []
    for text in texts:
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
    DURABLE_HOST_FAST_REPLAY=0 leaves the SDK as it is.
    """
    # The package exports the classes under their modules' names, so the modules are only to be had here.
    event = _module("azure.durable_functions.models.history.HistoryEvent")
    executor = _module("azure.durable_functions.models.TaskOrchestrationExecutor")
    if event is None or executor is None or os.environ.get("DURABLE_HOST_FAST_REPLAY") == "0":
        return lambda: None
    theirs = event.dt_parse, executor.namedtuple

    def bind(parse: object, namedtuple: object) -> None:
        event.dt_parse = parse  # type: ignore[attr-defined]
        executor.namedtuple = namedtuple  # type: ignore[attr-defined]

    bind(datetime.fromisoformat, functools.cache(executor.namedtuple))
    return partial(bind, *theirs)


async def close_session() -> None:
    """Close the SDK's one HTTP session, which is bound to this event loop, so that the next loop gets its own."""
    module = _module("azure.durable_functions.models.utils.http_utils")
    if module is not None and module._client_session is not None:
        await module._client_session.close()


def _module(name: str) -> ModuleType | None:
    return sys.modules.get(name) if version().startswith(_KNOWN) else None
