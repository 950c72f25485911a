"""A monitor as Microsoft's sample builds it: a check a minute for five minutes, and an alert that ends it."""

from datetime import timedelta

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    request = context.get_input()
    expiry = context.current_utc_datetime + timedelta(minutes=5)
    while context.current_utc_datetime < expiry:
        too_many = yield context.call_activity("E3_TooManyOpenIssues", request["repo"])
        if too_many:
            yield context.call_activity("E3_SendAlert", request["phone"])
            break
        context.set_custom_status("Not too many issues yet.")
        yield context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
    return "Monitor completed!"


main = df.Orchestrator.create(orchestrator_function)
