"""Counts down from its input to zero: a timer, then a new generation for the next number."""

from datetime import timedelta

import azure.durable_functions as df


def countdown(context: df.DurableOrchestrationContext):
    left = context.get_input()
    if left == 0:
        return "zero"
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=30))
    context.continue_as_new(left - 1)
    return None


main = df.Orchestrator.create(countdown)
