"""Whether an entry point fits the bindings that it is declared with.

Not here: importing it (`loading`) and calling it (`invoke`).
Source: azure-functions-python-worker 4.34, functions.py, texts and order of checks included.
"""

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from durable_host.worker.converters import converter, has_implicit_output


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A callable that fits its function.json.

    Args:
        takes_context: it has a parameter `context` that function.json does not bind: the invocation's Context.
        inputs, outputs: parameter name -> binding type whose converter decodes or encodes it.
        returns: the binding type whose converter encodes what it returns; None when it may return None only.
    """

    main: Callable[..., Any]
    is_async: bool
    takes_context: bool
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    returns: str | None


class FunctionLoadError(RuntimeError):
    """Function.json and the entry point's signature disagree; the name and the text are the worker's."""

    def __init__(self, function: str, reason: str) -> None:
        super().__init__(f"cannot load the {function} function: {reason}")


def fit(function: str, main: Callable[..., Any], bindings: Mapping[str, tuple[str, str]]) -> EntryPoint:
    """Checks an entry point against its bindings (name -> type and direction, in the order of function.json).

    Raises: FunctionLoadError, or TypeError or NameError for a callable or an annotation that cannot be read.
    """
    parameters = dict(inspect.signature(main).parameters)
    annotations = typing.get_type_hints(main)
    returns = _returns(function, bindings)
    bound = {name: binding for name, binding in bindings.items() if name != "$return"}
    takes_context = "context" in parameters and "context" not in bound
    if takes_context:
        del parameters["context"]
        _check_context(function, annotations)
    _check_names(function, set(parameters), set(bound))
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}
    for name in parameters:
        kind, direction = bound[name]
        chosen = inputs if direction != "out" else outputs
        chosen[name] = _parameter_type(function, name, kind, direction, annotations)
    if "$return" in bindings and "return" in annotations:
        _check_return(function, bindings["$return"][0], annotations["return"])
    return EntryPoint(main, inspect.iscoroutinefunction(main), takes_context, inputs, outputs, returns)


def _returns(function: str, bindings: Mapping[str, tuple[str, str]]) -> str | None:
    implicit = None
    for name, (kind, direction) in bindings.items():
        if direction == "inout":
            raise FunctionLoadError(function, '"inout" bindings are not supported')
        if name == "$return" and direction != "out":
            raise FunctionLoadError(function, '"$return" binding must have direction set to "out"')
        if has_implicit_output(kind):
            # Of several the last one encodes, also when it has nothing to do with the return value.
            implicit = kind
    return bindings["$return"][0] if "$return" in bindings else implicit


def _check_context(function: str, annotations: Mapping[str, Any]) -> None:
    annotation = annotations.get("context")
    is_context = isinstance(annotation, type) and annotation.__name__ == "Context"
    if "context" in annotations and not is_context:
        raise FunctionLoadError(
            function,
            f'the "context" parameter is expected to be of type azure.functions.Context, got {annotation!r}',
        )


def _check_names(function: str, declared: set[str], bound: set[str]) -> None:
    if extra := declared - bound:
        raise FunctionLoadError(
            function, f"the following parameters are declared in Python but not in function.json: {_set(extra)}"
        )
    if missing := bound - declared:
        raise FunctionLoadError(
            function, f"the following parameters are declared in function.json but not in Python: {_set(missing)}"
        )


def _parameter_type(function: str, name: str, kind: str, direction: str, annotations: Mapping[str, Any]) -> str:
    """The binding type whose converter serves a parameter."""
    if name not in annotations:
        return kind
    annotation = annotations[name]
    is_out = getattr(typing.get_origin(annotation) or annotation, "__name__", None) == "Out"
    pytype = annotation
    if is_out:
        arguments = typing.get_args(annotation)
        if len(arguments) != 1:
            raise FunctionLoadError(function, f"binding {name} has invalid Out annotation {annotation!r}")
        pytype = arguments[0]
    if not isinstance(pytype, type) and not _is_generic(pytype):
        raise FunctionLoadError(function, f"binding {name} has invalid non-type annotation {annotation!r}")
    if direction == "out" and not is_out:
        raise FunctionLoadError(
            function,
            f'binding {name} is declared to have the "out" direction, but its annotation in Python '
            "is not a subclass of azure.functions.Out",
        )
    if direction != "out" and is_out:
        raise FunctionLoadError(
            function,
            f'binding {name} is declared to have the "in" direction in function.json, but its annotation '
            "is azure.functions.Out in Python",
        )
    chosen = "generic" if pytype in (str, bytes) and not has_implicit_output(kind) else kind
    check = getattr(converter(chosen), f"check_{'output' if is_out else 'input'}_type_annotation")
    if not check(pytype):
        raise FunctionLoadError(
            function,
            f'type of {name} binding in function.json "{kind}" does not match its Python '
            f'annotation "{pytype.__name__}"',
        )
    return chosen


def _check_return(function: str, kind: str, annotation: Any) -> None:
    if getattr(typing.get_origin(annotation) or annotation, "__name__", None) == "Out":
        raise FunctionLoadError(function, "return annotation should not be azure.functions.Out")
    if not isinstance(annotation, type):
        raise FunctionLoadError(function, f"has invalid non-type return annotation {annotation!r}")
    if not converter(kind).check_output_type_annotation(annotation):
        raise FunctionLoadError(
            function, f'Python return annotation "{annotation.__name__}" does not match binding type "{kind}"'
        )


def _is_generic(annotation: Any) -> bool:
    """Whether the worker takes it for a generic type: Dict[str, str] is; dict[str, str] and Optional are not."""
    if isinstance(annotation, types.GenericAlias | types.UnionType):
        return False
    origin = typing.get_origin(annotation)
    return origin not in (None, typing.Union, tuple, typing.ClassVar, collections.abc.Callable)


def _set(names: set[str]) -> str:
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"
