"""Calls the activity that its input names, with what comes after it, and returns the result."""

import azure.durable_functions as df


def call(context: df.DurableOrchestrationContext):
    activity, what = context.get_input()
    return (yield context.call_activity(activity, what))


main = df.Orchestrator.create(call)
