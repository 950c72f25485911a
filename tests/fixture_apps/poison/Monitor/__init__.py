"""A healthy monitor: five checks, as many seconds apart as it is told."""

from datetime import timedelta

import azure.durable_functions as df


def monitor(context: df.DurableOrchestrationContext):
    for checks in range(1, 6):
        yield context.call_activity("Check", "octo/cat")
        context.set_custom_status({"checks": checks})
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input()))
    return "healthy"


main = df.Orchestrator.create(monitor)
