"""Runs the steps of its input one after the other, and returns what each came to.

Shape: {"steps": [[what, argument], ...], "results": [...]}; what a step is stands in `tests.simulation.programs`.
"""

from datetime import timedelta

import azure.durable_functions as df

RETRIES = df.RetryOptions(first_retry_interval_in_milliseconds=2_000, max_number_of_attempts=3)


def program(context: df.DurableOrchestrationContext):
    given = context.get_input()
    steps, results = given["steps"], given["results"]
    for place, (what, argument) in enumerate(steps):
        if what == "again":
            context.continue_as_new({"steps": steps[place + 1 :], "results": results})
            return None
        results.append((yield from STEPS[what](context, argument)))
        context.set_custom_status(len(results))
    return results


def work(context, number):
    return (yield context.call_activity("Work", number))


def work_all(context, numbers):
    return (yield context.task_all([context.call_activity("Work", number) for number in numbers]))


def flaky(context, key):
    return (yield context.call_activity_with_retry("Flaky", RETRIES, key))


def refused(context, number):
    try:
        return (yield context.call_activity("Refuse", number))
    except Exception:  # noqa: BLE001  The SDK raises plain Exception.
        return "refused"


def child(context, steps):
    return (yield context.call_sub_orchestrator("Program", {"steps": steps, "results": []}))


def sleep(context, seconds):
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
    return "slept"


def race(context, seconds):
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
    event = context.wait_for_external_event("go")
    winner = yield context.task_any([timer, event])
    if winner == event:
        timer.cancel()
    return "raced"


STEPS = {
    "work": work,
    "all": work_all,
    "flaky": flaky,
    "refused": refused,
    "child": child,
    "sleep": sleep,
    "race": race,
}
main = df.Orchestrator.create(program)
