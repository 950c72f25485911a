"""Repeats what the SDK's client was asked to do in a recording, and compares what it returned or raised.

A recorded call has its method's name, a remark, and the HTTP it sent: its arguments are read back from that HTTP.
Not here: the HTTP itself, which `replaying` compares.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import azure.durable_functions as df
import azure.functions as func

from durable_host import Host
from tests.golden_replay.binding import Binding
from tests.golden_replay.comparing import Difference, compare
from tests.golden_replay.recording import JSON, Recording, instant

_REQUEST = "http://localhost:7071/api/orchestrators/T_Wait"


@dataclass(frozen=True)
class _Arguments:
    """A call's arguments; `id` is the function's name for a start. `times_out` when its wait was in vain."""

    id: str
    rest: str
    query: dict[str, str]
    body: JSON
    times_out: bool

    @property
    def filters(self) -> dict[str, Any]:
        """The time window and statuses of a query over many instances."""
        names = [name for name in self.query.get("runtimeStatus", "").split(",") if name]
        window = {"created_time_from": "createdTimeFrom", "created_time_to": "createdTimeTo"}
        given = {name: instant(self.query[key]) for name, key in window.items() if key in self.query}
        return {**given, "runtime_status": [df.OrchestrationRuntimeStatus[name] for name in names]}


def _arguments(recording: Recording, call: dict[str, JSON], binding: Binding, later: timedelta) -> _Arguments:
    returned = call.get("returned")
    response = returned.get("HttpResponse") if isinstance(returned, dict) else None
    sent = next((exchange for exchange in recording.exchanges if exchange.call == call["call"]), None)
    if sent is None:  # No HTTP was sent: URLs were made of an id.
        payload: JSON = json.loads(response["body"]) if response else returned
        return _Arguments(binding.translate(payload["id"], later), "", {}, None, times_out=False)
    url = urlsplit(binding.translate_target(sent.target, later))
    path = [unquote(part) for part in url.path.split("/")[3:]]
    body = json.loads(json.loads(sent.body)) if sent.body else None
    times_out = response is not None and response["status"] == 202
    return _Arguments(path[0], path[-1] if path[1:] else "", dict(parse_qsl(url.query)), body, times_out)


_REPEAT: dict[str, Callable[[df.DurableOrchestrationClient, func.HttpRequest, _Arguments], Any]] = {
    "start_new": lambda client, _, a: client.start_new(a.id, a.rest or None, a.body, a.query.get("version")),
    "get_status": lambda client, _, a: client.get_status(
        a.id, "showHistory" in a.query, "showHistoryOutput" in a.query, "showInput" in a.query
    ),
    "get_status_all": lambda client, _, a: client.get_status_all(),
    "get_status_by": lambda client, _, a: client.get_status_by(
        **a.filters, instance_id_prefix=a.query.get("instanceIdPrefix", "")
    ),
    "raise_event": lambda client, _, a: client.raise_event(a.id, a.rest, a.body),
    "terminate": lambda client, _, a: client.terminate(a.id, a.query["reason"]),
    "suspend": lambda client, _, a: client.suspend(a.id, a.query["reason"]),
    "resume": lambda client, _, a: client.resume(a.id, a.query["reason"]),
    "rewind": lambda client, _, a: client.rewind(a.id, a.query["reason"]),
    "restart": lambda client, _, a: client.restart(a.id, a.query["restartWithNewInstanceId"] == "true"),
    "purge_instance_history": lambda client, _, a: client.purge_instance_history(a.id),
    "purge_instance_history_by": lambda client, _, a: client.purge_instance_history_by(**a.filters),
    "wait_for_completion_or_create_check_status_response": lambda client, request, a: (
        client.wait_for_completion_or_create_check_status_response(
            request, a.id, 300 if a.times_out else 5000, 100
        )
    ),
    "create_check_status_response": lambda client, request, a: client.create_check_status_response(request, a.id),
    "create_http_management_payload": lambda client, _, a: client.create_http_management_payload(a.id),
    "get_client_response_links": lambda client, _, a: client.get_client_response_links(None, a.id),
}


async def differing_calls(recording: Recording, host: Host) -> list[Difference]:
    """Make the recorded calls in order; the differences of what they return or raise."""
    later = host.clock.now() - recording.began_at
    binding = Binding(recording, urlsplit(host.url).port or 80)
    client = df.DurableOrchestrationClient(host.client_binding())
    request = func.HttpRequest("POST", binding.translate(_REQUEST, later), body=b"")
    differences: list[Difference] = []
    for i, call in enumerate(recording.calls):
        method = re.match(r"\w+", call["call"])
        assert method is not None
        repeat = next(repeat for name, repeat in _REPEAT.items() if name.startswith(method[0]))
        await host.idle()
        try:
            returned = repeat(client, request, _arguments(recording, call, binding, later))
            returned = await returned if hasattr(returned, "__await__") else returned
            here = {"call": call["call"], "returned": _plain(returned), "type": type(returned).__name__}
        except Exception as error:  # noqa: BLE001 - the SDK raises plain Exception, and the recording says which.
            here = {"call": call["call"], "raised": type(error).__name__, "message": str(error)}
        differences += compare(f"calls[{i}]", _own(recording, call), here, binding)
    return differences


def _own(recording: Recording, call: dict[str, JSON]) -> dict[str, JSON]:
    """The call, without the instances of other scenarios in a list that it returned."""
    if not isinstance(call.get("returned"), list):
        return call
    own = [s for s in call["returned"] if s["DurableOrchestrationStatus"]["instanceId"] in recording.own_ids]
    return {**call, "returned": own}


def _plain(value: Any) -> JSON:
    """What a call returned, as the recording writes it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | dict):
        return value
    if isinstance(value, func.HttpResponse):
        fields = {"status": value.status_code, "headers": dict(value.headers), "mimetype": value.mimetype}
        return {"HttpResponse": {**fields, "charset": value.charset, "body": value.get_body().decode()}}
    name = type(value).__name__
    if name != "DurableOrchestrationStatus":
        return {name: vars(value)}
    try:
        return {name: value.to_json()}
    except AttributeError as error:
        # The SDK cannot write the status of an instance that does not exist.
        return {name: {key: str(field) for key, field in vars(value).items()}, "to_json raised": repr(error)}
