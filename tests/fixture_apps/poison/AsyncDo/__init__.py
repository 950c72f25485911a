"""Runs what it is sent: the body of a coroutine, as Python, with the durable client; answers as Do does."""

import json
from textwrap import indent

import azure.durable_functions as df
import azure.functions as func


async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    names = {"client": df.DurableOrchestrationClient(starter)}
    exec(f"async def do():\n{indent(req.get_body().decode(), '    ')}", names)
    return func.HttpResponse(json.dumps(await names["do"]()))
