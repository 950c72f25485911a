"""What `.funcignore` lets through to Azure, by the rules of each of the tools that read it."""

import os
import re
import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from pathspec import GitIgnoreSpec

from sandbox.server import Sandbox
from tests.conftest import ROOT
from tests.processes import running

PACKAGE = [
    *("E3_Monitor/__init__.py", "E3_Monitor/function.json", "E3_Monitor/monitoring_request.py"),
    *("E3_SendAlert/__init__.py", "E3_SendAlert/function.json", "E3_SendAlert/sms.py"),
    *("E3_TooManyOpenIssues/__init__.py", "E3_TooManyOpenIssues/function.json", "E3_TooManyOpenIssues/github.py"),
    *("E3_TooManyOpenIssues/outgoing.py", "HttpStart/__init__.py", "HttpStart/function.json"),
    *("HttpStart/sample.dat", "host.json", "requirements.txt"),
]
LITTER = [
    *(".azure/config.json", ".env", ".venv/bin/python", ".venv/.lock", "build/lib/durable_host/host.py"),
    *("dist/github_issue_monitor-0.1.0.tar.gz", "github_issue_monitor.egg-info/PKG-INFO"),
    *("monitor_env/bin/python", "E3_Monitor/__pycache__/__init__.cpython-313.pyc", "__azurite_db_queue__.json"),
    *("__blobstorage__/0c6f", "__pycache__/x.cpython-313.pyc", "AzuriteConfig", "local.settings.json"),
    *("node_modules/httpyac/package.json", "tests/npm/node_modules/.bin/httpyac"),
]
IsIgnored = Callable[[str], bool]


def core_tools_4_13(lines: list[str]) -> IsIgnored:
    """No gitignore, but a regex that a path begins with.

    Source: azure-functions-core-tools 4.0 to 4.13, GitIgnoreParser.
    """
    return _core_tools(lines, "")


def core_tools_main(lines: list[str]) -> IsIgnored:
    """As before, up to the end of a word. Source: azure-functions-core-tools main of 2026, GitIgnoreParser."""
    return _core_tools(lines, r"\b")


def _core_tools(lines: list[str], end: str) -> IsIgnored:
    def pattern(line: str) -> str:
        escaped = re.sub(r"[-\[\]/{}()+?.\\^$|]", r"\\\g<0>", line.removeprefix("/"))
        return escaped.replace("**", "(.+)").replace("*", r"([^\/]+)")

    denied = re.compile("^((" + ")|(".join(map(pattern, lines)) + "))" + end, re.ASCII)
    return lambda path: denied.match(path) is not None


def azd(lines: list[str]) -> IsIgnored:
    """Gitignore's rules; a folder that matches is skipped whole. Source: azure-dev of 2026, buildForZip."""
    spec = GitIgnoreSpec.from_lines(lines)
    return lambda path: any(spec.match_file(f"{folder}/") for folder in _parents(path)) or spec.match_file(path)


def vs_code(lines: list[str]) -> IsIgnored:
    """Each line is a glob of VS Code's: `*` stays within a segment, `**/` is any folders; a folder goes whole.

    Source: vscode-azuretools of 2023, getFilesFromGitignore.
    """

    def matches(line: str, path: str) -> bool:
        if line.startswith("**/"):
            return any(matches(line[3:], part) for part in path.split("/"))
        return "/" not in path and fnmatchcase(path, line)

    return lambda path: any(matches(line, each) for line in lines for each in (*_parents(path), path))


def _parents(path: str) -> list[str]:
    return [parent.as_posix() for parent in Path(path).parents if parent.name]


def _package(folder: Path, reader: Callable[[list[str]], IsIgnored]) -> list[str]:
    lines = [line for line in (ROOT / ".funcignore").read_text().splitlines() if not line.startswith("#")]
    is_ignored = reader(lines)
    package: list[str] = []
    for parent, folders, files in os.walk(folder):
        place = Path(parent).relative_to(folder)
        # Core Tools leaves git's own files out whatever the file says; the others match them by `.*`.
        folders[:] = [each for each in folders if each != ".git" and not is_ignored((place / each).as_posix())]
        package += [path for each in files if not is_ignored(path := (place / each).as_posix())]
    return sorted(package)


READERS = pytest.mark.parametrize("reader", [core_tools_4_13, core_tools_main, azd, vs_code])


@READERS
def test_what_is_deployed_is_the_app_alone(reader: Callable[[list[str]], IsIgnored], tmp_path: Path) -> None:
    # What git ignores lies here or not, as the last command left it.
    ignored = GitIgnoreSpec.from_lines([".git", *(ROOT / ".gitignore").read_text().splitlines()])

    def without_ignored(folder: str, names: list[str]) -> list[str]:
        place = Path(folder).relative_to(ROOT)
        paths = {name: f"{(place / name).as_posix()}{'/' * (ROOT / place / name).is_dir()}" for name in names}
        return [name for name, path in paths.items() if ignored.match_file(path)]

    checkout = shutil.copytree(ROOT, tmp_path / "checkout", ignore=without_ignored)

    assert _package(checkout, reader) == PACKAGE


def test_the_docs_list_what_is_deployed() -> None:
    listed = (ROOT / "docs" / "azure.md").read_text().split("## What is deployed")[1].split("```")[1]

    assert listed.split() == PACKAGE


@READERS
def test_what_tools_leave_in_the_folder_is_not_deployed(
    reader: Callable[[list[str]], IsIgnored], tmp_path: Path
) -> None:
    for path in [*PACKAGE, *LITTER]:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")

    assert _package(tmp_path, reader) == PACKAGE


async def test_the_package_runs_without_the_rest_of_the_repository(sandbox: Sandbox, tmp_path: Path) -> None:
    for path in PACKAGE:
        (tmp_path / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / "app" / path)
    # The host alone: where it lies in the repository, the app would be importable too.
    (tmp_path / "durable_host").symlink_to(ROOT / "durable_host")
    sandbox.set_repository("octo/cat", open_issues=5)

    arguments = ("--script-root", tmp_path / "app", "--hub", tmp_path / "hub.db")
    async with running(*arguments, cwd=tmp_path) as host, ClientSession(host.url) as client:
        request = {"repo": "octo/cat", "phone": "+14255550100"}
        async with client.post("/orchestrators/E3_Monitor", json=request) as response:
            started = await response.json()
        status: dict[str, Any] = {"runtimeStatus": "Pending"}
        while status["runtimeStatus"] in ("Pending", "Running"):
            async with client.get(started["statusQueryGetUri"]) as response:
                status = await response.json()

    assert status["output"]["outcome"] == "alerted"
    assert [sms["to"] for sms in sandbox.sms] == ["+14255550100"]
