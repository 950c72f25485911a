"""Many seeds, each a world of its own, hold all invariants; `python -m tests.simulation SEED` plays one again."""

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.conftest import rounds
from tests.simulation.simulation import Report, simulate, simulated_app

CHUNK = 10
HAPPENED = {
    "crashes": "the host died",
    "full disks": "the disk is full",
    "episodes": "episode of",
    "SMS": "Twilio",
}


def play(first: int) -> list[Report]:
    """A chunk of seeds, from this one on."""
    with simulated_app() as (app, hub):
        return [simulate(seed, app, hub) for seed in range(first, first + CHUNK)]


@pytest.fixture
def workers() -> Iterator[ProcessPoolExecutor]:
    """Two processes: a world's full disk is its whole process's."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        yield pool


@rounds(20, soak=300, long=10_000)
def test_all_invariants_hold_in_every_world(
    rounds: int, workers: ProcessPoolExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    happened: Counter[str] = Counter()
    broken = []

    for reports in workers.map(play, range(0, rounds, CHUNK)):
        for report in reports:
            happened.update({what: sum(text in line for line in report.log) for what, text in HAPPENED.items()})
            if report.violations:
                broken.append(str(report))

    with capsys.disabled():
        print(f"\n{rounds} seeds:", ", ".join(f"{count} {what}" for what, count in happened.items()))
    assert min(happened.values()) > rounds / 2, "the seeds must have enough of each in them"
    assert not broken, "\n".join([*broken, "again: python -m tests.simulation SEED"])


def test_a_seed_plays_the_same_each_time() -> None:
    with simulated_app() as (app, hub):
        once, again = (simulate(seed, app, hub) for seed in (7, 7))

    assert len(once.log) > 20
    assert once.log == again.log
