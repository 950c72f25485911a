"""What host.json says under extensions.durableTask, as far as this host goes by it.

Not here: the rest of host.json (`host_json`).
Source: DurableTaskOptions of the durable extension 3.19.0, and what it said at start to bad options.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from durable_host.engine.registry import HTTP_SLEEP_MS, Options
from durable_host.errors import AppError
from durable_host.functions.settings import resolve, setting

_WHERE = "host.json, extensions.durableTask"
Lookup = Callable[..., Any]  # An option by its path; None when it is not there.


@dataclass(frozen=True, slots=True)
class DurableOptions:
    """The durable extension's options.

    Args:
        hub_name: the task hub's name, %SETTING% resolved.
        max_activities: how many activities may run at once.
        replaces_live: a start may end a live instance of its id (`overridableExistingInstanceStates`).
        has_lease: the app may be made primary (`useAppLease`).
        engine: what the engine goes by.
    """

    hub_name: str
    max_activities: int
    replaces_live: bool
    has_lease: bool
    engine: Options


def read_options(lookup: Lookup) -> DurableOptions:
    """The options, each checked.

    Raises: AppError for those that stop Azure's host too.
    """
    if _flag(lookup, "extendedSessionsEnabled", False):
        raise AppError(
            f"{_WHERE}: extendedSessionsEnabled is for .NET apps. Remove it, or set it to false: Azure's host "
            "does not start with it either."
        )
    # Orchestrators run one at a time, which every number above 0 allows.
    _number(lookup, ("maxConcurrentOrchestratorFunctions",), default=1, least=1)
    states = str(lookup("overridableExistingInstanceStates") or "NonRunningStates")
    if states.lower() not in ("anystate", "nonrunningstates"):
        raise AppError(
            f"{_WHERE}: overridableExistingInstanceStates must be NonRunningStates or AnyState, found {states!r}."
        )
    version = lookup("defaultVersion")
    return DurableOptions(
        hub_name=_hub_name(lookup("hubName")),
        max_activities=_number(lookup, ("maxConcurrentActivityFunctions",), 10 * (os.cpu_count() or 1), least=1),
        replaces_live=states.lower() == "anystate",
        has_lease=_flag(lookup, "useAppLease", True),
        engine=Options(
            default_version=None if version is None else str(version),
            http_sleep_ms=_number(
                lookup, ("httpSettings", "defaultAsyncRequestSleepTimeMilliseconds"), HTTP_SLEEP_MS, least=0
            ),
            # Azure reads less than 1 as its default.
            max_actions=_number(lookup, ("maxOrchestrationActions",), 100_000, least=0) or 100_000,
            store_inputs=_flag(lookup, "storeInputsInOrchestrationHistory", False),
        ),
    )


def _number(lookup: Lookup, path: tuple[str, ...], default: int, least: int) -> int:
    value = lookup(*path)
    if value is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", str(value)) or int(value) < least:
        raise AppError(f"{_WHERE}: '{path[-1]}' must be a whole number of {least} or more, found {value!r}.")
    return int(value)


def _flag(lookup: Lookup, name: str, default: bool) -> bool:
    value = lookup(name)
    text = str(default if value is None else value).lower()
    if text not in ("true", "false"):
        raise AppError(f"{_WHERE}: '{name}' must be true or false, found {value!r}.")
    return text == "true"


def _hub_name(value: Any) -> str:
    if value in (None, ""):
        return _default_hub_name()
    name = str(value)
    if re.fullmatch("%[^%]+%", name):
        try:
            name = resolve(name)
        except AppError as error:
            raise AppError(f"host.json, extensions.durableTask.hubName: {error}") from error
    if not re.fullmatch("[A-Za-z][A-Za-z0-9]{2,44}", name):
        raise AppError(
            f"Task hub name '{name}' should contain only alphanumeric characters, start with a letter, "
            "and have length between 3 and 45."
        )
    return name


def _default_hub_name() -> str:
    name = re.sub("[^A-Za-z0-9]", "", setting("WEBSITE_SITE_NAME") or "")
    if not name:
        return "TestHubName"
    name = f"t{name}" if name[0].isdigit() else name
    return (name if len(name) > 2 else f"{name}Hub")[:45]
