"""Has one sub-orchestration for each list of its input, all at once."""

import azure.durable_functions as df


def fan_out(context: df.DurableOrchestrationContext):
    lists = context.get_input()
    return (yield context.task_all([context.call_sub_orchestrator("Squares", numbers) for numbers in lists]))


main = df.Orchestrator.create(fan_out)
