"""A function app whose orchestrators do what the dashboard must be able to show."""

from pathlib import Path

from tests.host.apps import ACTIVITY, ORCHESTRATOR, write_function

_ORCHESTRATOR_CODE = """\
from datetime import timedelta

import azure.durable_functions as df


def orchestrator_function(context):
{body}

main = df.Orchestrator.create(orchestrator_function)
"""
_ORCHESTRATORS = {
    # Shows its input as its custom status, waits for an event, and returns the event's data.
    "Wait": """\
    context.set_custom_status(context.get_input())
    return (yield context.wait_for_external_event("go"))
""",
    "Nap": """\
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    return "slept"
""",
    "FanOut": """\
    yield context.task_all([context.call_activity("Double", each) for each in range(context.get_input()["many"])])
    return "all"
""",
    "Hold": """\
    return (yield context.call_activity("Holding", context.get_input()))
""",
    "Break": """\
    return (yield context.call_activity("Breaking", "glass"))
""",
    "Again": """\
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    context.continue_as_new({"turn": context.get_input()["turn"] + 1})
""",
}
_ACTIVITIES = {
    "Double": "def main(value):\n    return 2 * value\n",
    # Ends once the file is there that its input names.
    "Holding": """\
from pathlib import Path
from threading import Event


def main(value):
    while not Path(value["until"]).exists():
        Event().wait(0.01)
    return "held"
""",
    "Breaking": "def main(value):\n    raise ValueError(f'the {value} broke')\n",
}


def write_app(root: Path) -> Path:
    """Write the app there, and return its folder."""
    for name, body in _ORCHESTRATORS.items():
        write_function(root, name, _ORCHESTRATOR_CODE.format(body=body), ORCHESTRATOR)
    for name, code in _ACTIVITIES.items():
        write_function(root, name, code, ACTIVITY)
    return root
