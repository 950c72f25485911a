"""The README's commands, run as they stand there, against one host with other ports."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(tmp_path: Path) -> Iterator["Run"]:
    """Runs commands in an empty folder, with the README's ports and interpreter replaced by the test's."""
    app = tmp_path / "app"
    for name in ("HttpStart", "E3_Monitor", "E3_TooManyOpenIssues", "E3_SendAlert", "host.json"):
        (app / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, app / name)
    command = [sys.executable, "-W", "ignore", "-m", "durable_host", "--script-root", str(app), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    host = subprocess.Popen(
        [*command, "--sandbox", "0"], env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        yield Run(host, app, environment)
    finally:
        host.terminate()
        host.wait(timeout=30)
        assert host.stdout is not None
        host.stdout.close()


class Run:
    """A started host, and a shell for the README's commands."""

    def __init__(self, host: "subprocess.Popen[str]", app: Path, environment: dict[str, str]) -> None:
        assert host.stdout is not None
        printed = []
        for line in host.stdout:
            printed.append(line)
            if line.strip().endswith("/sms"):
                break
        self.printed = "".join(printed)
        self._host_port = self._find(r"Dashboard: http://localhost:(\d+)/")
        self._sandbox_port = self._find(r"Sandbox: +http://localhost:(\d+)/")
        self._app = app
        self._environment = environment

    def _find(self, pattern: str) -> str:
        found = re.search(pattern, self.printed)
        assert found is not None, self.printed
        return found[1]

    def __call__(self, commands: str) -> str:
        """What the commands print; each of them must succeed."""
        for old, new in (
            (":7071", f":{self._host_port}"),
            (":7072", f":{self._sandbox_port}"),
            (".venv/bin/python", sys.executable),
            ("python3 -c", f"{sys.executable} -c"),
            ("curl", "curl --fail-with-body -sS"),
        ):
            commands = commands.replace(old, new)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self._app,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


needs_shell = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None,
    reason="the README's commands need curl and bash: install them to have this test run",
)


@needs_shell
def test_the_readmes_commands_do_what_it_says(run: Run) -> None:
    start, story, manage, clean_up, usage, replay = BLOCKS

    assert start.strip() == "make start"
    post, *more = story.strip().splitlines()
    run(post)
    while '"checks":1' not in run("curl http://localhost:7071/runtime/webhooks/durabletask/instances"):
        pass  # Who types the next line is slower than the first check.
    *_, sent = run("\n".join(more)).splitlines()
    (sms,) = json.loads(sent[sent.rindex("[") :])
    assert sms["to"] == "+14255550100"
    assert sms["body"] in README
    assert '"runtimeStatus":"Completed"' in run(
        "curl http://localhost:7071/runtime/webhooks/durabletask/instances"
    )
    assert '"instanceId":"mine"' in run(manage)
    while '"Terminated"' not in run("curl http://localhost:7071/runtime/webhooks/durabletask/instances/mine"):
        pass  # A terminate is answered before it takes effect.
    assert "--skip-time" in run(usage)
    assert "replays" in run(replay)
    run(manage.splitlines()[1])
    # Nothing is old enough to be purged, which the API answers with 404.
    run(clean_up.replace("2026-01-01", "2100-01-01"))
    while run("curl http://localhost:7071/runtime/webhooks/durabletask/instances?runtimeStatus=Running") != "[]":
        pass  # As above.


@needs_shell
def test_the_commands_that_the_host_prints_can_be_pasted(run: Run) -> None:
    commands = "\n".join(line for line in run.printed.splitlines() if line.strip().startswith("curl"))

    answer = run(commands)

    assert '"statusQueryGetUri"' in answer
    assert '"open_issues": 5' in answer


def test_make_start_starts_the_host_with_the_sandbox() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not there: the README has three lines for those without it")

    recipe = subprocess.run(
        [make, "--no-print-directory", "-n", "start"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert recipe.rstrip().endswith(".venv/bin/python -m durable_host --sandbox")


def test_the_readmes_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README) + re.findall(r'(?:src|srcset)="([^"]+)"', README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_what_the_security_page_names_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))

    assert {link for link in links if link.startswith("tests/hostile/")} == {
        f"tests/hostile/{file.name}" for file in (ROOT / "tests" / "hostile").glob("test_*.py")
    }
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_every_setting_of_the_example_is_explained() -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))

    assert example["IsEncrypted"] is False
    assert [name for name in example["Values"] if f"`{name}`" not in README] == []
