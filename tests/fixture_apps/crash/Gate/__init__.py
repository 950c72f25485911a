"""Waits for the event "go", and returns what came with it."""

import azure.durable_functions as df


def gate(context: df.DurableOrchestrationContext):
    return (yield context.wait_for_external_event("go"))


main = df.Orchestrator.create(gate)
