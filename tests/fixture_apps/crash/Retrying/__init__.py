"""Fails when each of three attempts, 5 s apart, has failed."""

import azure.durable_functions as df


def retrying(context: df.DurableOrchestrationContext):
    return (yield context.call_activity_with_retry("Refuse", df.RetryOptions(5_000, 3), 1))


main = df.Orchestrator.create(retrying)
