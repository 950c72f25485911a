"""Monitors a second, from POST to Completed: five polls, 128 in flight, beside other engines; and the real app's.

Not here: the loop itself (`app/Monitor`, `peers`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from bench import before
from bench.charts import Bar, bars
from bench.figures import Figure, Goal
from bench.peers.install import Environment, PeerMissing, install
from bench.peers.restate_server import node_service, python_service, run_monitors
from bench.plan import Plan
from bench.processes import ROOT, free_port, output, python

NAME = "monitors"
FAST = "durable_host"
SLOW = "durable_host, fast replay off"
PIPE_OFF = "durable_host, the SDK's client over HTTP"
CONSOLE = "durable_host, console lines on"
IN_MEMORY = "durabletask 1.12, in memory"
IN_MEMORY_APART = "durabletask 1.12, in memory, two processes"
RESTATE = "Restate 1.7, Python SDK, two processes"
RESTATE_NODE = "Restate 1.7, Node SDK, two processes"
# Recorded once from Microsoft's own engine (durable extension 3.14.1, Azurite) on a machine of this kind.
_RECORDED = Bar("Microsoft's engine with Azurite, recorded", 4.9, 4.9, 4.9)
_WHAT = "five-poll monitors, POST to Completed"
_STARTERS = 128
_COUNT = 512
_SLOW_COUNT = 256
_REAL_COUNT = 1200
_REAL_STARTERS = 320
_DURABLETASK = Path(__file__).parent / "peers" / "durabletask" / "monitors.py"


@dataclass(frozen=True, slots=True)
class Speed:
    """Monitors a second, and the CPU milliseconds that one took: in all, and in the busiest of our processes."""

    per_s: float
    cpu_ms: float
    busiest_ms: float = 0

    def __str__(self) -> str:
        """For the one who waits."""
        return f"{self.per_s:.1f}/s, {self.cpu_ms:.2f} ms of CPU each"


def measure(plan: Plan) -> list[Figure]:
    """Run all arms in turns; a peer that cannot be installed is named with its reason."""
    arms: dict[str, Callable[[], Speed]] = {
        FAST: partial(_own, plan, _COUNT),
        SLOW: partial(_own, plan, _SLOW_COUNT, {"DURABLE_HOST_FAST_REPLAY": "0"}),
        PIPE_OFF: partial(_own, plan, _COUNT, {"DURABLE_HOST_FAST_CLIENT": "0"}),
        CONSOLE: partial(_own, plan, _COUNT, console=True),
    }
    missing: dict[str, str] = {}
    makers: dict[str, Callable[[Plan], Callable[[], Speed]]] = {
        before.NAME: _before,
        RESTATE: partial(_restate, python_service),
        RESTATE_NODE: partial(_restate, node_service),
        IN_MEMORY: partial(_durabletask, 1),
        IN_MEMORY_APART: partial(_durabletask, 2),
    }
    for name, make in makers.items():
        try:
            arms[name] = make(plan)
        except PeerMissing as reason:
            missing[name] = str(reason)
            plan.tell(f"  {reason}")
    speeds = plan.in_turns(arms)
    goals = {
        before.NAME: Goal("at least", 2, "ratio"),
        RESTATE: Goal("at least", 1.1, "ratio"),
        IN_MEMORY: Goal("at least", 8, "ratio"),
    }
    per_s = {name: [speed.per_s for speed in values] for name, values in speeds.items()}
    cpu_ms = {name: [speed.cpu_ms for speed in values] for name, values in speeds.items()}
    figures = [Figure(NAME, _WHAT, "/s", per_s[FAST])]
    for name in (*makers, SLOW, PIPE_OFF):
        peer_runs, why = per_s.get(name, []), missing.get(name, "")
        figures.append(Figure(NAME, _WHAT, "/s", per_s[FAST], goals.get(name), name, peer_runs, why))
    figures.append(Figure(NAME, "the same, console lines on", "/s", per_s[CONSOLE], None, FAST, per_s[FAST]))
    for name in (before.NAME, RESTATE, RESTATE_NODE, IN_MEMORY):
        if name in cpu_ms:
            figures.append(Figure(NAME, "CPU of one such monitor", "ms", cpu_ms[FAST], None, name, cpu_ms[name]))
    if before.NAME in speeds:
        ours, then = ([speed.busiest_ms for speed in speeds[name]] for name in (FAST, before.NAME))
        what = "CPU of one such monitor in the busier process, which bounds the speed on two free cores"
        figures.append(Figure(NAME, what, "ms", ours, Goal("at most", 0.5, "ratio"), before.NAME, then))
    env = {"BENCH_OUT": str(plan.out)}
    for starters in (_REAL_STARTERS, _REAL_COUNT):
        checks = json.loads(output(python("bench.own", "checks", str(_REAL_COUNT), str(starters)), env))
        plan.tell(f"  real monitors, {starters} at once: {checks:.2f} checks each")
        what = f"checks of each of {_REAL_COUNT:,} real E3_Monitors (every second, for 5 s), {starters:,} at once"
        figures.append(Figure(NAME, what, "", [checks], Goal("at least", 4.9)))
    return figures


def chart(figures: Sequence[Figure]) -> str:
    """Monitors a second beside the peers, as SVG."""
    ours, *compared = [figure for figure in figures if figure.what == _WHAT]
    entries = [
        _bar("durable_host, on disk", ours.runs, True),
        *(_bar(each.peer, each.peer_runs) for each in compared if each.peer_runs),
        _RECORDED,
    ]
    return bars(
        "Five-poll monitors completed in a second, 128 in flight",
        "Median and spread of the runs; more is better.",
        entries,
    )


def _bar(label: str, runs: Sequence[float], is_own: bool = False) -> Bar:
    return Bar(label, median(runs), min(runs), max(runs), is_own)


def _own(
    plan: Plan, count: int, env: Mapping[str, str] | None = None, console: bool = False, folder: Path = ROOT
) -> Speed:
    command = python("bench.own", *(["--console"] if console else []), "monitors", str(count), str(_STARTERS))
    return Speed(**json.loads(output(command, {"BENCH_OUT": str(plan.out), **(env or {})}, folder=folder)))


def _before(plan: Plan) -> Callable[[], Speed]:
    return partial(_own, plan, _COUNT, folder=before.folder(plan.out))


def _durabletask(processes: int, plan: Plan) -> Callable[[], Speed]:
    environment = install("durabletask", plan.out / "peers")

    def run() -> Speed:
        numbers = map(str, (free_port(), _SLOW_COUNT, _STARTERS, processes))
        return Speed(**json.loads(output([environment.python, _DURABLETASK, *numbers])))

    return run


def _restate(service_command: Callable[[Environment], list[str | Path]], plan: Plan) -> Callable[[], Speed]:
    environment = install("restate", plan.out / "peers")
    return lambda: Speed(**run_monitors(environment, service_command(environment), _COUNT, _STARTERS, plan.out))
