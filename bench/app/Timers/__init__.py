"""Measures durable timers: by how many milliseconds each of a row fired after it was due."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[float]]:
    """Wait for `timers` timers of `interval_ms` each, one after the other; a negative number fired early."""
    request: Any = context.get_input()
    late_ms = []
    for _ in range(request["timers"]):
        due_at = context.current_utc_datetime + timedelta(milliseconds=request["interval_ms"])
        yield context.create_timer(due_at)
        late_ms.append((context.current_utc_datetime - due_at) / timedelta(milliseconds=1))
    return late_ms


main = df.Orchestrator.create(orchestrator_function)
