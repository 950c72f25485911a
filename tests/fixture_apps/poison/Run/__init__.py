"""Runs what it is given: the body of an orchestrator, as Python. `memory` is what no replay should have."""

from textwrap import indent

import azure.durable_functions as df

memory = {}


def run(context: df.DurableOrchestrationContext):
    names = {"context": context, "memory": memory}
    exec(f"def orchestrator():\n{indent(context.get_input(), '    ')}\n    yield", names)
    return (yield from names["orchestrator"]())


main = df.Orchestrator.create(run)
