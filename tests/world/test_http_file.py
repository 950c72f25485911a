"""`test.http`, sent from top to bottom by httpyac against the host: everything that it shows works."""

import json
from pathlib import Path
from typing import Any

import pytest

from durable_host import Clock, Host, RealClock
from sandbox.server import Sandbox
from tests.conftest import ROOT
from tests.processes import run

NPM = ROOT / "tests" / "npm"
HTTPYAC = NPM / "node_modules" / ".bin" / "httpyac"
STATUSES = {
    "quiet": 200,
    "start": 202,
    "status": 202,
    "history": 202,
    "suspend": 202,
    "list": 200,
    "resume": 202,
    "busy": 200,
    "skip": 200,
    "sms": 200,
    "finished": 200,
    "purge": 200,
    "own": 202,
    "duplicate": 409,
    "terminate": 202,
    "refused": 400,
    "forget": 204,
}


@pytest.fixture
def clock() -> Clock:
    """Timers wait until a test moves the time."""
    return RealClock()


async def _send(file: Path) -> list[dict[str, Any]]:
    plugin = str(NPM / "rest_client_names.cjs")
    command = (HTTPYAC, "send", file.name, "--all", "--json")
    _, output = await run(*command, cwd=file.parent, env={"HTTPYAC_PLUGIN": plugin})
    answers: list[dict[str, Any]] = json.loads(output)["requests"]
    return answers


@pytest.mark.skipif(
    not HTTPYAC.exists(), reason="httpyac is not installed: `make test-npm` does it, and runs this"
)
async def test_every_request_of_the_file_is_answered_as_it_says(
    host: Host, sandbox: Sandbox, tmp_path: Path
) -> None:
    text = (ROOT / "test.http").read_text()
    text = text.replace("= http://localhost:7071", f"= {host.url}")
    text = text.replace("= http://localhost:7072", f"= {sandbox.url}")
    (tmp_path / "test.http").write_text(text)

    answers = {answer["name"]: answer["response"] for answer in await _send(tmp_path / "test.http")}

    bodies = {name: json.loads(each["body"]) for name, each in answers.items() if each.get("body")}
    assert {name: each["statusCode"] for name, each in answers.items()} == STATUSES
    assert bodies["status"]["runtimeStatus"] in ("Pending", "Running")
    assert [each["instanceId"] for each in bodies["list"]] == [bodies["start"]["id"]]
    # It is asked for at once, and the suspend takes effect with the next episode.
    assert bodies["list"][0]["runtimeStatus"] in ("Pending", "Running", "Suspended")
    assert [sms["to"] for sms in bodies["sms"]] == ["+14255550100"]
    assert bodies["finished"]["output"]["outcome"] == "alerted"
    assert bodies["refused"]["error"]["field"] == "repo"
