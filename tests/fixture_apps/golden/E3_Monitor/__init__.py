"""Stands in for Microsoft's sample: five minutes, a check a minute, one alert."""

from datetime import timedelta

import azure.durable_functions as df


def monitor(context: df.DurableOrchestrationContext):
    request = context.get_input()
    repository, phone = request["repo"], request["phone"]
    ends_at = context.current_utc_datetime + timedelta(minutes=5)
    while context.current_utc_datetime < ends_at:
        if (yield context.call_activity("E3_TooManyOpenIssues", repository)):
            yield context.call_activity("E3_SendAlert", phone)
            break
        context.set_custom_status("The repository does not have too many issues, for now ...")
        yield context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
    return "Monitor completed!"


main = df.Orchestrator.create(monitor)
