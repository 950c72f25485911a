"""Which converter of azure.functions turns a binding's data into a Python value, and back.

Not here: calling a function (`invoke`).
"""

from collections.abc import Callable
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum

_registry: Callable[[], Any] = func.get_binding_registry


class GenericBinding:
    """For every binding type that azure.functions does not know, such as orchestrationClient.

    Source: azure-functions-python-worker 4.34, bindings/generic.py.
    """

    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        """Whether a parameter may have this annotation."""
        return issubclass(pytype, str | bytes)

    @classmethod
    def check_output_type_annotation(cls, pytype: type) -> bool:
        """Whether func.Out may hold this type."""
        return issubclass(pytype, str | bytes | bytearray)

    @classmethod
    def has_implicit_output(cls) -> bool:
        """A function with such a binding may return a value without a $return binding."""
        return True

    @classmethod
    def encode(cls, obj: Any, *, expected_type: type | None) -> Datum:
        """A Python value as data; NotImplementedError for a type that has no such form."""
        match obj:
            case None:
                return Datum(None, None)
            case str():
                return Datum(obj, "string")
            case bytes() | bytearray():
                return Datum(bytes(obj), "bytes")
            case dict() | list():
                return Datum(obj, type(obj).__name__)
            case int():
                # The wire has no boolean: True arrives as 1.
                return Datum(int(obj), "int")
            case float():
                return Datum(obj, "double")
        raise NotImplementedError

    @classmethod
    def decode(cls, data: Datum, *, trigger_metadata: Any) -> Any:
        """Text and bytes as they are; ValueError for anything else."""
        if data.type not in ("string", "bytes", "json"):
            raise ValueError(f'unexpected type of data received for the "generic" binding : {data.type!r}')
        return data.value


def converter(binding_type: str) -> Any:
    """The class that converts for a binding type; letter case counts here, as in Azure's worker."""
    return _registry().get(binding_type) or GenericBinding


def has_implicit_output(binding_type: str) -> bool:
    """Whether a function with such a binding may return a value without a $return binding."""
    # Converters for output only, such as `http`, have no such method.
    return bool(getattr(converter(binding_type), "has_implicit_output", lambda: False)())


def decode(binding_type: str, data: Datum) -> Any:
    """The Python value of a parameter. Raises what the converter raises, such as ValueError."""
    return converter(binding_type).decode(data, trigger_metadata={})


def encode(binding_type: str, value: Any) -> Datum:
    """A returned or set value as data. Raises what the converter raises, or TypeError in the worker's words."""
    chosen = converter(binding_type)
    try:
        data: Datum = chosen.encode(value, expected_type=None)
    except NotImplementedError:
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "{chosen}" for '
            f'Python type "{type(value).__name__}"'
        ) from None
    return data
