"""Starts a monitor: POST /orchestrators/E3_Monitor, or .../E3_Monitor/{instanceId} for an id of one's own."""

import json
import logging
import re
from dataclasses import asdict

import azure.durable_functions as df
import azure.functions as func

from E3_Monitor.monitoring_request import InvalidRequest, MonitoringRequest
from E3_SendAlert.sms import is_allowed, mask, missing_setting

_MAX_BYTES = 10_240
_INSTANCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # The SDK puts an id into a URL as it is.
_LIVE = {df.OrchestrationRuntimeStatus[name] for name in ("Pending", "Running", "ContinuedAsNew", "Suspended")}

logger = logging.getLogger(__name__)


async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    """Check the request and start its monitor; an error, {"error": {"field", "message"}}, has started nothing."""
    instance_id = req.route_params.get("instanceId")
    if req.route_params["functionName"] != "E3_Monitor":
        return _error(404, "functionName", "only E3_Monitor can be started here")
    if instance_id is not None and not _INSTANCE_ID.fullmatch(instance_id):
        return _error(400, "instanceId", "an id has up to 100 letters, digits, _ and -, letter or digit first")
    if len(req.get_body()) > _MAX_BYTES:
        return _error(400, None, f"the body has more than {_MAX_BYTES} bytes")
    try:
        request = MonitoringRequest.parse(json.loads(req.get_body()))
    except InvalidRequest as error:
        return _error(400, error.field, str(error))
    except (ValueError, RecursionError) as error:
        return _error(400, None, f"the body is not JSON: {error}")
    if not is_allowed(request.phone):
        return _error(403, "phone", f"{mask(request.phone)} is not among the app setting AllowedPhoneNumbers")
    if name := missing_setting():
        return _error(503, None, f"the app setting {name} is missing, so no alert could be sent")

    client = df.DurableOrchestrationClient(starter)
    try:
        started_id = await client.start_new("E3_Monitor", instance_id, asdict(request))
    except Exception:
        # The SDK raises plain Exception, for one when a monitor of this id is live.
        if instance_id is None or (await client.get_status(instance_id)).runtime_status not in _LIVE:
            raise
        message = f"a monitor of the id {instance_id} is running: see statusQueryGetUri"
        status_url = client.get_client_response_links(req, instance_id)["statusQueryGetUri"]
        return _error(409, "instanceId", message, statusQueryGetUri=status_url)
    logger.info("Started orchestration with ID = '%s'.", started_id)
    return client.create_check_status_response(req, started_id)


def _error(status_code: int, field: str | None, message: str, **more: str) -> func.HttpResponse:
    body = json.dumps({"error": {"field": field, "message": message}, **more})
    return func.HttpResponse(body, status_code=status_code, mimetype="application/json")
