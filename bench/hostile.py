"""A good client's time from POST to 202, quiet and beside attackers, in turns; the app as a user starts it.

Not here: the attack (`attack`), and that it is refused (tests/hostile).
"""

import asyncio
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.attack import KINDS
from bench.client import MONITOR_REQUEST, Client, Load, post_many
from bench.figures import Figure
from bench.plan import Plan
from bench.processes import command_line, free_port, python, running, until_exists

NAME = "hostile"
_COUNT = 200


def measure(plan: Plan) -> list[Figure]:
    """Start monitors over one connection, with nobody beside it and with each kind of attacker."""
    loads = plan.in_turns(
        {"quiet": partial(_load, plan, ""), **{kind: partial(_load, plan, kind) for kind in KINDS}}
    )
    return [
        Figure(
            NAME,
            f"POST to 202 beside {what}, p{percent}",
            "ms",
            [load.percentile_ms(percent / 100) for load in loads[kind]],
            peer="with nobody beside it",
            peer_runs=[load.percentile_ms(percent / 100) for load in loads["quiet"]],
        )
        for kind, what in KINDS.items()
        for percent in (50, 99)
    ]


def _load(plan: Plan, attack: str) -> Load:
    port = free_port()
    url = f"http://localhost:{port}/orchestrators/E3_Monitor"
    with TemporaryDirectory(dir=plan.out) as folder, running(command_line(port, Path(folder) / "hub.db")):
        Client(port).until(202, "POST", "/orchestrators/E3_Monitor", MONITOR_REQUEST)
        good = partial(post_many, [url] * _COUNT, MONITOR_REQUEST, 1, 202)
        if not attack:
            return asyncio.run(good())
        ready = Path(folder) / "ready"
        with running(python("bench.attack", attack, str(port), ready)):
            until_exists(ready)
            return asyncio.run(good())
