"""From the process's start to the first 202, beside what the imports alone take; memory when idle, likewise.

Not here: starting with a full hub (`crash`).
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.client import MONITOR_REQUEST, Client
from bench.figures import Figure, Goal
from bench.plan import Plan
from bench.processes import command_line, free_port, output, pss_mb, running, until_exists

NAME = "startup"
IMPORTS = "import azure.durable_functions, twilio.rest, requests, aiohttp.web"
# What of other people's code the two processes of a running host have loaded.
_HOST_IMPORTS = "import argparse, asyncio, json, logging.handlers, sqlite3, uuid, aiohttp.web"
_WORKER_IMPORTS = "import asyncio, json, logging, azure.durable_functions, azure.functions, requests, twilio.rest"
_SETTLED_S = 1


@dataclass(frozen=True, slots=True)
class Startup:
    """What one start took, and the memory a moment later."""

    seconds: float
    memory_mb: float

    def __str__(self) -> str:
        """For the one who waits."""
        return f"{self.seconds:.2f} s, {self.memory_mb:.1f} MB"


def measure(plan: Plan) -> list[Figure]:
    """Start the app with the sandbox, and Pythons that only import, in turns."""
    startups = plan.in_turns({"imports": lambda: _imports(plan), "host": lambda: _host(plan)})
    imports, hosts = startups["imports"], startups["host"]
    return [
        Figure(
            NAME,
            "process start to the first 202",
            "s",
            [startup.seconds for startup in hosts],
            Goal("at most", 1.3, "ratio"),
            f"python -c '{IMPORTS}'",
            [startup.seconds for startup in imports],
        ),
        Figure(
            NAME,
            "memory (PSS) of host, worker and sandbox together, one monitor asleep",
            "MB",
            [startup.memory_mb for startup in hosts],
            Goal("at most", 1.2, "ratio"),
            "two processes that only import what host and worker import",
            [startup.memory_mb for startup in imports],
        ),
    ]


def _imports(plan: Plan) -> Startup:
    began = time.perf_counter()
    output([sys.executable, "-c", IMPORTS])
    seconds = time.perf_counter() - began
    with TemporaryDirectory(dir=plan.out) as folder:
        files = [Path(folder) / name for name in ("host", "worker")]
        commands = [
            [sys.executable, "-c", f"{imports}, time; open({str(file)!r}, 'w'); time.sleep(60)"]
            for file, imports in zip(files, (_HOST_IMPORTS, _WORKER_IMPORTS), strict=True)
        ]
        with running(commands[0]) as host, running(commands[1]) as worker:
            for file in files:
                until_exists(file)
            time.sleep(_SETTLED_S)
            return Startup(seconds, pss_mb(host.pid) + pss_mb(worker.pid))


def _host(plan: Plan) -> Startup:
    port = free_port()
    with TemporaryDirectory(dir=plan.out) as folder:
        began = time.perf_counter()
        with running(command_line(port, Path(folder) / "hub.db")) as process:
            client = Client(port)
            client.until(202, "POST", "/orchestrators/E3_Monitor", MONITOR_REQUEST)
            seconds = time.perf_counter() - began
            client.close()
            time.sleep(_SETTLED_S)
            return Startup(seconds, pss_mb(process.pid))
