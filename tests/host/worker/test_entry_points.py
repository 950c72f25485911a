import typing
from pathlib import Path

import pytest

from durable_host.worker.entry_points import FunctionLoadError, fit
from tests.host.apps import (
    ACTIVITY,
    HTTP,
    ORCHESTRATOR,
    RETURN,
    SMS,
    STARTER,
    load_error,
)

OPTIONAL = repr(typing.Optional[str])  # noqa: UP045 - Python 3.14 writes it otherwise.


def load_text(root: Path, code: str, *bindings: dict[str, str]) -> str:
    return load_error(root, code, *bindings).removeprefix("FunctionLoadError: cannot load the F function: ")


@pytest.mark.parametrize(
    ("code", "bindings"),
    [
        ("def main(value): pass", [ACTIVITY]),
        ("def main(value: str) -> bool: pass", [ACTIVITY]),
        ("def main(value: Any): pass", [ACTIVITY]),
        ("def main(value: Dict[str, str]) -> Optional[str]: pass", [ACTIVITY]),
        ("def main(value: typing.List[int], context: func.Context): pass", [ACTIVITY]),
        ("def main(value: str, message: func.Out[str]) -> str: pass", [ACTIVITY, SMS]),
        ("def main(value: str, message: func.Out[bytes]): pass", [ACTIVITY, SMS]),
        ("def main(value, message): pass", [ACTIVITY, SMS]),
        ("main = df.Orchestrator.create(lambda context: None)", [ORCHESTRATOR]),
        ("def main(context: func.OrchestrationContext): pass", [ORCHESTRATOR]),
        (
            "async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse: pass",
            [HTTP, RETURN, STARTER],
        ),
        ("def main(req, starter: bytes) -> str: pass", [HTTP, RETURN, {**STARTER, "type": "orchestrationClient"}]),
        ("def main(req, res: func.Out[func.HttpResponse]): pass", [HTTP, {**RETURN, "name": "res"}]),
    ],
)
def test_a_signature_that_azures_worker_takes_is_taken(
    tmp_path: Path, code: str, bindings: list[dict[str, str]]
) -> None:
    assert load_error(tmp_path, code, *bindings) == ""


@pytest.mark.parametrize(
    ("code", "bindings", "text"),
    [
        ("def main(value): pass", [{**ACTIVITY, "direction": "inout"}], '"inout" bindings are not supported'),
        (
            "def main(value, context: str): pass",
            [ACTIVITY],
            "the \"context\" parameter is expected to be of type azure.functions.Context, got <class 'str'>",
        ),
        (
            "main = df.Orchestrator.create(lambda context: None)",
            [{**ORCHESTRATOR, "name": "ctx"}],
            'the "context" parameter is expected to be of type azure.functions.Context, '
            "got <class 'azure.functions._durable_functions.OrchestrationContext'>",
        ),
        (
            "def main(value, y=1, **more): pass",
            [ACTIVITY],
            "the following parameters are declared in Python but not in function.json: {'more', 'y'}",
        ),
        (
            "def main(value): pass",
            [ACTIVITY, SMS],
            "the following parameters are declared in function.json but not in Python: {'message'}",
        ),
        (
            "def main(value, message: func.Out): pass",
            [ACTIVITY, SMS],
            "binding message has invalid Out annotation <class 'azure.functions._abc.Out'>",
        ),
        (
            "def main(value: Optional[str]): pass",
            [ACTIVITY],
            f"binding value has invalid non-type annotation {OPTIONAL}",
        ),
        (
            "def main(value: str | None): pass",
            [ACTIVITY],
            "binding value has invalid non-type annotation str | None",
        ),
        (
            "def main(value: dict[str, str]): pass",
            [ACTIVITY],
            "binding value has invalid non-type annotation dict[str, str]",
        ),
        (
            "def main(value: Callable): pass",
            [ACTIVITY],
            "binding value has invalid non-type annotation typing.Callable",
        ),
        (
            "def main(value, message: str): pass",
            [ACTIVITY, SMS],
            'binding message is declared to have the "out" direction, but its annotation in Python is not '
            "a subclass of azure.functions.Out",
        ),
        (
            "def main(value: func.Out[str]): pass",
            [ACTIVITY],
            'binding value is declared to have the "in" direction in function.json, but its annotation is '
            "azure.functions.Out in Python",
        ),
        (
            "def main(value, message: func.Out[dict]): pass",
            [ACTIVITY, SMS],
            'type of message binding in function.json "twilioSms" does not match its Python annotation "dict"',
        ),
        (
            "def main(req: dict): pass",
            [HTTP],
            'type of req binding in function.json "httpTrigger" does not match its Python annotation "dict"',
        ),
        (
            "def main(req, starter: df.DurableOrchestrationClient): pass",
            [HTTP, STARTER],
            'type of starter binding in function.json "durableClient" does not match its Python annotation '
            '"DurableOrchestrationClient"',
        ),
        (
            "def main(context: str): pass",
            [ORCHESTRATOR],
            'type of context binding in function.json "orchestrationTrigger" does not match its Python '
            'annotation "str"',
        ),
        (
            "def main(req) -> func.Out[str]: pass",
            [HTTP, RETURN],
            "return annotation should not be azure.functions.Out",
        ),
        (
            "def main(req) -> Optional[str]: pass",
            [HTTP, RETURN],
            f"has invalid non-type return annotation {OPTIONAL}",
        ),
        (
            "def main(req) -> dict: pass",
            [HTTP, RETURN],
            'Python return annotation "dict" does not match binding type "http"',
        ),
        (
            "def main(req) -> None: pass",
            [HTTP, RETURN],
            'Python return annotation "NoneType" does not match binding type "http"',
        ),
    ],
)
def test_a_signature_that_azures_worker_refuses_is_refused_in_its_words(
    tmp_path: Path, code: str, bindings: list[dict[str, str]], text: str
) -> None:
    assert load_text(tmp_path, code, *bindings) == text


def test_a_return_binding_must_go_out() -> None:
    with pytest.raises(
        FunctionLoadError, match=r'^cannot load the F function: "\$return" binding must have direction'
    ):
        fit("F", lambda req: None, {"req": ("httpTrigger", "in"), "$return": ("http", "in")})
