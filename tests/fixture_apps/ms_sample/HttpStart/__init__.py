"""Starts an orchestrator; the shape of the starter in Microsoft's samples."""

import logging

import azure.durable_functions as df
import azure.functions as func


async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    client = df.DurableOrchestrationClient(starter)
    name = req.route_params["functionName"]
    instance_id = await client.start_new(name, client_input=req.get_json())
    logging.info("Started orchestration with ID = '%s'.", instance_id)
    return client.create_check_status_response(req, instance_id)
