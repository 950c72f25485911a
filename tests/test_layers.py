"""Who may import whom: read from the sources, so that no import has to happen."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Each room of the host, and what of ours its modules import. A module may import others of its own room.
ROOMS = {
    "errors": "",
    "values": "errors",
    "clock": "",
    "engine": "errors values",
    "hub": "errors values clock engine",
    "functions": "errors values clock",
    "worker": "errors values",
    "dispatch": "errors values clock engine hub functions worker",
    "http": "errors values clock engine hub functions dispatch worker.protocol",
    "console": "errors functions",
    "host": "errors values clock engine hub functions dispatch http worker",
    "__main__": "errors clock console dispatch.spawning engine functions host",
    "__init__": "clock errors host",  # At the first use of a name, so that a worker starts light.
}
# Of another room, only these modules may be imported by the rooms that name them.
DOORS = {"worker": {"dispatch": ("protocol", "serving", "threads"), "host": ("protocol",)}}
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
PURE = [f for f in HOST_FILES if f.parent.name == "engine" and f.stem != "check"]
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


def room(file: Path) -> str:
    return file.relative_to(ROOT / "durable_host").parts[0].removesuffix(".py")


def test_every_module_of_the_host_is_in_a_room() -> None:
    assert {room(file) for file in HOST_FILES} == ROOMS.keys()


@pytest.mark.parametrize("file", HOST_FILES, ids=lambda file: str(file.relative_to(ROOT / "durable_host")))
def test_a_module_imports_its_own_room_and_those_that_the_table_names(file: Path) -> None:
    allowed = ROOMS[room(file)].split()

    for name in imports(file):
        top, _, module = name.partition(".")
        if top != "durable_host" or module.split(".")[0] == room(file):
            continue
        assert any(module == each or module.startswith(f"{each}.") for each in allowed), f"{file}: {name}"
        other, *inner = module.split(".")
        assert inner[:1] == [] or inner[0] in DOORS.get(other, {}).get(room(file), inner[0]), f"{file}: {name}"


@pytest.mark.parametrize("file", PURE, ids=lambda file: file.stem)
def test_where_the_rules_live_nothing_touches_the_world(file: Path) -> None:
    assert top_level(file) <= HARMLESS | {"durable_host"}


def test_the_app_knows_no_host_and_no_sandbox() -> None:
    assert APP == ["E3_Monitor", "E3_SendAlert", "E3_TooManyOpenIssues", "HttpStart"]
    for file in APP_FILES:
        assert not top_level(file) & {"durable_host", "sandbox"}, file


def test_the_host_knows_no_app() -> None:
    for file in HOST_FILES:
        assert not [text for text in texts(file) if any(name in text for name in APP)], file


def test_azures_packages_are_known_to_the_worker_alone_and_the_sdks_inside_to_one_module() -> None:
    knowing = {room(file) for file in HOST_FILES if "azure" in top_level(file)}
    touching = [file.stem for file in HOST_FILES if any("azure.durable_functions" in text for text in texts(file))]

    assert knowing == {"worker"}
    assert touching == ["sdk"]


def test_an_outside_service_is_named_only_where_its_output_binding_is_carried_out() -> None:
    naming = {
        file.stem
        for file in HOST_FILES
        if any(re.search("twilio|github", text, re.IGNORECASE) for text in texts(file))
    }

    assert naming == {"twilio_sms", "workers"}


def test_the_sandbox_knows_neither_and_only_the_command_line_knows_it() -> None:
    for file in SANDBOX_FILES:
        assert not top_level(file) & {"durable_host", *APP}, file
    assert [file.stem for file in HOST_FILES if "sandbox" in top_level(file)] == ["__main__"]
