"""host.json: what this host honours of it.

Not here: local.settings.json (`settings`) and function.json (`functions`).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_host.errors import AppError
from durable_host.relaxed_json import pick, read_object
from durable_host.settings import resolve, setting

_MORE = "See https://aka.ms/functions-hostjson for "


@dataclass(frozen=True, slots=True)
class HostJson:
    """The settings of a function app.

    Args:
        route_prefix: what stands before each route, "" for nothing.
        hub_name: the task hub's name, %SETTING% resolved.
        only: the functions to load, in lower case, when `functions` names some.
        max_activities: how many activities may run at once.
        twilio: defaults of twilioSms bindings (accountSid, authToken, from, to, body).
        has_bundle: an extension bundle is configured; Azure needs it for durable and twilioSms bindings.
        warnings: lines for the user.
    """

    route_prefix: str
    hub_name: str
    only: tuple[str, ...] | None
    max_activities: int
    twilio: Mapping[str, Any]
    has_bundle: bool
    warnings: tuple[str, ...]


def read_host_json(root: Path) -> HostJson:
    """Reads host.json; without the file, or with an empty object in it, the host's defaults apply.

    Raises: AppError for what stops Azure's host too: bad JSON, a bad version, a bad task hub name.
    Source: azure-functions-host 4.1037, HostJsonFileConfigurationSource; DurableTaskOptions 3.14.1.
    """
    path = root / "host.json"
    document = read_object(path, f"Unable to parse host configuration file '{path}'.") if path.exists() else {}
    if document:
        _check_version(pick(document, "version"))
    prefix = _lookup(document, "extensions", "http", "routePrefix")
    bundle = _lookup(document, "extensionBundle")
    twilio = _lookup(document, "extensions", "twilio")
    return HostJson(
        route_prefix="api" if prefix is None else str(prefix),
        hub_name=_hub_name(_lookup(document, "extensions", "durableTask", "hubName")),
        only=_only(document),
        max_activities=_max_activities(document),
        twilio=twilio if isinstance(twilio, dict) else {},
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


def _only(document: Mapping[str, Any]) -> tuple[str, ...] | None:
    prefix = re.compile(r"AzureFunctionsJobHost__functions__\d+", re.IGNORECASE)
    names = [value for key, value in os.environ.items() if prefix.fullmatch(key)]
    names = names or _lookup(document, "functions") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AppError("host.json: 'functions' must be a list of function names.")
    return tuple(name.lower() for name in names) or None


def _max_activities(document: Mapping[str, Any]) -> int:
    value = _lookup(document, "extensions", "durableTask", "maxConcurrentActivityFunctions")
    if value is None:
        return 10 * (os.cpu_count() or 1)
    if not re.fullmatch("0*[1-9][0-9]{0,8}", str(value)):
        raise AppError(
            f"host.json: 'maxConcurrentActivityFunctions' must be a whole number above 0, found {value!r}."
        )
    return int(value)


def _bundle_warnings(bundle: Any) -> list[str]:
    version = pick(bundle, "version") if isinstance(bundle, dict) else None
    match = re.match(r"[\[(]?\s*(\d+)", str(version or ""))
    if match and int(match[1]) < 4:
        return [f"host.json: extension bundle {version} is out of support; write [4.*, 5.0.0)."]
    return []
