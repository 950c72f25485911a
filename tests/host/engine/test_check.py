"""Saved histories against changed orchestrators."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from durable_host import Host, HostError, SkipClock
from durable_host.engine.check import Verdict
from durable_host.host import replay_files
from sandbox.server import Sandbox
from tests.conftest import ROOT

GOLDEN_APP = ROOT / "tests/fixture_apps/golden"
HISTORY = "historyEvents"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the app, to be changed."""
    for name in ("E3_Monitor", "E3_TooManyOpenIssues", "E3_SendAlert", "HttpStart"):
        shutil.copytree(ROOT / name, tmp_path / "app" / name)
    shutil.copy(ROOT / "host.json", tmp_path / "app")
    return tmp_path / "app"


@pytest.fixture
async def saved(app: Path, sandbox: Sandbox, tmp_path: Path) -> Path:
    """Histories of an alert, of an expiry, and of a monitor in flight in its second generation."""
    request = {"repo": "octo/cat", "phone": "+14255550100"}
    async with Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
        await host.start("E3_Monitor", request, "expired")
        await host.advance(600)
        await host.start("E3_Monitor", request | {"expiry_seconds": 6000}, "in-flight")
        await host.advance(60 * 15)
        sandbox.set_repository("octo/many", open_issues=9)
        await host.start("E3_Monitor", request | {"repo": "octo/many"}, "alerted")
        await host.wait("alerted")
        statuses = [await host.status(each, history=True) for each in ("alerted", "expired", "in-flight")]
    file = tmp_path / "saved.json"
    file.write_text(json.dumps(statuses), encoding="utf-8")
    return file


def replayed(app: Path, *files: Path) -> list[Verdict | HostError]:
    return asyncio.run(replay_files(app, files, in_process=True))


def verdicts(app: Path, *files: Path) -> list[Verdict]:
    outcomes = replayed(app, *files)
    assert all(isinstance(each, Verdict) for each in outcomes), outcomes
    return [each for each in outcomes if isinstance(each, Verdict)]


def change(app: Path, old: str, new: str) -> None:
    script = app / "E3_Monitor" / "__init__.py"
    text = script.read_text(encoding="utf-8")
    assert old in text
    script.write_text(text.replace(old, new), encoding="utf-8")


def test_unchanged_code_replays_what_is_finished_and_what_is_in_flight(app: Path, saved: Path) -> None:
    found = verdicts(app, saved)

    assert [(each.instance_id, each.at) for each in found] == [
        ("alerted", None),
        ("expired", None),
        ("in-flight", None),
    ]
    assert str(found[0]).startswith("alerted (E3_Monitor): replays, ")


def test_a_call_that_was_added_is_told(app: Path, saved: Path) -> None:
    change(app, "        # 5.", "        yield context.call_activity('E3_SendAlert', {})\n        # 5.")

    alerted, expired, in_flight = verdicts(app, saved)

    assert alerted.at is None  # It never came to that line.
    assert (expired.history, expired.code) == ("TimerCreated", "TaskScheduled 'E3_SendAlert'")
    assert (in_flight.history, in_flight.code) == ("TimerCreated", "TaskScheduled 'E3_SendAlert'")


def test_an_activity_of_another_name_is_told(app: Path, saved: Path) -> None:
    change(app, '_call(context, "E3_TooManyOpenIssues"', '_call(context, "E3_SendAlert"')

    for verdict in verdicts(app, saved):
        assert verdict.at is not None
        assert verdict.history == "TaskScheduled 'E3_TooManyOpenIssues'"
        assert verdict.code == "TaskScheduled 'E3_SendAlert'"


def test_a_timer_that_was_taken_out_is_told(app: Path, saved: Path) -> None:
    change(app, "        yield context.create_timer(due_at)\n", "")

    _, expired, in_flight = verdicts(app, saved)

    assert str(expired).splitlines()[1:] == [
        "    history: TimerCreated",
        "    code:    TaskScheduled 'E3_TooManyOpenIssues'",
    ]
    assert in_flight.history == "TimerCreated"


def test_an_orchestrator_that_now_fails_early_is_told_with_its_error(app: Path, saved: Path) -> None:
    change(app, "    # 2.", "    raise RuntimeError('not today')\n    # 2.")

    for verdict in verdicts(app, saved):
        assert verdict.history == "TaskScheduled 'E3_TooManyOpenIssues'"
        assert verdict.code.endswith("not today")


@pytest.mark.parametrize(
    "recording",
    [
        *("e_continue_as_new", "e_eternal", "e_event_twice", "e_fan_out", "e_fan_out_fail", "e_long_timer"),
        *("e_race_event", "e_race_loop_expired", "e_retry_exhausted", "e_sub_fail", "monitor_fast_expiry"),
        *("monitor_real_expiry", "monitor_real_quiet_then_alert", "status_running_and_terminate"),
        "suspend_resume",
    ],
)
def test_histories_of_microsofts_engine_replay(tmp_path: Path, recording: str) -> None:
    exchanges = json.loads((ROOT / f"tests/golden/http/{recording}.json").read_text(encoding="utf-8"))["exchanges"]
    histories = [
        json.loads(exchange["response"]["body"])
        for exchange in exchanges
        if "showHistoryOutput=true" in exchange["request"]["target"] and HISTORY in exchange["response"]["body"]
    ]
    file = tmp_path / "saved.json"
    file.write_text(json.dumps(histories), encoding="utf-8")

    found = verdicts(GOLDEN_APP, file)

    assert found
    assert [str(each) for each in found if each.at is not None] == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "expected the JSON of a status request"),
        ("[]", None),
        ('{"name": "E3_Monitor"}', "ask for it with showHistory=true&showHistoryOutput=true"),
        ('[{"historyEvents": [{"EventType": "ExecutionStarted"}]}]', "historyEvents are not as a status request"),
    ],
)
def test_a_file_without_a_history_is_refused_with_what_to_do(
    tmp_path: Path, app: Path, content: str, problem: str | None
) -> None:
    file = tmp_path / "saved.json"
    file.write_text(content, encoding="utf-8")

    outcomes = replayed(app, file)

    assert [problem in str(each) for each in outcomes if problem] == ([True] if problem else [])


@pytest.mark.parametrize(("leave_out", "ask_for"), [("Result", "showHistoryOutput=true"), ("Input", "showInput")])
def test_a_history_saved_without_a_part_says_which(app: Path, saved: Path, leave_out: str, ask_for: str) -> None:
    statuses = json.loads(saved.read_text(encoding="utf-8"))
    for status in statuses:
        for event in status[HISTORY]:
            event.pop(leave_out, None)
    saved.write_text(json.dumps(statuses), encoding="utf-8")

    outcomes = replayed(app, saved)

    assert len(outcomes) == 3
    assert all(f"the {leave_out} " in str(each) for each in outcomes)
    assert all(ask_for in str(each) for each in outcomes)


def test_a_history_of_an_orchestrator_that_is_not_there_names_those_that_are(app: Path, saved: Path) -> None:
    text = saved.read_text(encoding="utf-8").replace('"name": "E3_Monitor"', '"name": "E4_Monitor"')
    saved.write_text(text, encoding="utf-8")

    for outcome in replayed(app, saved):
        assert "'E4_Monitor' doesn't exist" in str(outcome)
        assert "'E3_Monitor'" in str(outcome)


@pytest.fixture
async def fan_out(tmp_path: Path) -> Path:
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=SkipClock(), in_process=True) as host:
        instance_id = await host.start("T_FanOut", [3, 1, 2])
        await host.wait(instance_id)
        file = tmp_path / "saved.json"
        file.write_text(json.dumps(await host.status(instance_id, history=True)), encoding="utf-8")
    return file


def test_equal_calls_of_a_fan_out_get_their_own_results(fan_out: Path) -> None:
    (verdict,) = verdicts(GOLDEN_APP, fan_out)

    assert verdict.at is None
