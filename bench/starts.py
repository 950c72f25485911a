"""From a POST to the 202 that is on disk, through HttpStart, while the started instances run.

Not here: how many of them get through to their end (`monitors`).
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.client import Client, Load, post_many
from bench.figures import Figure, Goal
from bench.plan import Plan
from bench.processes import free_port, python, running

NAME = "starts"
_CONNECTIONS = 32
_COUNT = 1600
_ALONE = 100
# Each checks once and then sleeps: what it does after that is another bench's.
_REQUEST = {"repo": "octo/cat", "polls": 5, "interval_ms": 3_600_000}


def measure(plan: Plan) -> list[Figure]:
    """Start many over 32 connections, and some over one."""
    loads = plan.in_turns(
        {"32 connections": lambda: _load(plan, _CONNECTIONS, _COUNT), "alone": lambda: _load(plan, 1, _ALONE)}
    )
    busy, alone = loads["32 connections"], loads["alone"]
    p50 = [load.percentile_ms(0.5) for load in busy]
    p99 = [load.percentile_ms(0.99) for load in busy]
    over = f"POST to 202 over {_CONNECTIONS} connections"
    return [
        Figure(
            NAME, f"{over}, the started ones running", "/s", [load.per_s for load in busy], Goal("at least", 500)
        ),
        Figure(NAME, f"{over}, p99", "ms", p99, Goal("at most", 2, "ratio"), "its p50", p50),
        Figure(
            NAME, "POST to 202 alone, p50", "ms", [load.percentile_ms(0.5) for load in alone], Goal("at most", 6)
        ),
    ]


def _load(plan: Plan, connections: int, count: int) -> Load:
    port = free_port()
    with (
        TemporaryDirectory(dir=plan.out) as folder,
        running(python("bench.own", "serve", str(port), Path(folder) / "hub.db")),
    ):
        path = "/orchestrators/Monitor"
        Client(port).until(202, "POST", path, _REQUEST)
        return asyncio.run(post_many([f"http://localhost:{port}{path}"] * count, _REQUEST, connections, 202))
