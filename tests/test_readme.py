"""The README's commands, run as they stand there, against one host with other ports."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, needs_shell
from tests.processes import Running, run, running

README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTANCES = "curl http://localhost:7071/runtime/webhooks/durabletask/instances"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator["Shell"]:
    """A shell in an empty folder, with the README's ports and interpreter replaced by the test's."""
    app = tmp_path / "app"
    for name in ("HttpStart", "E3_Monitor", "E3_TooManyOpenIssues", "E3_SendAlert", "host.json"):
        (app / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, app / name)
    env = {"PYTHONPATH": str(ROOT)}
    arguments = ("--script-root", app, "--sandbox", "0")
    async with running(*arguments, python=("-W", "ignore"), cwd=tmp_path, env=env) as host:
        await host.until("/sms\n")
        yield Shell(host, app)


class Shell:
    """A shell for the README's commands, beside a host that runs."""

    def __init__(self, host: Running, app: Path) -> None:
        self.printed = host.printed
        self._app = app
        (sandbox_url,) = re.findall(r"Sandbox: +(http://\S+)/", host.printed)
        self._replaced = {
            "http://localhost:7071": host.url,
            "http://localhost:7072": sandbox_url,
            ".venv/bin/python": sys.executable,
            "python3 -c": f"{sys.executable} -c",
            "curl": "curl --fail-with-body -sS",
        }

    async def run(self, commands: str) -> str:
        """What the commands print; each of them must succeed."""
        for old, new in self._replaced.items():
            commands = commands.replace(old, new)
        env = {"PYTHONPATH": str(ROOT)}
        async with asyncio.timeout(50):
            code, printed = await run("bash", "-euo", "pipefail", "-c", commands, cwd=self._app, env=env)
        assert code == 0, printed
        return printed


@needs_shell
async def test_the_readmes_commands_do_what_it_says(shell: Shell) -> None:
    start, story, manage, clean_up, usage, replay = BLOCKS

    assert start.strip() == "make start"
    post, *more = story.strip().splitlines()
    await shell.run(post)
    while '"checks":1' not in await shell.run(INSTANCES):
        pass  # Who types the next line is slower than the first check.
    *_, sent = (await shell.run("\n".join(more))).splitlines()
    (sms,) = json.loads(sent[sent.rindex("[") :])
    assert sms["to"] == "+14255550100"
    assert sms["body"] in README
    assert '"runtimeStatus":"Completed"' in await shell.run(INSTANCES)
    assert '"instanceId":"mine"' in await shell.run(manage)
    while '"Terminated"' not in await shell.run(f"{INSTANCES}/mine"):
        pass  # A terminate is answered before it takes effect.
    assert "--skip-time" in await shell.run(usage)
    assert "replays" in await shell.run(replay)
    await shell.run(manage.splitlines()[1])
    # Nothing is old enough to be purged, which the API answers with 404.
    await shell.run(clean_up.replace("2026-01-01", "2100-01-01"))
    while await shell.run(f"{INSTANCES}?runtimeStatus=Running") != "[]":
        pass  # As above.


@needs_shell
async def test_the_commands_that_the_host_prints_can_be_pasted(shell: Shell) -> None:
    commands = "\n".join(line for line in shell.printed.splitlines() if line.strip().startswith("curl"))

    answer = await shell.run(commands)

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
