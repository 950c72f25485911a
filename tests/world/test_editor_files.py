"""`.vscode/`, `.devcontainer/` and the documents: what they name is there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))


def _json(path: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / path).read_text())
    return document


def test_the_launch_configurations_name_what_is_there() -> None:
    launches = _json(".vscode/launch.json")["configurations"]
    tasks = {task["label"] for task in _json(".vscode/tasks.json")["tasks"]}

    assert {each["module"] for each in launches if "module" in each} == {"durable_host"}
    assert {each["preLaunchTask"] for each in launches if "preLaunchTask" in each} <= tasks
    assert {each["args"][0] for each in launches if "args" in each} == {"--sandbox"}


def test_the_container_is_what_azure_runs_with_the_editors_extensions() -> None:
    container = _json(".devcontainer/devcontainer.json")
    runtime = re.search(r"name: 'python'\s+version: '([\d.]+)'", (ROOT / "infra" / "app.bicep").read_text())

    assert runtime is not None
    assert f"/python:{runtime[1]}-" in container["image"]
    assert (
        container["customizations"]["vscode"]["extensions"] == _json(".vscode/extensions.json")["recommendations"]
    )


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_links_and_paths_of_a_page_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:\.vscode|\.devcontainer|bench|docs|infra|scripts|tests)/[\w./-]*)`", text)

    for link in links:
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    assert [path for path in paths if not (ROOT / path).exists()] == []
