"""Our side of a measurement, as a process of its own: `python -m bench.own monitors 640 128`.

Prints one JSON value. The client is in the host's process, the app in the worker's. The durable_host is the one
beside this folder: today's, or that of `before`, which has the app in the host's process.
Not here: what it is compared with (`monitors`, `timers`, `fan_out`).
"""

import argparse
import asyncio
import json
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from bench.client import MONITOR_REQUEST
from bench.processes import ROOT, cpu_of_each_s
from durable_host import Host

APP = ROOT / "bench" / "app"
FIVE_POLLS = {"repo": "octo/cat", "polls": 5, "interval_ms": 1}
_TIMEOUT_S = 120
_TIMERS = {"timers": 20, "interval_ms": 25}
_TIMER_ROWS = 16


def main() -> None:
    """Measure one thing and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.own")
    parser.add_argument("--console", action="store_true", help="write the console lines, to nowhere")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("monitors")
    command.add_argument("count", type=int)
    command.add_argument("starters", type=int)
    command = commands.add_parser("checks")
    command.add_argument("count", type=int)
    command.add_argument("starters", type=int)
    command = commands.add_parser("timers")
    command.add_argument("starters", type=int, help="of monitors beside the timers")
    command = commands.add_parser("fan_out")
    command.add_argument("count", type=int, help="of activities")
    command = commands.add_parser("serve")
    command.add_argument("port", type=int)
    command.add_argument("hub", type=Path)
    options = parser.parse_args()
    if options.console:
        from durable_host.console import Console  # Only here: `before` has none.

        Console(open(os.devnull, "w"), is_verbose=False)  # noqa: SIM115  Open as long as the process runs.
    else:
        logging.disable(logging.INFO)
    match options.command:
        case "monitors":
            result: Any = asyncio.run(_monitors(options.count, options.starters))
        case "checks":
            result = asyncio.run(_checks(options.count, options.starters))
        case "timers":
            result = asyncio.run(_timers(options.starters))
        case "fan_out":
            result = asyncio.run(_fan_out(options.count))
        case _:
            result = asyncio.run(_serve(options.port, options.hub))
    print(json.dumps(result))


async def _monitors(count: int, starters: int) -> dict[str, float]:
    """Monitors a second from POST to Completed; the CPU milliseconds of each, in all and in the busiest process.

    Host, worker and this client count; the client is a part of the host's process.
    """
    async with AsyncExitStack() as stack:
        host, session = await _host(stack, APP)
        await _run_monitor(host, session)
        left = iter(range(count))

        async def run() -> None:
            for _ in left:
                await _run_monitor(host, session)

        pid = os.getpid()
        began, cpu_before = time.perf_counter(), cpu_of_each_s(pid)
        await _all([run] * starters)
        seconds = time.perf_counter() - began
        each_ms = [(cpu - cpu_before[each]) * 1000 / count for each, cpu in cpu_of_each_s(pid).items()]
        return {"per_s": count / seconds, "cpu_ms": sum(each_ms), "busiest_ms": max(each_ms)}


async def _checks(count: int, starters: int) -> float:
    """How many checks each of so many real monitors has made, at an interval of 1 s over 5 s."""
    from sandbox.server import Sandbox  # Only here: `before` has none.

    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(port=0))
        os.environ.update(sandbox.settings, GITHUB_TOKEN="", NO_PROXY="localhost", no_proxy="localhost")
        host, session = await _host(stack, ROOT)
        request = {**MONITOR_REQUEST, "interval_seconds": 1, "expiry_seconds": 5}
        checks: list[int] = []
        left = iter(range(count))

        async def run() -> None:
            for _ in left:
                status = await _run(host, session, "E3_Monitor", request)
                checks.append(status["output"]["checks"])

        await _all([run] * starters)
        return sum(checks) / count


async def _timers(starters: int) -> list[float]:
    """By how many milliseconds each timer was late, while so many starters run monitors."""
    async with AsyncExitStack() as stack:
        host, session = await _host(stack, APP)
        await _run_monitor(host, session)
        is_over = False
        late_ms: list[float] = []

        async def load() -> None:
            while not is_over:
                await _run_monitor(host, session)

        async def measure() -> None:
            status = await _run(host, session, "Timers", _TIMERS)
            late_ms.extend(status["output"])

        loads = [asyncio.create_task(load()) for _ in range(starters)]
        await _all([measure] * _TIMER_ROWS)
        is_over = True
        await asyncio.gather(*loads)
        return late_ms


async def _fan_out(count: int) -> float:
    """The seconds from POST to Completed of one instance that waits for so many activities together."""
    async with AsyncExitStack() as stack:
        host, session = await _host(stack, APP)
        await _run(host, session, "FanOut", {"activities": 1})
        began = time.perf_counter()
        await _run(host, session, "FanOut", {"activities": count})
        return time.perf_counter() - began


async def _serve(port: int, hub: Path) -> None:
    async with Host(APP, hub=hub, port=port) as host:
        await host.run()


async def _host(stack: AsyncExitStack, root: Path) -> tuple[Host, ClientSession]:
    """A host on a fresh hub, and a client to it."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(dir=Path(os.environ["BENCH_OUT"])))
    host = await stack.enter_async_context(Host(root, hub=Path(folder) / "hub.db"))
    session = await stack.enter_async_context(ClientSession(connector=TCPConnector(limit=0)))
    return host, session


async def _run_monitor(host: Host, session: ClientSession) -> None:
    await _run(host, session, "Monitor", FIVE_POLLS)


async def _run(host: Host, session: ClientSession, name: str, request: object) -> dict[str, Any]:
    """POST, and wait until it is completed.

    Raises: RuntimeError when it ends in another way.
    """
    async with session.post(f"{host.url}/orchestrators/{name}", json=request) as response:
        started = await response.json()
    status = await host.wait(started["id"], _TIMEOUT_S)
    if status["runtimeStatus"] != "Completed":
        raise RuntimeError(f"{name} ended as {status['runtimeStatus']}: {status['output']}")
    return status


async def _all(jobs: list[Callable[[], Awaitable[None]]]) -> None:
    await asyncio.gather(*(job() for job in jobs))


if __name__ == "__main__":
    main()
