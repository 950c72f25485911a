"""The one place that touches the inside of azure-functions-durable: what slows it, warns, and keeps a session.

Each function here asks the SDK for the attribute that it needs, never for its version; without it the SDK is left
as it is.
Not here: what the SDK is given and answers (`episode`, `actions`).
Source: HistoryEvent.py, TaskOrchestrationExecutor.py and http_utils.py, azure-functions-durable 1.7.0.
"""

import functools
import logging
import os
import sys
import warnings
from collections import namedtuple
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

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
log = logging.getLogger(__name__)


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
        _replace("models.history.HistoryEvent", "dt_parse", _reads_timestamps, datetime.fromisoformat),
        _replace(
            "models.TaskOrchestrationExecutor",
            "namedtuple",
            lambda theirs: getattr(theirs, "__wrapped__", theirs) is namedtuple,
            functools.cache(namedtuple),
        ),
    ]

    def undo_all() -> None:
        for each in undo:
            each()

    return undo_all


def _replace(
    module_name: str, attribute: str, is_as_known: Callable[[Any], bool], ours: object
) -> Callable[[], None]:
    """Put ours in the place of an attribute of the SDK that is as we know it; returns what undoes it."""
    module = sys.modules.get(f"azure.durable_functions.{module_name}")
    theirs = getattr(module, attribute, None)
    if theirs is None or not is_as_known(theirs):
        log.warning(
            "The installed azure-functions-durable has no %s.%s that this host knows, so replays take longer. "
            "Nothing else changes.",
            module_name,
            attribute,
        )
        return lambda: None
    setattr(module, attribute, ours)
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
