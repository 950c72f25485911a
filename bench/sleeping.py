"""What 100,000 sleeping monitors cost on one machine: memory, file, starting one more, listing, purging.

Not here: surviving a crash with them (`crash`).
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from aiohttp import ClientSession

from bench.client import MONITOR_REQUEST, Client, percentile
from bench.figures import Figure, Goal
from bench.hub import FINISHED, SLEEPING, copy_of_sleeping
from bench.plan import Plan
from bench.processes import command_line, free_port, pss_mb, running
from durable_host.engine.events import Status
from durable_host.hub.records import Filter
from durable_host.hub.taskhub import TaskHub

NAME = "sleeping"
_INSTANCES = "/runtime/webhooks/durabletask/instances"
_POST = "/orchestrators/E3_Monitor"
_PAGE = 100
_PAGES = 200
_STARTS = 50
_EVER = "createdTimeFrom=2000-01-01&createdTimeTo=2100-01-01"
_LIMIT = Goal("at most", 50)
_LISTS = {
    "all": "",
    "Running": "&runtimeStatus=Running",
    f"the {FINISHED} Completed": "&runtimeStatus=Completed",
    "an id's beginning": "&instanceIdPrefix=7f",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A host and its worker on a hub: memory after pages were listed, and what a start and the pages take."""

    memory_mb: float
    start_ms: float
    pages_ms: dict[str, list[float]]

    def __str__(self) -> str:
        """For the one who waits."""
        pages = ", ".join(f"{name} {max(took):.1f} ms" for name, took in self.pages_ms.items())
        return f"{self.memory_mb:.1f} MB, start {self.start_ms:.1f} ms, slowest pages {pages}"


def measure(plan: Plan) -> list[Figure]:
    """Compare a host on the full hub with one on an empty hub, in turns; then purge."""
    looks = plan.in_turns({"empty": lambda: _look(plan, False), "full": lambda: _look(plan, True)})
    empty, full = looks["empty"], looks["full"]
    with TemporaryDirectory(dir=plan.out) as folder:
        hub = Path(folder) / "hub.db"
        copy_of_sleeping(plan, hub)
        bytes_each = hub.stat().st_size / SLEEPING
        _finish_all(hub)
        purge_s, longest_ms = asyncio.run(_purge(hub))
    asleep = f"with {SLEEPING:,} asleep"
    figures = [
        Figure(
            NAME,
            f"memory of host and worker {asleep}, over that on an empty hub",
            "MB",
            [with_all.memory_mb - alone.memory_mb for with_all, alone in zip(full, empty, strict=True)],
            Goal("at most", 100),
        ),
        Figure(NAME, "file size of each", "B", [bytes_each], Goal("at most", 3000)),
        Figure(
            NAME,
            f"POST to 202 {asleep}, p50",
            "ms",
            [look.start_ms for look in full],
            None,
            "empty hub",
            [look.start_ms for look in empty],
        ),
    ]
    for name in _LISTS:
        slowest = [percentile(sorted(look.pages_ms[name]), 0.99) for look in full]
        figures.append(
            Figure(NAME, f"status list {asleep}, a page of {_PAGE}, {name}: p99", "ms", slowest, _LIMIT)
        )
    return [
        *figures,
        Figure(NAME, f"purge of {SLEEPING:,} finished ones", "s", [purge_s]),
        Figure(NAME, "the longest POST to 202 meanwhile", "ms", [longest_ms]),
    ]


@contextmanager
def _host(hub: Path) -> Iterator[tuple[int, Client, int]]:
    """The app, started as a user does: its process id, a client, the port."""
    port = free_port()
    with running(command_line(port, hub)) as process:
        client = Client(port)
        client.until(200, "GET", f"{_INSTANCES}?top=1")
        yield process.pid, client, port
        client.close()


def _look(plan: Plan, is_full: bool) -> Look:
    with TemporaryDirectory(dir=plan.out) as folder:
        hub = Path(folder) / "hub.db"
        if is_full:
            copy_of_sleeping(plan, hub)
        with _host(hub) as (pid, client, _):
            pages_ms = {
                name: list(itertools.islice(_pages(client, query), _PAGES)) for name, query in _LISTS.items()
            }
            memory = pss_mb(pid)
            starts = [client.post(_POST, MONITOR_REQUEST).took_ms for _ in range(_STARTS)]
            return Look(memory, median(starts), pages_ms)


def _pages(client: Client, query: str) -> Iterator[float]:
    """What each page of a list takes, in ms, from the first on."""
    headers: dict[str, str] = {}
    while True:
        reply = client.get(f"{_INSTANCES}?top={_PAGE}{query}", headers)
        yield reply.took_ms
        token = reply.headers.get("x-ms-continuation-token")
        if token is None:
            return
        headers = {"x-ms-continuation-token": token}


def _finish_all(hub: Path) -> None:
    with TaskHub(hub) as written, written.batch():
        for instance_id in written.ids(Filter(statuses=(Status.Running,))):
            record = written.record(instance_id)
            assert record is not None
            written.set_status(instance_id, Status.Completed, record.updated_at)


async def _purge(hub: Path) -> tuple[float, float]:
    """How long the purge takes, in s, and the slowest start meanwhile, in ms."""
    with _host(hub) as (_, _, port):
        async with ClientSession(f"http://localhost:{port}") as session:

            async def purge() -> float:
                began = time.perf_counter()
                async with session.delete(f"{_INSTANCES}?{_EVER}") as response:
                    gone = (await response.json())["instancesDeleted"]
                if gone != SLEEPING + FINISHED:
                    raise RuntimeError(f"{gone} instances were purged, expected {SLEEPING + FINISHED}.")
                return time.perf_counter() - began

            purging = asyncio.create_task(purge())
            longest_s = 0.0
            while not purging.done():
                began = time.perf_counter()
                async with session.post(_POST, json=MONITOR_REQUEST) as response:
                    await response.read()
                longest_s = max(longest_s, time.perf_counter() - began)
            return await purging, longest_s * 1000
