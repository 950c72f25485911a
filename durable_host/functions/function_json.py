"""function.json: one function's bindings, script and route, checked as the Functions host checks them.

Not here: the function's code (the worker's) and the functions beside it (`triggers`).
Source: azure-functions-host 4.1037, FunctionDescriptorProvider, FunctionMetadataProvider, ScriptHost, Utility.
"""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from durable_host.errors import FunctionFailed
from durable_host.functions.routes import Route, compile_route
from durable_host.values import pick

Kind = Literal["http", "orchestration", "activity"]

_KINDS: Mapping[str, Kind] = {
    "httpTrigger": "http",
    "orchestrationTrigger": "orchestration",
    "activityTrigger": "activity",
}
_CLIENTS = ("durableClient", "orchestrationClient")
_AUTH_LEVELS = ("anonymous", "function", "admin", "system", "user")


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding of a function.json; `properties` holds all its keys as they are written there."""

    name: str
    type: str
    direction: str
    properties: Mapping[str, Any]

    @property
    def is_trigger(self) -> bool:
        """The host's rule: the type's name ends so, and it takes data in."""
        return self.type.lower().endswith("trigger") and self.direction != "out"


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """Where an HTTP function listens; `methods` are upper case, None is every verb."""

    route: Route
    methods: tuple[str, ...] | None
    auth_level: str

    def overlaps(self, other: "HttpTrigger") -> bool:
        """Whether both claim the same route for a verb."""
        same_verb = None in (self.methods, other.methods) or set(self.methods or ()) & set(other.methods or ())
        return self.route.template.lower() == other.route.template.lower() and bool(same_verb)


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is listed and routed; when `load_error` is set, each call of it fails with that.

    Args:
        trigger: the one binding that starts it.
        http: its route, for an HTTP function.
        load_error: what the worker said when it could not load its code.
        is_disabled: a setting AzureWebJobs.NAME.Disabled says so.
    """

    name: str
    folder: Path
    script: Path
    entry_point: str
    bindings: tuple[Binding, ...]
    trigger: Binding
    http: HttpTrigger | None
    is_disabled: bool
    load_error: FunctionFailed | None = None

    @property
    def kind(self) -> Kind:
        """What starts it."""
        return _KINDS[self.trigger.type]


class InError(Exception):
    """Why a function is not listed, in the host's words where it has some."""


def read_function(
    folder: Path,
    document: Mapping[str, Any],
    prefix: str,
    outputs: Collection[str] = (),
    disabled: Collection[str] = (),
) -> Function:
    """The function that a folder's function.json declares, its code not loaded yet.

    Args:
        prefix: of its route.
        outputs: the types of output bindings that the host carries out.
        disabled: the names of those that are turned off, lower-case.

    Raises: InError for what keeps this function from being listed, AppError for a route that stops the start.
    """
    name = folder.name
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}", name) or name.lower() == "host":
        raise InError(f"'{name}' is not a valid function name.")
    raw = pick(document, "bindings")
    if not raw:
        raise InError("At least one binding must be declared.")
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        raise InError("'bindings' must be a list of objects.")
    bindings = tuple(_binding(item) for item in raw)
    script = _script(folder, pick(document, "scriptFile"))
    trigger = _trigger(bindings)
    for binding in bindings:
        _check_supported(binding, trigger, outputs)
    return Function(
        name=name,
        folder=folder,
        script=script,
        entry_point=str(pick(document, "entryPoint") or "main"),
        bindings=bindings,
        trigger=trigger,
        http=_http(name, trigger, prefix) if trigger.type == "httpTrigger" else None,
        is_disabled=name.lower() in disabled,
    )


def _binding(raw: Mapping[str, Any]) -> Binding:
    name, kind = str(pick(raw, "name") or ""), str(pick(raw, "type") or "")
    direction = str(pick(raw, "direction") or "in").lower()
    if direction not in ("in", "out", "inout"):
        raise InError(f"'{pick(raw, 'direction')}' is not a valid binding direction.")
    if not re.fullmatch(r"(?!.*__)[a-zA-Z_][a-zA-Z0-9_]{0,127}|\$return", name):
        raise InError(f"The binding name {name} is invalid. Please assign a valid name to the binding.")
    if name == "$return" and direction != "out":
        raise InError("$return bindings must specify a direction of 'out'.")
    if not kind:
        raise InError(f"Binding '{name}' is invalid. Bindings must specify a Type.")
    return Binding(name, kind, direction, raw)


def _script(folder: Path, declared: Any) -> Path:
    if declared:
        script = folder / str(declared)
        if not os.path.isfile(script):  # Unlike Path.is_file, it calls a name that is too long no file.
            raise InError(
                "Invalid script file name configuration. "
                "The 'scriptFile' property is set to a file that does not exist."
            )
        return script
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name.lower() != "function.json"]
    entries = r"run\..*|index\.(js|mjs|cjs)|__init__\.py"
    chosen = files if len(files) == 1 else [f for f in files if re.fullmatch(entries, f.name, re.IGNORECASE)]
    if not chosen:
        raise InError(
            "Unable to determine the primary function script. Make sure at least one script file is present. "
            "Try renaming your entry point script to 'run' or alternatively you can specify the name of the entry "
            "point script explicitly by adding a 'scriptFile' property to your function metadata."
        )
    return chosen[0]


def _trigger(bindings: Sequence[Binding]) -> Binding:
    seen: set[str] = set()
    for binding in bindings:
        if binding.name.lower() in seen:
            raise InError(
                f"Multiple bindings with name '{binding.name}' discovered. Binding names must be unique."
            )
        seen.add(binding.name.lower())
    triggers = [binding for binding in bindings if binding.is_trigger]
    if len(triggers) > 1:
        raise InError("Multiple trigger bindings defined. A function can only have a single trigger binding.")
    if not triggers:
        raise InError("No trigger binding specified. A function must have a trigger input binding.")
    return triggers[0]


def _check_supported(binding: Binding, trigger: Binding, outputs: Collection[str]) -> None:
    directions = dict.fromkeys(("http", *outputs), "out") | dict.fromkeys(_CLIENTS, "in")
    known = {kind.lower(): kind for kind in (*_KINDS, *directions)}
    kind = known.get(binding.type.lower())
    if kind is None:
        raise InError(
            f"The binding type '{binding.type}' is not supported by the local host; "
            f"it knows {', '.join(known.values())}."
        )
    if kind != binding.type:
        raise InError(
            f"Write the binding type '{binding.type}' as '{kind}': Azure's Python worker minds letter case."
        )
    expected = directions.get(kind)
    if expected and binding.direction != expected:
        raise InError(f"The local host supports '{kind}' with direction '{expected}' only.")
    if kind == "http" and trigger.type != "httpTrigger":
        raise InError("An 'http' output needs an 'httpTrigger'.")
    if expected == "out" and trigger.type == "orchestrationTrigger":
        raise InError(f"An orchestrator is replayed: put the '{kind}' output on an activity.")
    if kind in _CLIENTS and (pick(binding.properties, "taskHub") or pick(binding.properties, "connectionName")):
        raise InError(
            f"The local host has one task hub: 'taskHub' and 'connectionName' of '{kind}' are not supported."
        )


def _http(name: str, trigger: Binding, prefix: str) -> HttpTrigger:
    route = pick(trigger.properties, "route")
    methods = pick(trigger.properties, "methods")
    level = pick(trigger.properties, "authLevel") or "function"
    if route is not None and not isinstance(route, str):
        raise InError(f"'route' must be a string, found {route!r}.")
    route = (route or "").strip() or name
    if methods is not None and not (isinstance(methods, list) and all(isinstance(m, str) for m in methods)):
        raise InError("'methods' must be a list of verbs.")
    if str(level).lower() not in _AUTH_LEVELS:
        raise InError(f"'authLevel' must be one of {', '.join(_AUTH_LEVELS)}; found '{level}'.")
    if route.lower().startswith(("admin", "runtime")):
        raise InError("The specified route conflicts with one or more built in routes.")
    verbs = None if methods is None else tuple(method.upper() for method in methods)
    return HttpTrigger(compile_route(f"{prefix}/{route}" if prefix else route), verbs, str(level).lower())
