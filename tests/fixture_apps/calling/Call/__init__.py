"""Gets all URLs of its input at once, and returns what they answered."""

import azure.durable_functions as df


def call(context: df.DurableOrchestrationContext):
    return (yield context.task_all([context.call_activity("Get", url) for url in context.get_input()]))


main = df.Orchestrator.create(call)
