"""No orchestrator of the SDK's: it answers with whatever text its input is."""

import json


def main(context) -> str:
    return json.loads(json.loads(context.body)["input"])
