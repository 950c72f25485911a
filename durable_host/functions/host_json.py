"""host.json: what this host honours of it.

Not here: local.settings.json (`settings`) and function.json (`function_json`).
Source: azure-functions-host 4.1037, HostJsonFileConfigurationSource; DurableTaskOptions of the durable extension
3.19.0, and what it said at start to bad options.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from durable_host.errors import AppError
from durable_host.functions.settings import resolve, setting
from durable_host.values import pick, read_object

_WHERE = "host.json, extensions.durableTask"
_HTTP_SLEEP_MS = 30_000
_EPISODES = 64  # Source: measured; more of them make no more monitors a second.
_MORE = "See https://aka.ms/functions-hostjson for "


Lookup = Callable[..., Any]  # An option by its path; None when it is not there.


@dataclass(frozen=True, slots=True)
class DurableOptions:
    """What host.json says under extensions.durableTask, as far as this host goes by it.

    Args:
        hub_name: the task hub's name, %SETTING% resolved.
        max_activities: how many activities may run at once.
        max_episodes: how many episodes may be with the worker at once.
        replaces_live: a start may end a live instance of its id (`overridableExistingInstanceStates`).
        has_lease: the app may be made primary (`useAppLease`).
        default_version: of starts and sub-orchestrations that name none.
        http_sleep_ms: what the SDK is told to wait between polls of call_http.
        max_actions: how many actions an orchestrator may ask for in a generation.
        store_inputs: the history holds the inputs of activities and sub-orchestrations.
    """

    hub_name: str
    max_activities: int
    max_episodes: int
    replaces_live: bool
    has_lease: bool
    default_version: str | None
    http_sleep_ms: int
    max_actions: int
    store_inputs: bool


@dataclass(frozen=True, slots=True)
class HostJson:
    """The settings of a function app.

    Args:
        route_prefix: what stands before each route, "" for nothing.
        durable: the durable extension's options.
        only: the functions to load, in lower case, when `functions` names some.
        extensions: what it says of extensions, for the bindings that go by more of it.
        has_bundle: an extension bundle is configured; Azure needs it for bindings other than HTTP.
        warnings: lines for the user.
    """

    route_prefix: str
    durable: DurableOptions
    only: tuple[str, ...] | None
    extensions: Mapping[str, Any]
    has_bundle: bool
    warnings: tuple[str, ...]


def read_host_json(root: Path) -> HostJson:
    """Reads host.json; without the file, or with an empty object in it, the host's defaults apply.

    Raises: AppError for what stops Azure's host too: bad JSON, a bad version, a bad task hub name.
    Source: azure-functions-host 4.1037, HostJsonFileConfigurationSource.
    """
    path = root / "host.json"
    document = read_object(path, f"Unable to parse host configuration file '{path}'.") if path.exists() else {}
    if document:
        _check_version(pick(document, "version"))
    prefix = _lookup(document, "extensions", "http", "routePrefix")
    bundle = _lookup(document, "extensionBundle")
    extensions = pick(document, "extensions")
    return HostJson(
        route_prefix="api" if prefix is None else str(prefix),
        durable=_durable_options(partial(_lookup, document, "extensions", "durableTask")),
        only=_only(document),
        extensions=extensions if isinstance(extensions, dict) else {},
        has_bundle=bool(bundle) or not document,
        warnings=tuple(_bundle_warnings(bundle)),
    )


def _lookup(document: Mapping[str, Any], *keys: str) -> Any:
    """A value by its path; the environment's AzureFunctionsJobHost__a__b comes first."""
    override = setting(":".join(("AzureFunctionsJobHost", *keys)))
    if override is not None:
        return override
    value: Any = document
    for key in keys:
        value = pick(value, key) if isinstance(value, dict) else None
    return value


def _check_version(version: Any) -> None:
    if version is None or version == "":
        raise AppError(
            "The host.json file is missing the required 'version' property. "
            f"{_MORE}steps to migrate the configuration file."
        )
    if version != "2.0":
        # As Newtonsoft prints it: the number 2.0 becomes 2, and is refused.
        text = f"{version:g}" if isinstance(version, float) else str(version)
        hint = (
            "This does not correspond to the function runtime version, "
            "only to the schema version of the host.json file. "
        )
        raise AppError(
            f"'{text}' is an invalid value for host.json 'version' property. "
            "We recommend you set the 'version' property to '2.0'. "
            f"{hint if text.startswith('3') else ''}{_MORE}more information on this configuration file."
        )


def _only(document: Mapping[str, Any]) -> tuple[str, ...] | None:
    prefix = re.compile(r"AzureFunctionsJobHost__functions__\d+", re.IGNORECASE)
    names = [value for key, value in os.environ.items() if prefix.fullmatch(key)]
    names = names or _lookup(document, "functions") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AppError("host.json: 'functions' must be a list of function names.")
    return tuple(name.lower() for name in names) or None


def _bundle_warnings(bundle: Any) -> list[str]:
    version = pick(bundle, "version") if isinstance(bundle, dict) else None
    match = re.match(r"[\[(]?\s*(\d+)", str(version or ""))
    if match and int(match[1]) < 4:
        return [f"host.json: extension bundle {version} is out of support; write [4.*, 5.0.0)."]
    return []


def _durable_options(lookup: Lookup) -> DurableOptions:
    """The options, each checked.

    Raises: AppError for those that stop Azure's host too.
    """
    if _flag(lookup, "extendedSessionsEnabled", False):
        raise AppError(
            f"{_WHERE}: extendedSessionsEnabled is for .NET apps. Remove it, or set it to false: Azure's host "
            "does not start with it either."
        )
    states = str(lookup("overridableExistingInstanceStates") or "NonRunningStates")
    if states.lower() not in ("anystate", "nonrunningstates"):
        raise AppError(
            f"{_WHERE}: overridableExistingInstanceStates must be NonRunningStates or AnyState, found {states!r}."
        )
    version = lookup("defaultVersion")
    return DurableOptions(
        hub_name=_hub_name(lookup("hubName")),
        max_activities=_number(lookup, ("maxConcurrentActivityFunctions",), _activities(), least=1),
        max_episodes=_number(lookup, ("maxConcurrentOrchestratorFunctions",), _EPISODES, least=1),
        replaces_live=states.lower() == "anystate",
        has_lease=_flag(lookup, "useAppLease", True),
        default_version=None if version is None else str(version),
        http_sleep_ms=_number(
            lookup, ("httpSettings", "defaultAsyncRequestSleepTimeMilliseconds"), _HTTP_SLEEP_MS, least=0
        ),
        # Azure reads less than 1 as its default.
        max_actions=_number(lookup, ("maxOrchestrationActions",), 100_000, least=0) or 100_000,
        store_inputs=_flag(lookup, "storeInputsInOrchestrationHistory", False),
    )


def _activities() -> int:
    """Ten a core, as the durable extension lets run; on a small machine more, as most wait for the network."""
    return max(10 * (os.cpu_count() or 1), 32)


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
