"""Starts a monitor: POST /orchestrators/E3_Monitor, or .../E3_Monitor/{instanceId} for an id of one's own."""

import json
import logging
import re
from dataclasses import asdict
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from E3_Monitor.monitoring_request import InvalidRequest, MonitoringRequest
from E3_SendAlert.sms import is_allowed, mask, missing_setting

_ORCHESTRATOR = "E3_Monitor"
# The SDK puts an id into a URL as it is.
_INSTANCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_LIVE = {
    df.OrchestrationRuntimeStatus.Pending,
    df.OrchestrationRuntimeStatus.Running,
    df.OrchestrationRuntimeStatus.ContinuedAsNew,
    df.OrchestrationRuntimeStatus.Suspended,
}

logger = logging.getLogger(__name__)


async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    """Check the request and start its monitor; whatever answers an error has started nothing.

    Errors: 400 for the body or the id, 403 for a number that may not be texted, 404 for another orchestrator,
    409 while a monitor of this id runs, 503 when an app setting is missing; the body is
    {"error": {"field", "message"}}.
    """
    if req.route_params["functionName"] != _ORCHESTRATOR:
        return _error(404, "functionName", f"only {_ORCHESTRATOR} can be started here")
    instance_id = req.route_params.get("instanceId")
    if instance_id is not None and not _INSTANCE_ID.fullmatch(instance_id):
        return _error(400, "instanceId", "an id has up to 100 letters, digits, _ and -, letter or digit first")
    try:
        request = MonitoringRequest.parse(_json(req))
    except InvalidRequest as error:
        return _error(400, error.field, str(error))
    if not is_allowed(request.phone):
        return _error(403, "phone", f"{mask(request.phone)} is not among the app setting AllowedPhoneNumbers")
    if name := missing_setting():
        return _error(503, None, f"the app setting {name} is missing, so no alert could be sent")
    return await _start(df.DurableOrchestrationClient(starter), req, instance_id, asdict(request))


async def _start(
    client: df.DurableOrchestrationClient, req: func.HttpRequest, instance_id: str | None, request: dict[str, Any]
) -> func.HttpResponse:
    if instance_id and await _is_live(client, instance_id):
        return _conflict(client, req, instance_id)
    try:
        started_id = await client.start_new(_ORCHESTRATOR, instance_id, request)
    except Exception:
        # The SDK raises plain Exception, also when another POST was faster.
        if instance_id and await _is_live(client, instance_id):
            return _conflict(client, req, instance_id)
        raise
    logger.info("Started orchestration with ID = '%s'.", started_id)
    return client.create_check_status_response(req, started_id)


async def _is_live(client: df.DurableOrchestrationClient, instance_id: str) -> bool:
    status = await client.get_status(instance_id)
    return status.runtime_status in _LIVE


def _conflict(client: df.DurableOrchestrationClient, req: func.HttpRequest, instance_id: str) -> func.HttpResponse:
    status_url = client.get_client_response_links(req, instance_id)["statusQueryGetUri"]
    message = f"a monitor of the id {instance_id} is running: see statusQueryGetUri"
    return _error(409, "instanceId", message, statusQueryGetUri=status_url)


def _json(req: func.HttpRequest) -> object:
    try:
        return req.get_json()
    except ValueError as error:
        raise InvalidRequest(None, f"the body is no JSON ({error.__cause__ or error})") from None
    except RecursionError:
        raise InvalidRequest(None, "the body is nested too deeply") from None


def _error(status_code: int, field: str | None, message: str, **more: str) -> func.HttpResponse:
    body = json.dumps({"error": {"field": field, "message": message}, **more})
    return func.HttpResponse(body, status_code=status_code, mimetype="application/json")
