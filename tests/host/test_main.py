"""`python -m durable_host`, in a process of its own."""

import asyncio
import json
import re
import shutil
import signal
import socket
import sys
from pathlib import Path

from aiohttp import ClientSession

from durable_host.hub.taskhub import TaskHub
from tests.conftest import ROOT, Gate
from tests.golden_app import GOLDEN_APP
from tests.host.apps import ACTIVITY, HTTP, ORCHESTRATOR, RETURN, SLEEP, write_function
from tests.host.conftest import CALLING_APP
from tests.processes import Running, mains, running


async def timer_armed(host: Running) -> None:
    """Return once a timer waits."""
    async with ClientSession() as client:
        while True:
            async with client.get(f"{host.url}/durable-host/clock") as answer:
                if (await answer.json())["next"] is not None:
                    return
            await asyncio.sleep(0.02)  # noqa: TID251 - Another process's timer cannot be awaited.


# A good start.


async def test_it_prints_what_it_serves_and_logs_each_call(tmp_path: Path) -> None:
    async with running("--script-root", CALLING_APP, "--hub", tmp_path / "hub.db", "--verbose") as host:
        await host.start("Call", "mine", [])
        await host.until("Executed")

        lines = host.printed.splitlines()
        assert lines[0] == "durable_host: Azure Durable Functions on this machine, without Azure"
        assert f"({sys.executable}), task hub {tmp_path / 'hub.db'}" in lines[1]
        listed = [line for line in lines if line.startswith("\t")]
        assert listed == [
            "\tCall: orchestrationTrigger",
            "\tCallOrTimeOut: orchestrationTrigger",
            "\tGet: activityTrigger",
        ]
        assert re.fullmatch(r"\[.{23}Z\] Executing 'Functions\.Call' \(Reason='\(null\)', Id=.{36}\)", lines[-2])
        assert await host.end(signal.SIGINT) == 0


async def test_the_port_of_the_settings_file_is_taken_unless_another_is_given(tmp_path: Path) -> None:
    write_function(tmp_path, "Echo", "def main(value): return value", ACTIVITY)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"IsEncrypted": False, "Values": {}, "Host": {"LocalHttpPort": port, "CORS": "*"}}
    (tmp_path / "local.settings.json").write_text(json.dumps(settings))

    async with running("--script-root", tmp_path, port=None) as host:
        assert host.url == f"http://localhost:{port}"
        assert "Host.CORS in local.settings.json is ignored: this host allows no other origin." in host.printed
        assert await host.end(signal.SIGTERM) == 0


async def test_with_time_skipped_a_day_passes_at_once(tmp_path: Path) -> None:
    async with running("--script-root", GOLDEN_APP, "--hub", tmp_path / "hub.db", "--skip-time") as host:
        await host.start("T_Wait", "mine")

        assert (await host.ended("mine"))["output"] == "woke"
        assert await host.end(signal.SIGINT) == 0


async def test_with_the_sandbox_the_printed_calls_lead_to_an_sms_and_nothing_warns(tmp_path: Path) -> None:
    arguments = ("--sandbox", "0", "--skip-time", "--hub", tmp_path / "hub.db")
    async with running(*arguments, python=("-W", "error")) as host:
        await host.until("/sms\n")
        calls = re.findall(r"^  curl (?:-X (\w+) )?(\S+)(?: -d '(.*)')?$", host.printed, re.MULTILINE)
        assert [method for method, _, _ in calls] == ["POST", "PUT", ""]
        (_, starter, monitor), (_, repository, five), (_, outbox, _) = calls

        async with ClientSession() as client:
            async with client.put(repository, data=five) as answer:
                assert answer.status < 300
            async with client.post(starter, data=monitor) as answer:
                assert answer.status == 202
                instance_id = (await answer.json())["id"]
            assert (await host.ended(instance_id))["output"]["outcome"] == "alerted"
            async with client.get(outbox) as answer:
                (sms,) = await answer.json()
        assert await host.end(signal.SIGINT) == 0

    assert sms["to"] == json.loads(monitor)["phone"]
    assert "octo/cat has more than 3 open issues" in sms["body"]


async def test_a_hubs_path_is_taken_from_the_folder_that_the_command_was_given_in(tmp_path: Path) -> None:
    app = shutil.copytree(CALLING_APP, tmp_path / "app")

    arguments = ("--script-root", "app", "--hub", "hub.db")
    async with running(*arguments, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}):
        pass

    assert (tmp_path / "hub.db").exists()
    assert not (app / "hub.db").exists()


# What makes a start impossible is told in one line.


async def test_what_another_process_has_is_told(tmp_path: Path) -> None:
    hub, arguments = tmp_path / "hub.db", ("--script-root", CALLING_APP)
    with socket.create_server(("127.0.0.1", 0)) as listener, TaskHub(hub):
        port = listener.getsockname()[1]

        ended = await mains(
            ["--port", str(port), *arguments],
            ["--port", "0", "--sandbox", str(port), *arguments],
            ["--port", "0", "--hub", hub, *arguments],
        )

    unavailable = f"durable_host: Port {port} is unavailable on 127.0.0.1 (Address already in use)"
    errors = [
        f"{unavailable}. Close the process using that port, or specify another port using --port.\n",
        f"{unavailable}, and the sandbox needs it. Close the process using that port, or choose another one with "
        "--sandbox PORT.\n",
        f"durable_host: {hub}: another host has this task hub open; stop it, or choose another with --hub.\n",
    ]
    assert ended == [(1, "", error) for error in errors]


BROKEN = [
    ("local.settings.json", "{", "Failed to read app settings file at '{root}/local.settings.json'. Ensure it"),
    ("local.settings.json", "{}", "{root}/local.settings.json is encrypted, or lacks"),
    (
        "host.json",
        '{"version": "2.0",,}',
        "Unable to parse host configuration file '{root}/host.json'. Line 1,",
    ),
    ("host.json", '{"version": "1.0"}', "'1.0' is an invalid value for host.json 'version' property."),
    ("F/function.json", "[]", "{root}/F/function.json: Expected a JSON object, found list."),
    ("function_app.py", "", "{root}/function_app.py: apps of the v2 model (decorators) are not supported"),
    ("", "", "{root} is not a folder. Name the app's folder with --script-root."),
]


async def test_a_broken_app_is_told(tmp_path: Path) -> None:
    roots = [tmp_path / str(number) for number in range(len(BROKEN))]
    for root, (file, text, _) in zip(roots, BROKEN, strict=True):
        if file:
            write_function(root, "F", "def main(value): pass", ACTIVITY)
            (root / file).write_text(text)

    ended = await mains(*(("--port", "0", "--script-root", root) for root in roots))

    for (code, printed, error), root, (_, _, told) in zip(ended, roots, BROKEN, strict=True):
        assert (code, printed) == (1, "")
        assert error.startswith(f"durable_host: {told.replace('{root}', str(root))}")
        assert error.count("\n") == 1


# The app's own interpreter.


def interpreter(path: Path, options: str = "", **environment: str) -> Path:
    """A program that runs this Python, with these options and settings."""
    settings = " ".join(f"{name}={value}" for name, value in environment.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{settings} exec {sys.executable} {options} "$@"\n')
    path.chmod(0o755)
    return path


async def test_the_app_runs_in_the_interpreter_that_is_named(tmp_path: Path) -> None:
    python = interpreter(tmp_path / "bin" / "python", RUN_BY="mine")
    code = "import os, sys\ndef main(req): return os.environ.get('RUN_BY', 'none')"
    write_function(tmp_path / "app", "Tell", code, HTTP, RETURN)
    code = "import os\nimport azure.durable_functions as df\n\n"
    code += (
        "def run(context): yield context.call_activity(os.environ['RUN_BY'])\n\nmain = df.Orchestrator.create(run)"
    )
    write_function(tmp_path / "app", "Run", code, ORCHESTRATOR)
    write_function(tmp_path / "app", "mine", "def main(value): pass", ACTIVITY)
    history = [
        {"EventType": "ExecutionStarted", "Input": "null", "Timestamp": "2026-01-01T00:00:00Z"},
        {"EventType": "TaskScheduled", "Name": "mine", "Timestamp": "2026-01-01T00:00:01Z"},
    ]
    saved, status = tmp_path / "saved.json", {"name": "Run", "instanceId": "mine", "runtimeStatus": "Running"}
    saved.write_text(json.dumps({**status, "historyEvents": history}))
    arguments = ("--script-root", tmp_path / "app", "--python", python)

    async with running(*arguments) as host, ClientSession(host.url) as client:
        async with client.get("/api/Tell") as answer:
            assert await answer.text() == "mine"
        assert await host.end() == 0
    [(code_with, told_with, _), (_, told_without, _)] = await mains(
        ["replay", saved, *arguments], ["replay", saved, *arguments[:2]]
    )

    assert (code_with, told_with.startswith("mine (Run): replays")) == (0, True)
    assert "left its history" in told_without


async def test_an_interpreter_that_does_not_suit_the_app_is_told_in_a_line_that_names_another(
    tmp_path: Path,
) -> None:
    app = shutil.copytree(CALLING_APP, tmp_path / "app")
    poor = interpreter(tmp_path / "poor", "-S")  # It finds no installed package.
    nothing = tmp_path / "nothing"
    runs: list[list[str | Path]]
    runs = [["--port", "0", "--script-root", app, "--python", each] for each in (poor, nothing)]
    runs += [["replay", "saved.json", *each[2:]] for each in runs]

    ended = await mains(*runs)
    found = interpreter(app / ".venv" / "bin" / "python")
    ended += await mains(*runs)

    lacks = rf"{sys.executable} lacks the app's requirements \(No module named 'azure'\)\."
    missing = rf"{nothing} cannot be started \(No such file or directory\)\."
    for number, (code, printed, error) in enumerate(ended):
        problem = (lacks, missing)[number % 2]
        other = "" if number < 4 else f", such as {found}"
        assert (code, printed) == (1, "")
        assert re.fullmatch(rf"durable_host: {problem} Name the app's own Python with --python{other}\.\n", error)


async def test_an_app_that_ends_its_process_as_it_is_loaded_ends_the_start(tmp_path: Path) -> None:
    write_function(tmp_path, "Leave", "import os\nprint('last words')\nos._exit(3)", ACTIVITY)

    [(code, printed, error)] = await mains(["--port", "0", "--script-root", tmp_path])

    assert code == 1
    assert error == (
        f"durable_host: The worker ended before the app was loaded: {sys.executable} exited with code 3 (0x3). "
        "What it said stands above.\n"
    )
    assert printed.count("Z] last words\n") == 2


async def test_an_app_that_wants_to_exit_as_it_is_loaded_is_in_error_and_others_run(tmp_path: Path) -> None:
    write_function(tmp_path, "Leave", "import sys\nsys.exit(3)", ACTIVITY)
    write_function(tmp_path, "Tell", "def main(req): return 'here'", HTTP, RETURN)

    async with running("--script-root", tmp_path) as host, ClientSession(host.url) as client:
        assert "Worker failed to load function: 'Leave'.\n\tSystemExit: 3\n" in host.printed
        async with client.get("/api/Tell") as answer:
            assert await answer.text() == "here"


# Usage.


async def test_wrong_usage_is_exit_code_2_and_help_shows_every_option_and_examples() -> None:
    wrong = [["--port", "x"], ["--port", "65536"], ["--sandbox=-1"], ["--nothing"], ["replay"]]

    *ended, (code, printed, _) = await mains(*wrong, ["--help"])

    for failed, nothing, error in ended:
        assert (failed, nothing) == (2, "")
        assert error.startswith("usage: python -m durable_host")
    assert code == 0
    for option in ("--port", "--address", "--script-root", "--hub", "--skip-time", "--sandbox", "--verbose"):
        assert option in printed
    assert "python -m durable_host --sandbox" in printed
    assert """-d '{"skip": "next"}'""" in printed


# The end.


async def test_ctrl_c_ends_it_at_once_also_while_an_activity_runs(tmp_path: Path, gate: Gate) -> None:
    async with running("--script-root", CALLING_APP, "--hub", tmp_path / "hub.db") as host:
        await host.start("Call", "mine", [gate.url])
        await gate.came.acquire()

        assert await host.end(signal.SIGINT) == 0

    assert "Traceback" not in host.printed


# A kill.


async def test_after_a_kill_all_that_was_acknowledged_goes_on_and_an_activity_runs_again(
    tmp_path: Path, gate: Gate
) -> None:
    arguments = ("--script-root", CALLING_APP, "--hub", tmp_path / "hub.db")
    names = [f"instance-{number}" for number in range(20)]
    async with running(*arguments) as host:
        await host.start("Call", "in-flight", [f"{gate.url}/?again"])
        await gate.came.acquire()
        await asyncio.gather(*(host.start("Call", name, []) for name in names))
        assert await host.end(signal.SIGKILL) == -signal.SIGKILL

    async with running(*arguments) as host:
        await gate.came.acquire()
        gate.opened.set()
        assert (await host.ended("in-flight"))["output"] == ["again"]
        for name in names:
            assert (await host.ended(name))["runtimeStatus"] == "Completed"


async def test_after_a_kill_skipped_time_stays_skipped_and_a_timer_that_was_due_meanwhile_fires(
    tmp_path: Path,
) -> None:
    write_function(tmp_path, "Sleep", SLEEP, ORCHESTRATOR)
    # Beside a sandbox time may be skipped.
    arguments = ("--script-root", tmp_path, "--hub", tmp_path / "hub.db", "--sandbox", "0")
    async with running(*arguments) as host, ClientSession() as client:
        assert "ahead" not in host.printed
        await host.start("Sleep", "skipped")
        async with client.post(f"{host.url}/durable-host/clock", data='{"skip": "next"}') as answer:
            assert answer.status == 200
        await host.start("Sleep", "sleeping")
        await timer_armed(host)
        await host.end(signal.SIGKILL)
    with TaskHub(tmp_path / "hub.db") as hub, hub.batch():
        # An hour goes by while no host runs.
        hub.save_skipped(hub.skipped * 2)

    async with running(*arguments) as host:
        assert "The clock is 2:00:00 ahead.\n" in host.printed
        assert (await host.ended("skipped"))["output"] == "woke"
        assert (await host.ended("sleeping"))["output"] == "woke"


# Replay.


async def test_a_saved_history_is_replayed_and_the_exit_code_says_whether_it_still_fits(tmp_path: Path) -> None:
    saved = {
        "name": "T_Hello",
        "instanceId": "mine",
        "runtimeStatus": "Running",
        "historyEvents": [
            {"EventType": "ExecutionStarted", "Input": '"\\"x\\""', "Timestamp": "2026-01-01T00:00:00Z"},
            {"EventType": "TaskScheduled", "Name": "T_Echo", "Timestamp": "2026-01-01T00:00:01Z"},
        ],
    }
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(saved))
    bad.write_text(json.dumps(saved | {"name": "T_Wait"}))

    fitting, left, lost = await mains(
        ["replay", good, "--script-root", GOLDEN_APP],
        ["replay", good, bad, "--script-root", GOLDEN_APP],
        ["replay", good, "--script-root", tmp_path / "nowhere"],
    )

    assert fitting[0] == 0
    code, printed, _ = left
    assert code == 1
    assert printed.startswith("mine (T_Hello): replays")
    assert "mine (T_Wait): left its history" in printed
    code, _, error = lost
    assert code == 1
    assert error.startswith("durable_host: ")
