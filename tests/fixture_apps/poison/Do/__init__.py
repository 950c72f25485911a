"""Runs what it is sent: the body of a function, as Python; answers with what that returns, as JSON."""

import json
from textwrap import indent

import azure.functions as func


def main(req: func.HttpRequest) -> func.HttpResponse:
    names = {}
    exec(f"def do():\n{indent(req.get_body().decode(), '    ')}", names)
    return func.HttpResponse(json.dumps(names["do"]()))
