"""The one place that touches the inside of azure-functions-durable: how it reads time, warns, and keeps a session.

Not here: what the SDK is given and answers (`episode`, `actions`).
Source: HistoryEvent.py and http_utils.py, azure-functions-durable 1.7.0.
"""

import importlib.metadata
import os
import sys
import warnings
from collections.abc import Callable
from datetime import datetime
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
    """Have the SDK read timestamps with the standard library; returns what undoes it. Once the app is loaded.

    The SDK reads each event's timestamp, at every replay, with dateutil, which takes most of a replay's time. The
    standard library's ISO parser agrees with it on all that .NET writes, and cuts digits past the microsecond too.
    DURABLE_HOST_FAST_REPLAY=0 leaves the SDK's own reader.
    """
    # The package exports the class under its module's name, so the module is only to be had here.
    module = _module("azure.durable_functions.models.history.HistoryEvent")
    if module is None or os.environ.get("DURABLE_HOST_FAST_REPLAY") == "0":
        return lambda: None
    original = module.dt_parse
    module.dt_parse = datetime.fromisoformat  # type: ignore[attr-defined]

    def undo() -> None:
        module.dt_parse = original  # type: ignore[attr-defined]

    return undo


async def close_session() -> None:
    """Close the SDK's one HTTP session, which is bound to this event loop, so that the next loop gets its own."""
    module = _module("azure.durable_functions.models.utils.http_utils")
    if module is not None and module._client_session is not None:
        await module._client_session.close()


def _module(name: str) -> ModuleType | None:
    return sys.modules.get(name) if version().startswith(_KNOWN) else None
