"""Squares all numbers of its input at once."""

import azure.durable_functions as df


def squares(context: df.DurableOrchestrationContext):
    return (yield context.task_all([context.call_activity("Square", number) for number in context.get_input()]))


main = df.Orchestrator.create(squares)
