"""`scripts/keep_watching.py`: what a timer runs to keep repositories watched, against a host of its own."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable_host import Clock, Host, RealClock
from sandbox.server import Sandbox
from tests.conftest import ROOT
from tests.processes import run

CAT = {"repo": "octo/cat", "phone": "+14255550100", "expiry_seconds": 3600}
DOG = {**CAT, "repo": "octo/dog"}


@pytest.fixture
def clock() -> Clock:
    """Timers wait until a test moves the time."""
    return RealClock()


@pytest.fixture
def listed(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the file that lists the monitors."""

    def write(text: str) -> Path:
        file = tmp_path / "monitors.json"
        file.write_text(text)
        return file

    return write


Listed = Callable[[str], Path]


async def keep(file: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run the script as a timer does; its exit code and lines."""
    code, output = await run(sys.executable, ROOT / "scripts" / "keep_watching.py", file, *arguments)
    return code, output.splitlines()


async def output(host: Host, instance_id: str) -> Any:
    status = await host.status(instance_id)
    assert status is not None
    return status["output"]


async def test_what_does_not_run_is_started_and_what_runs_is_left_alone(host: Host, listed: Listed) -> None:
    file = listed(json.dumps({"cat": CAT, "dog": DOG}))

    first = await keep(file, "--url", host.url)
    await host.terminate("dog")
    second = await keep(file, "--url", f"{host.url}/")

    assert first == (0, ["cat: started", "dog: started"])
    assert second == (0, ["cat: running", "dog: started"])


async def test_a_monitor_that_expired_is_started_again(host: Host, listed: Listed) -> None:
    file = listed(json.dumps({"cat": CAT}))
    await keep(file, "--url", host.url)
    await host.advance(3600)

    assert (await output(host, "cat"))["outcome"] == "expired"
    assert await keep(file, "--url", host.url) == (0, ["cat: started"])


@pytest.mark.parametrize("fault", [None, 400, "lost reply"])
async def test_after_an_alert_there_is_a_pause(host: Host, sandbox: Sandbox, listed: Listed, fault: Any) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)
    sandbox.set_twilio(status=fault)
    file = listed(json.dumps({"cat": CAT, "dog": {**DOG, "again_after": 0}}))
    sandbox.set_repository("octo/dog", open_issues=5)
    await keep(file, "--url", host.url)
    await host.wait("cat")
    await host.wait("dog")
    sent = len(sandbox.sms)

    code, lines = await keep(file, "--url", host.url)
    await host.wait("dog")

    assert code == 0
    assert re.fullmatch(r"cat: alert\w*( \w+)?, started again after \d{4}-\d\d-\d\d \d\d:\d\d UTC", lines[0])
    assert lines[1] == "dog: started"
    assert len(sandbox.sms) == (0 if fault == 400 else sent + 1)


async def test_one_that_cannot_be_started_keeps_no_other_from_it(host: Host, listed: Listed) -> None:
    file = listed(json.dumps({"cat": {**CAT, "phone": "4255550100"}, "a b": CAT, "dog": DOG}))

    code, lines = await keep(file, "--url", host.url)

    assert code == 1
    assert sum(": not started: " in line for line in lines) == 2
    assert f"cat: not started: {host.url} answered 400 to its start: phone must be E.164" in "\n".join(lines)
    assert "dog: started" in lines


async def test_a_host_that_is_not_there_is_told(listed: Listed, unused_tcp_port: int) -> None:
    file = listed(json.dumps({"cat": CAT}))

    code, lines = await keep(file, "--url", f"http://localhost:{unused_tcp_port}")

    assert code == 1
    assert lines[0].startswith("cat: not started: ")


@pytest.mark.parametrize("text", ["", "[]", '{"cat": 5}'])
async def test_a_file_that_lists_no_monitors_is_told_in_one_line(listed: Listed, text: str) -> None:
    file = listed(text)

    code, lines = await keep(file)

    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"{file}: expected a JSON object with a monitoring request for each id")


async def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    code, lines = await keep(tmp_path / "none.json")

    assert (code, len(lines)) == (1, 1)
