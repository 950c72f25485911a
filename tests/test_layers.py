"""Who may import whom: read from the sources, so that no import has to happen."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Innermost first: a module imports only modules above it.
ORDER = (
    *("errors", "clock", "values"),
    *(
        "engine.events",
        "engine.actions",
        "engine.determinism",
        "engine.registry",
        "engine.play",
        "engine.episode",
        "engine.failures",
        "engine.check",
    ),
    *(
        "http.net_dates",
        "functions.settings",
        "functions.durable_options",
        "functions.host_json",
        "functions.routes",
        "worker.tracebacks",
    ),
    *(
        "worker.converters",
        "worker.entry_points",
        "worker.function_json",
        "functions.triggers",
        "dispatch.twilio_sms",
        "http.answers",
    ),
    *("worker.threads", "worker.invoke"),
    *("hub.records", "hub.file", "hub.taskhub", "hub.inbox", "hub.instances", "http.status_json"),
    *(
        "dispatch.watchdog",
        "dispatch.invocations",
        "dispatch.activities",
        "dispatch.outage",
        "dispatch.dispatcher",
        "http.messages",
        "http.refusals",
        "http.webhooks",
    ),
    *("http.callers", "http.bodies", "http.admin", "http.server", "worker.sdk", "host"),
    *("console", "guard", "stopping", "__main__"),
)
PURE = (
    "http.net_dates",
    "engine.events",
    "engine.actions",
    "engine.determinism",
    "engine.registry",
    "engine.play",
    "engine.episode",
    "engine.failures",
)
# Nothing that opens a file, a socket, a thread or a database, or reads a clock.
HARMLESS = {
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "itertools",
    "json",
    "re",
    "typing",
    "uuid",
}
APP = sorted(folder.parent.name for folder in ROOT.glob("*/function.json"))

HOST_FILES = sorted((ROOT / "durable_host").glob("**/*.py"))
SANDBOX_FILES = sorted((ROOT / "sandbox").glob("**/*.py"))
APP_FILES = sorted(file for name in APP for file in (ROOT / name).glob("**/*.py"))


def imports(file: Path) -> Iterator[str]:
    """The full names of what a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top_level(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(file)}


def texts(file: Path) -> Iterator[str]:
    """The names and strings in a file's code; docstrings are none of it."""
    tree = ast.parse(file.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
    yield from imports(file)


def test_every_module_of_the_host_has_its_place() -> None:
    files = [file.relative_to(ROOT / "durable_host") for file in HOST_FILES if file.stem != "__init__"]

    assert sorted(ORDER) == sorted(".".join(file.with_suffix("").parts) for file in files)


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_modules_above_it(module: str) -> None:
    above = set(ORDER[: ORDER.index(module)])

    file = ROOT / "durable_host" / f"{module.replace('.', '/')}.py"
    own = {name.removeprefix("durable_host.") for name in imports(file) if name.startswith("durable_host.")}

    assert all(name in above or name.rpartition(".")[0] in above for name in own)


@pytest.mark.parametrize("module", PURE)
def test_where_the_rules_live_nothing_touches_the_world(module: str) -> None:
    file = ROOT / "durable_host" / f"{module.replace('.', '/')}.py"

    assert top_level(file) <= HARMLESS | {"durable_host"}


def test_the_app_knows_no_host_and_no_sandbox() -> None:
    assert APP == ["E3_Monitor", "E3_SendAlert", "E3_TooManyOpenIssues", "HttpStart"]
    for file in APP_FILES:
        assert not top_level(file) & {"durable_host", "sandbox"}, file


def test_the_host_knows_no_app() -> None:
    for file in HOST_FILES:
        assert not [text for text in texts(file) if any(name in text for name in APP)], file


def test_the_host_knows_the_sdk_in_one_module_only() -> None:
    knowing = [file.stem for file in HOST_FILES if any("azure.durable_functions" in text for text in texts(file))]

    assert knowing == ["sdk"]


def test_the_sandbox_knows_neither_and_only_the_command_line_knows_it() -> None:
    for file in SANDBOX_FILES:
        assert not top_level(file) & {"durable_host", *APP}, file
    assert [file.stem for file in HOST_FILES if "sandbox" in top_level(file)] == ["__main__"]
