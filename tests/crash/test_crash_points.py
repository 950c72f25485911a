"""The host dies at each point of a run in turn, and what it comes to is what the undisturbed run came to."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from tests.crash.conftest import SandboxProcess
from tests.crash.scenario import Run, play

TIMEOUT_S = 60
Outcome = tuple[list[str], dict[str, Any]]
PlayRun = Callable[[Run], int | None]


@pytest.fixture
def play_run(processes: ForkServerContext) -> PlayRun:
    """Plays a run in a process of its own, and gives its exit code."""

    def start(run: Run) -> int | None:
        run.folder.mkdir(exist_ok=True)
        process = processes.Process(target=play, args=(run,))
        process.start()
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            pytest.fail(f"point {run.die_at}: the run did not come to its end in {TIMEOUT_S} s")
        return process.exitcode

    return start


@pytest.fixture
def undisturbed(crash_app: Path, sandbox_process: SandboxProcess, scratch: Path) -> Run:
    return Run(crash_app, sandbox_process.settings, scratch / "undisturbed", phone(0))


def phone(point: int) -> str:
    return f"+1425555{point:04d}"


def outcome(run: Run) -> Outcome:
    """The labels of all points, and the state that the run came to."""
    written = json.loads(run.outcome.read_text())
    return written["labels"], json.loads(json.dumps(written["state"]).replace(run.phone, phone(0)))


def the_one_alert(labels: list[str]) -> range:
    """The points at which Twilio has the alert, and the host has not committed its answer.

    That is what follows the request's last piece, up to the COMMIT of the batch in which the activity ends.
    """
    sent = next(n for n, label in enumerate(labels, 1) if label.startswith(f"send To=%2B{phone(0)[1:]}"))
    finished = next(
        n for n, label in enumerate(labels, 1) if n > sent and label.startswith("DELETE FROM activities")
    )
    commit = labels.index("COMMIT", finished) + 1
    return range(sent + 1, commit + 1)


def is_as_meant(state: dict[str, Any]) -> bool:
    """Whether a run does all that the crash tests are about."""
    ends = {name: status and (status["runtimeStatus"], status["output"]) for name, status in state.items()}
    attempts = [event for event in state["retried"]["historyEvents"] if event["EventType"] == "TaskFailed"]
    return (
        ends.pop("retried")[0] == "Failed"
        and len(attempts) == 3
        and ends.pop("refused")[1]["outcome"] == "alert refused"
        and ends
        == {
            "alerting": ("Completed", {"outcome": "alerted", "checks": 1, "message": "SM"}),
            "quiet": ("Completed", {"outcome": "expired", "checks": 2}),
            "countdown": ("Completed", "zero"),
            "doomed": ("Terminated", "enough"),
            "fan-out": ("Completed", [[1, 4, 9], [16]]),
            "gate": ("Completed", {"by": "client"}),
            "purged": None,
        }
    )


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(80, marks=pytest.mark.timeout(300)),
        pytest.param(4, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
        pytest.param(1, marks=[pytest.mark.soak_long, pytest.mark.timeout(7_200)]),
    ],
)
def test_a_host_that_dies_at_a_point_comes_to_the_same_end(
    step: int,
    undisturbed: Run,
    sandbox_process: SandboxProcess,
    play_run: PlayRun,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert play_run(undisturbed) == 0
    labels, state = outcome(undisturbed)
    assert is_as_meant(state)
    assert sandbox_process.sms_to(undisturbed.phone) == 1
    alert = the_one_alert(labels)

    def differences(point: int) -> list[str]:
        run = replace(
            undisturbed, folder=undisturbed.folder.with_name(f"{point}"), phone=phone(point), die_at=point
        )
        assert play_run(run) == -signal.SIGKILL
        assert play_run(replace(run, die_at=0)) == 0
        ended = outcome(run)[1]
        found = [f"{name}: {ended[name]}, not {state[name]}" for name in state if ended[name] != state[name]]
        expected, sent = 2 if point in alert else 1, sandbox_process.sms_to(run.phone)
        if sent != expected:
            found.append(f"{sent} SMS, not {expected}")
        return [f"point {point} ({labels[point - 1]:.80}): {each}" for each in found]

    around = (alert.start - 1, alert.start, alert.stop - 1, alert.stop)
    points = sorted({*range(1, len(labels) + 1, step), *around})
    # One after the other: of two that die at once, the fork server loses an exit code now and then.
    problems = [each for point in points for each in differences(point)]

    with capsys.disabled():
        print(f"\n{len(points)} of {len(labels)} crash points, {len(alert)} of them with a second SMS")
    assert problems == []
