"""host.json: what this host honours of it.

Not here: local.settings.json (`settings`) and function.json (`functions`).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from durable_host.errors import AppError
from durable_host.functions.durable_options import DurableOptions, read_options
from durable_host.functions.settings import setting
from durable_host.values import pick, read_object

_MORE = "See https://aka.ms/functions-hostjson for "


@dataclass(frozen=True, slots=True)
class HostJson:
    """The settings of a function app.

    Args:
        route_prefix: what stands before each route, "" for nothing.
        durable: the durable extension's options.
        only: the functions to load, in lower case, when `functions` names some.
        twilio: defaults of twilioSms bindings (accountSid, authToken, from, to, body).
        has_bundle: an extension bundle is configured; Azure needs it for durable and twilioSms bindings.
        warnings: lines for the user.
    """

    route_prefix: str
    durable: DurableOptions
    only: tuple[str, ...] | None
    twilio: Mapping[str, Any]
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
    twilio = _lookup(document, "extensions", "twilio")
    return HostJson(
        route_prefix="api" if prefix is None else str(prefix),
        durable=read_options(partial(_lookup, document, "extensions", "durableTask")),
        only=_only(document),
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
