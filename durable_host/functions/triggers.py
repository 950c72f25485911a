"""A function app as the host knows it: a folder with host.json and one folder for each function.

Not here: one function.json (`function_json`), its settings (`settings`), its code (the worker's).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from durable_host.errors import AppError, FunctionFailed, one_line
from durable_host.functions.function_json import Function, InError, read_function
from durable_host.functions.host_json import DurableOptions, HostJson, read_host_json
from durable_host.functions.settings import disabled_functions
from durable_host.values import pick, read_object


@dataclass(frozen=True)
class FunctionApp:
    """A function app.

    Args:
        route_prefix: what stands before each route, "" for nothing.
        durable: what host.json says of the durable extension.
        extensions: what host.json says of all extensions.
        functions: those that are listed, by name without regard to letter case; routes are tried in this order.
        index_errors: (name, reason) of functions that are not listed: "The 'NAME' function is in error: REASON".
        warnings: lines for the user.
    """

    root: Path
    route_prefix: str
    durable: DurableOptions
    extensions: Mapping[str, Any]
    functions: tuple[Function, ...]
    index_errors: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    def find(self, name: str) -> Function | None:
        """The function of this name in any letter case."""
        return self._by_name.get(name.lower())

    @cached_property
    def orchestrators(self) -> tuple[Function, ...]:
        """The orchestrators that are not disabled."""
        return tuple(f for f in self.functions if f.kind == "orchestration" and not f.is_disabled)

    @cached_property
    def activities(self) -> tuple[Function, ...]:
        """The activities that are not disabled."""
        return tuple(f for f in self.functions if f.kind == "activity" and not f.is_disabled)

    def match(self, method: str, path: str) -> tuple[Function, dict[str, str]] | None:
        """The HTTP function for a request and its route parameters; `path` is percent-encoded as sent.

        The first that fits wins; a wrong verb is no match.
        Source: azure-functions-host 4.1037, WebJobsRouter.
        """
        for function in self.functions:
            http = function.http
            # Local callers count as Admin, who may call what is disabled; anonymous functions know no Admin.
            if http is None or (function.is_disabled and http.auth_level == "anonymous"):
                continue
            if http.methods is None or method.upper() in http.methods:
                values = http.route.match(path)
                if values is not None:
                    return function, values
        return None

    def with_errors(self, errors: Mapping[str, FunctionFailed]) -> "FunctionApp":
        """The app once the worker has loaded it: `errors` of those functions that it could not load, by name."""
        functions = tuple(replace(each, load_error=errors.get(each.name)) for each in self.functions)
        return replace(self, functions=functions)

    @cached_property
    def _by_name(self) -> Mapping[str, Function]:
        return {function.name.lower(): function for function in self.functions}


def read_app(root: Path, outputs: Collection[str] = ()) -> FunctionApp:
    """Reads what a function app declares; its settings must be in the environment by then.

    Args:
        outputs: the types of output bindings that the host carries out.

    A function whose function.json is wrong is in `index_errors`.
    Raises: AppError for what makes a start impossible.
    Source: azure-functions-host 4.1037, HostFunctionMetadataProvider, FunctionDescriptorProvider, ScriptHost.
    """
    root = root.resolve()
    if not root.is_dir():
        raise AppError(f"{root} is not a folder. Name the one that holds host.json and the functions.")
    if (root / "function_app.py").exists():
        raise AppError(
            f"{root / 'function_app.py'}: apps of the v2 model (decorators) are not supported; "
            "this host runs functions that have a function.json each."
        )
    host = read_host_json(root)
    documents = {
        folder: read_object(folder / "function.json", f"{folder / 'function.json'}:")
        for folder in sorted(root.iterdir(), key=lambda folder: folder.name.lower())
        if (folder / "function.json").is_file()
    }
    disabled = disabled_functions()
    functions: list[Function] = []
    errors: dict[str, str] = {}
    for folder, document in documents.items():
        if host.only is not None and folder.name.lower() not in host.only:
            continue
        try:
            function = read_function(folder, document, host.route_prefix, outputs, disabled)
            _check_route(function, functions)
        except InError as error:
            errors[folder.name] = one_line(str(error))
        else:
            functions.append(function)
    _check_any(root, documents, functions, errors)
    return FunctionApp(
        root=root,
        route_prefix=host.route_prefix,
        durable=host.durable,
        extensions=host.extensions,
        functions=tuple(functions),
        index_errors=tuple(errors.items()),
        warnings=(*host.warnings, *_warnings(host, documents, functions)),
    )


def _check_route(function: Function, earlier: Sequence[Function]) -> None:
    for other in earlier:
        if function.http and other.http and function.http.overlaps(other.http):
            raise InError(f"The route specified conflicts with the route defined by function '{other.name}'.")


def _check_any(
    root: Path, documents: Mapping[Path, Any], functions: Sequence[Function], errors: Mapping[str, str]
) -> None:
    if not functions:
        folders = [f for f in sorted(root.iterdir()) if f.is_dir() and not f.name.startswith((".", "_"))]
        reasons = [
            f"{f.name} ({errors.get(f.name, 'not in the allow list' if f in documents else 'no function.json')})"
            for f in folders
        ]
        raise AppError(f"No functions found in {root}. Looked into: {', '.join(reasons) or 'no folder is there'}.")
    if all(function.script.suffix != ".py" for function in functions):
        raise AppError(
            f"Did not find functions with language [python]: none of the scripts in {root} is a .py file."
        )


def _warnings(
    host: HostJson, documents: Mapping[Path, Mapping[str, Any]], functions: Sequence[Function]
) -> list[str]:
    warnings = []
    if host.only:
        names = ", ".join(function.name for function in functions)
        warnings.append(
            f"A function allow list has been specified, excluding all but the following functions: [{names}]"
        )
    bindings = [(function, binding) for function in functions for binding in function.bindings]
    if not host.has_bundle and any(b.type not in ("httpTrigger", "http") for _, b in bindings):
        warnings.append("host.json has no extensionBundle: on Azure, bindings other than HTTP need one.")
    warnings += [
        f"{function.name}: Azure's host before 4.1038 refuses the underscore in binding name '{binding.name}'."
        for function, binding in bindings
        if "_" in binding.name
    ]
    warnings += [
        f"{folder.name}: 'disabled' in function.json does nothing; set AzureWebJobs.{folder.name}.Disabled=true."
        for folder, document in documents.items()
        if pick(document, "disabled") is True
    ]
    return warnings
