"""From a POST to the 202 that is on disk, through HttpStart, while the started instances run.

Not here: how many of them get through to their end (`monitors`).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import before
from bench.client import Client, Load, post_many
from bench.figures import Figure, Goal
from bench.peers.install import PeerMissing
from bench.plan import Plan
from bench.processes import ROOT, free_port, python, running

NAME = "starts"
_CONNECTIONS = 32
_COUNT = 1600
_ALONE = 100
# Each checks once and then sleeps: what it does after that is another bench's.
_REQUEST = {"repo": "octo/cat", "polls": 5, "interval_ms": 3_600_000}


def measure(plan: Plan) -> list[Figure]:
    """Start many over 32 connections, before and now, and some over one."""
    busy, alone = f"{_CONNECTIONS} connections", "alone"
    arms: dict[str, Callable[[], Load]] = {
        busy: partial(_load, plan, _CONNECTIONS, _COUNT, ROOT),
        alone: partial(_load, plan, 1, _ALONE, ROOT),
    }
    missing = ""
    try:
        arms[before.NAME] = partial(_load, plan, _CONNECTIONS, _COUNT, before.folder(plan.out))
    except PeerMissing as reason:
        missing = str(reason)
        plan.tell(f"  {reason}")
    loads = plan.in_turns(arms)
    per_s = {name: [load.per_s for load in values] for name, values in loads.items()}
    p50, p99 = ([load.percentile_ms(part) for load in loads[busy]] for part in (0.5, 0.99))
    over = f"POST to 202 over {_CONNECTIONS} connections"
    running_too = f"{over}, the started ones running"
    goal = Goal("at least", 1.3, "ratio")
    return [
        Figure(NAME, running_too, "/s", per_s[busy], goal, before.NAME, per_s.get(before.NAME, []), missing),
        Figure(NAME, f"{over}, p99", "ms", p99, Goal("at most", 2, "ratio"), "its p50", p50),
        Figure(
            NAME,
            "POST to 202 alone, p50",
            "ms",
            [load.percentile_ms(0.5) for load in loads[alone]],
            Goal("at most", 6),
        ),
    ]


def _load(plan: Plan, connections: int, count: int, folder: Path) -> Load:
    port = free_port()
    with (
        TemporaryDirectory(dir=plan.out) as hub,
        running(python("bench.own", "serve", str(port), Path(hub) / "hub.db"), folder=folder),
    ):
        path = "/orchestrators/Monitor"
        Client(port).until(202, "POST", path, _REQUEST)
        return asyncio.run(post_many([f"http://localhost:{port}{path}"] * count, _REQUEST, connections, 202))
