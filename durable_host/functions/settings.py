"""local.settings.json and the environment: what a function app may read from os.environ.

Not here: host.json (`host_json`), which is no setting.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_host.errors import AppError
from durable_host.values import pick, read_object

_DISABLED = re.compile(r"AzureWebJobs(?P<dot>[._])(?P<name>.+)(?P=dot)Disabled", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What local.settings.json says.

    Args:
        values: environment variables to set; those that the real environment already has are left out.
        http_port, http_address: where to listen, from its `Host` part; None when not given.
        warnings: lines for the user, in Core Tools' words where it has some.
    """

    values: Mapping[str, str]
    http_port: int | None = None
    http_address: str | None = None
    warnings: tuple[str, ...] = ()


def read_settings(root: Path) -> LocalSettings:
    """Reads local.settings.json in the app's folder; without the file there are no settings.

    Raises: AppError when the file is broken, encrypted, or for another language than Python.
    Source: azure-functions-core-tools 4.14.0, AppSettingsFile; there a broken file is but a warning.
    """
    path = root / "local.settings.json"
    if not path.exists():
        _check_runtime({})
        return LocalSettings({})
    complaint = f"Failed to read app settings file at '{path}'. Ensure it is a valid JSON file."
    document = read_object(path, complaint)
    # A missing IsEncrypted means true there.
    if str(pick(document, "IsEncrypted")).lower() != "false":
        raise AppError(f'{path} is encrypted, or lacks "IsEncrypted": false. Write that line and plain values.')
    warnings: list[str] = []
    values = dict(_values(_part(document, "Values", complaint), complaint, warnings))
    for name, value in _part(document, "ConnectionStrings", complaint).items():
        text = pick(value, "ConnectionString") if isinstance(value, dict) else value
        values |= _values({f"ConnectionStrings:{name}": text}, complaint, warnings)
    _check_runtime(values)
    host = _part(document, "Host", complaint)
    if pick(host, "CORS"):
        warnings.append("Host.CORS in local.settings.json is ignored: this host allows no other origin.")
    return LocalSettings(values, _port(host, complaint), _address(host, complaint), tuple(warnings))


@contextmanager
def environment(root: Path, settings: LocalSettings, port: int) -> Iterator[None]:
    """Runs its body with os.environ as the app would find it; afterwards os.environ is what it was before."""
    before = dict(os.environ)
    os.environ.update(settings.values)
    os.environ.update(
        AzureWebJobsScriptRoot=str(root),
        AZURE_FUNCTIONS_ENVIRONMENT="Development",
        FUNCTIONS_CORETOOLS_ENVIRONMENT="true",
        FUNCTIONS_WORKER_RUNTIME="python",
        WEBSITE_HOSTNAME=f"localhost:{port}",
    )
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def setting(name: str) -> str | None:
    """An app setting, by the rules of .NET configuration: any letter case, and `A__B` answers `A:B`."""
    if name in os.environ:
        return os.environ[name]
    wanted = _configuration_key(name)
    return next((value for key, value in os.environ.items() if _configuration_key(key) == wanted), None)


def disabled_functions() -> frozenset[str]:
    """The names, lower-case, of those that AzureWebJobs.NAME.Disabled or AzureWebJobs_NAME_Disabled turns off."""
    matches = ((_DISABLED.fullmatch(key), value) for key, value in os.environ.items())
    return frozenset(match["name"].lower() for match, value in matches if match and value.lower() in ("1", "true"))


def resolve(text: str) -> str:
    """Replaces each %NAME% by the setting of that name.

    Raises: AppError with the host's text for a name without a value, or a single `%`.
    Source: azure-webjobs-sdk, NameResolverExtensions.
    """

    def value_of(match: re.Match[str]) -> str:
        if not match[0].endswith("%") or len(match[0]) == 1:
            raise AppError(f"The '%' at position {match.start()} does not have a closing '%'")
        value = setting(match[1])
        if not value:
            raise AppError(f"'%{match[1]}%' does not resolve to a value.")
        return value

    return re.sub(r"%([^%]*)%?", value_of, text)


def _part(document: Mapping[str, Any], key: str, complaint: str) -> Mapping[str, Any]:
    part = pick(document, key)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise AppError(f"{complaint} '{key}' must be an object.")
    return part


def _values(raw: Mapping[str, Any], complaint: str, warnings: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in raw.items():
        if isinstance(value, dict | list):
            raise AppError(f"{complaint} The value of '{name}' must be a string, a number or a boolean.")
        if "=" in name or not _is_environment(f"{name}{value}"):
            raise AppError(f"{complaint} '{name}' cannot be an environment variable.")
        if not name.strip():
            warnings.append("Skipping local setting with empty key.")
        elif value is None:
            warnings.append(f"Skipping '{name}' because value is null")
        elif os.environ.get(name):
            warnings.append(
                f"Skipping '{name}' from local settings as it's already defined in current environment variables."
            )
        else:
            values[name] = str(value)
    return values


def _is_environment(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _check_runtime(values: Mapping[str, str]) -> None:
    runtime = os.environ.get("FUNCTIONS_WORKER_RUNTIME") or values.get("FUNCTIONS_WORKER_RUNTIME") or "python"
    if runtime.lower() != "python":
        raise AppError(
            f"FUNCTIONS_WORKER_RUNTIME is '{runtime}', but this host runs Python only: set it to 'python'."
        )


def _port(host: Mapping[str, Any], complaint: str) -> int | None:
    port = pick(host, "LocalHttpPort")
    if port is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", str(port)) or int(port) > 65535:
        raise AppError(f"{complaint} Host.LocalHttpPort must be a port number, found {port!r}.")
    return int(port)


def _address(host: Mapping[str, Any], complaint: str) -> str | None:
    address = pick(host, "LocalHttpAddress")
    if not isinstance(address, str | None):
        raise AppError(f"{complaint} Host.LocalHttpAddress must be a string, found {address!r}.")
    return address


def _configuration_key(name: str) -> str:
    return name.replace("__", ":").lower()
