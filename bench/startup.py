"""From the process's start to the first 202, beside what the imports alone take; memory when idle.

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
from bench.processes import command_line, free_port, output, rss_mb, running

NAME = "startup"
IMPORTS = "import azure.durable_functions, twilio.rest, requests, aiohttp.web"
_SETTLED_S = 1


@dataclass(frozen=True, slots=True)
class Startup:
    """What one start took, and the memory a moment later."""

    seconds: float
    rss_mb: float

    def __str__(self) -> str:
        """For the one who waits."""
        return f"{self.seconds:.2f} s, {self.rss_mb:.1f} MB"


def measure(plan: Plan) -> list[Figure]:
    """Start the app with the sandbox, and a Python that only imports, in turns."""
    startups = plan.in_turns({"imports": lambda: _imports(), "host": lambda: _host(plan)})
    imports_s = [startup.seconds for startup in startups["imports"]]
    hosts = startups["host"]
    peer = f"python -c '{IMPORTS}'"
    seconds = [startup.seconds for startup in hosts]
    goal = Goal("at most", 1.3, "ratio")
    return [
        Figure(NAME, "process start to the first 202", "s", seconds, goal, peer, imports_s),
        Figure(
            NAME,
            "memory with the sandbox, one monitor asleep",
            "MB",
            [startup.rss_mb for startup in hosts],
            Goal("at most", 80),
        ),
    ]


def _imports() -> Startup:
    began = time.perf_counter()
    output([sys.executable, "-c", IMPORTS])
    return Startup(time.perf_counter() - began, 0)


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
            return Startup(seconds, rss_mb(process.pid))
