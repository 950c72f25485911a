"""Fans out: calls many activities, and waits for all of them."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    """Check `activities` times at once; the number of answers."""
    request: Any = context.get_input()
    checks = [context.call_activity("Check", f"octo/cat{number}") for number in range(request["activities"])]
    answers = yield context.task_all(checks)
    return len(answers)


main = df.Orchestrator.create(orchestrator_function)
