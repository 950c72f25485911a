"""Gets the URL of its input, for at most an hour."""

from datetime import timedelta

import azure.durable_functions as df


def call_or_time_out(context: df.DurableOrchestrationContext):
    answer = context.call_activity("Get", context.get_input())
    timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    if (yield context.task_any([answer, timer])) == timer:
        return "timed out"
    timer.cancel()
    return answer.result


main = df.Orchestrator.create(call_or_time_out)
