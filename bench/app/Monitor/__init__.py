"""The loop of Microsoft's sample, with as many polls as it is asked for."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, int] | None]:
    """Check `polls` times, `interval_ms` after each check, and continue as new after every `per_generation`-th."""
    request: Any = context.get_input()
    for checks in range(request.get("checks", 0) + 1, request["polls"] + 1):
        too_many = yield context.call_activity("Check", request["repo"])
        next_check_at = context.current_utc_datetime + timedelta(milliseconds=request["interval_ms"])
        context.set_custom_status({"checks": checks, "tooMany": too_many, "nextCheck": next_check_at.isoformat()})
        yield context.create_timer(next_check_at)
        if "per_generation" in request and checks % request["per_generation"] == 0 and checks < request["polls"]:
            context.continue_as_new({**request, "checks": checks})
            return None
    return {"checks": request["polls"]}


main = df.Orchestrator.create(orchestrator_function)
