"""Monitors on Microsoft's `durabletask` with its in-memory backend: `python monitors.py PORT COUNT STARTERS 1`.

In one process, as its documentation shows it; with a last argument of 2, the backend is a process apart, whose CPU
time is left out. Runs in the peer's environment, and prints what `bench.own monitors` prints. Nothing is on disk.
"""

import json
import logging
import multiprocessing
import sys
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from threading import Semaphore
from typing import Any

from durabletask.client import OrchestrationStatus, TaskHubGrpcClient  # type: ignore[import-not-found]
from durabletask.testing import create_test_backend  # type: ignore[import-not-found]
from durabletask.worker import TaskHubGrpcWorker  # type: ignore[import-not-found]

_POLLS = 5
_INTERVAL = timedelta(milliseconds=1)
_TIMEOUT_S = 120
# The backend has ten threads, and a client that waits for an end holds one: with more waiters it is slower.
_WAITERS = 4


def check(_: Any, repo: str) -> bool:
    """Check one repository."""
    return False


def monitor(context: Any, request: dict[str, Any]) -> Generator[Any, Any, dict[str, int]]:
    """Check five times, a millisecond after each check."""
    for checks in range(1, _POLLS + 1):
        too_many = yield context.call_activity(check, input=request["repo"])
        next_check_at = context.current_utc_datetime + _INTERVAL
        context.set_custom_status({"checks": checks, "tooMany": too_many, "nextCheck": next_check_at.isoformat()})
        yield context.create_timer(next_check_at)
    return {"checks": _POLLS}


def serve(port: int, is_up: Any) -> None:
    """Be the backend, until killed; sets the event `is_up`."""
    logging.disable(logging.CRITICAL)
    create_test_backend(port=port)
    is_up.set()
    threading.Event().wait()


def main(port: int, count: int, starters: int, processes: int) -> None:
    """Run so many monitors, and print how many were completed a second."""
    logging.disable(logging.CRITICAL)
    if processes == 1:
        create_test_backend(port=port)
    else:
        spawn = multiprocessing.get_context("spawn")
        is_up = spawn.Event()
        spawn.Process(target=serve, args=(port, is_up), daemon=True).start()
        is_up.wait(_TIMEOUT_S)
    with TaskHubGrpcWorker(host_address=f"localhost:{port}") as worker:
        worker.add_orchestrator(monitor)
        worker.add_activity(check)
        worker.start()
        client = TaskHubGrpcClient(host_address=f"localhost:{port}")
        _run(client, 1, 1)
        began, cpu_before = time.perf_counter(), time.process_time()
        _run(client, count, starters)
        cpu_ms = (time.process_time() - cpu_before) * 1000 / count
        print(json.dumps({"per_s": count / (time.perf_counter() - began), "cpu_ms": cpu_ms}), flush=True)


def _run(client: TaskHubGrpcClient, count: int, starters: int) -> None:
    free = Semaphore(starters)

    def wait(instance_id: str) -> None:
        state = client.wait_for_orchestration_completion(instance_id, timeout=_TIMEOUT_S)
        free.release()
        if state is None or state.runtime_status is not OrchestrationStatus.COMPLETED:
            raise RuntimeError(f"{instance_id} was not completed: {state}")

    with ThreadPoolExecutor(_WAITERS) as pool:
        waits: list[Future[None]] = []
        for _ in range(count):
            free.acquire()
            instance_id = client.schedule_new_orchestration(monitor, input={"repo": "octo/cat"})
            waits.append(pool.submit(wait, instance_id))
        for each in waits:
            each.result()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
