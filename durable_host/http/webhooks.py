"""The durable HTTP API: a URL becomes an operation on an instance, its outcome a status code and JSON.

Not here: what the operations do (`instances`), the shape of a history (`status_json`), sockets (`server`).
Source: recorded from Microsoft.Azure.WebJobs.Extensions.DurableTask 3.19.0; handlers name their recordings.
"""

import base64
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus, unquote, unquote_plus

from durable_host.clock import Clock
from durable_host.engine.events import Status
from durable_host.errors import HostError, InstanceFinished
from durable_host.functions.host_json import DurableOptions
from durable_host.http.messages import (
    WRONG,
    Query,
    WebhookReply,
    WebhookRequest,
    failure,
    json_problem,
)
from durable_host.http.refusals import STORAGE_FAILURE, other_hub, refusal
from durable_host.http.status_json import json_or_text, status_json
from durable_host.hub.instances import Instances
from durable_host.hub.records import Filter
from durable_host.values import compact

BASE = "/runtime/webhooks/durabletask"
RPC_BASE = "/durabletask"
_DEFAULT_PAGE = 100
_SHORTEST_NAP_S = 0.01
# .NET's, which counts as no date. Source: recorded, i_dates_list.
_DEFAULT_DATE = datetime.min.replace(tzinfo=UTC)

Handler = Callable[["Webhooks", WebhookRequest, Query, tuple[str, ...]], Awaitable[WebhookReply]]


class Webhooks:
    """The durable HTTP API of one hub.

    Args:
        options: of them, its hub's name, as in `taskHub=`; other names are other hubs, which are empty here.
        key: the `code=` that goes into the URLs that are given out.
    """

    def __init__(self, instances: Instances, clock: Clock, options: DurableOptions, key: str) -> None:
        self._instances = instances
        self._clock = clock
        self._hub_name = options.hub_name
        self._has_lease = options.has_lease
        self._key = key

    def client_binding(self, origin: str, rpc_origin: str) -> str:
        """The JSON that a durableClient parameter receives; origins are `scheme://host:port`.

        Source: recorded, rpc_listener.
        """
        base = f"{origin}{BASE}"
        code = f"code={self._key}"
        start = f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        return compact(
            {
                "taskHubName": self._hub_name,
                "connectionName": None,
                "creationUrls": {
                    "createNewInstancePostUri": f"{start}?{code}",
                    "createAndWaitOnNewInstancePostUri": f"{start}?{wait}&{code}",
                },
                "managementUrls": {"id": "INSTANCEID", **self._urls(origin, "INSTANCEID", rewind=True)},
                "baseUrl": base,
                "requiredQueryStringParameters": code,
                "rpcBaseUrl": f"{rpc_origin}{RPC_BASE}/",
                "httpBaseUrl": None,
                "maxGrpcMessageSizeInBytes": None,
                "grpcHttpClientTimeout": None,
            }
        )

    def _urls(self, origin: str, instance_id: str, rewind: bool = False) -> dict[str, str]:
        """The management URLs of an instance. The extension's own answers leave rewind out."""
        instance = f"{origin}{BASE}/instances/{instance_id}"
        query = f"taskHub={self._hub_name}&connection=Storage&code={self._key}"
        urls = {
            "statusQueryGetUri": f"{instance}?{query}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
            "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
            "purgeHistoryDeleteUri": f"{instance}?{query}",
            "restartPostUri": f"{instance}/restart?{query}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
            "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
        }
        if not rewind:
            del urls["rewindPostUri"]
        return urls

    async def handle(self, request: WebhookRequest) -> WebhookReply:
        """Answer one request.

        Source: recorded, routes.
        """
        if request.method in ("HEAD", "PATCH"):
            return WebhookReply(405, headers={"Allow": "DELETE, GET, OPTIONS, POST, PUT"})
        if any(unquote(segment) in (".", "..") for segment in request.path.split("/")):
            return WebhookReply(404)  # The engine's server resolves them, and no route is left.
        path = request.path.removeprefix("/") if request.path.startswith("//") else request.path
        for method, pattern, handler, operation in _ROUTES:
            match = pattern.fullmatch(path)
            if match is not None and method in (request.method, "*") and "%2f" not in path.lower():
                # The server decodes a segment, and then the extension does, by the rules of forms.
                segments = tuple(unquote_plus(unquote(each)) for each in match.groups() if each is not None)
                return await self._operate(handler, operation, request, segments)
        return WebhookReply(404)

    async def _operate(
        self, handler: Handler, operation: str, request: WebhookRequest, segments: tuple[str, ...]
    ) -> WebhookReply:
        query = Query(request.query)
        connection = query.text("connection") or "Storage"
        if connection.lower() not in ("storage", "azurewebjobsstorage"):
            text = f"Unable to resolve the Azure Storage connection named '{connection}'."
            return failure(500, WRONG, text, "System.InvalidOperationException")
        if (query.text("taskHub") or self._hub_name).lower() != self._hub_name.lower():
            return other_hub(operation, query.text("taskHub") or "", segments)
        try:
            return await handler(self, request, query, segments)
        except HostError as error:
            return refusal(operation, error)

    async def _start(self, request: WebhookRequest, query: Query, segments: tuple[str, ...]) -> WebhookReply:
        """Source: recorded, start_extension_api, duplicates."""
        name, *instance_id = segments
        text = request.body.decode("utf-8-sig", "replace")
        if text:
            problem = json_problem(text)
            if problem:
                return problem
        started = await self._instances.start(
            name, text or None, instance_id[0] if instance_id else None, version=query.text("version")
        )
        return await self._started(request, query, started)

    async def _started(self, request: WebhookRequest, query: Query, instance_id: str) -> WebhookReply:
        """The 202 of a start; with timeout and pollingInterval, the output if it comes in time."""
        timeout_s, interval_s = query.seconds("timeout"), query.seconds("pollingInterval")
        if timeout_s is not None and interval_s is not None:
            if interval_s > timeout_s:
                text = f"Total timeout {timeout_s:g} should be bigger than retry timeout {interval_s:g}"
                return WebhookReply(400, compact({"Message": text}))
            reply = await self._output(instance_id, timeout_s, interval_s)
            if reply is not None:
                return reply
        encoded = quote_plus(instance_id, safe="!*()").replace("~", "%7E")
        urls = self._urls(request.origin, encoded)
        headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "10"}
        return WebhookReply(202, compact({"id": instance_id, **urls}), headers)

    async def _output(self, instance_id: str, timeout_s: float, interval_s: float) -> WebhookReply | None:
        left_s = timeout_s  # Counted in naps: the system's clock may be set back meanwhile.
        while True:
            record = self._instances.get(instance_id)
            if record.status is Status.Completed:
                return WebhookReply(200, compact(json_or_text(record.output)))
            if record.status.is_terminal:
                return WebhookReply(200, compact(status_json(record)))
            if left_s <= 0:
                return None
            nap_s = min(max(interval_s, _SHORTEST_NAP_S), left_s)
            await self._clock.sleep_until(self._clock.now() + timedelta(seconds=nap_s))
            left_s -= nap_s

    async def _status(self, request: WebhookRequest, query: Query, segments: tuple[str, ...]) -> WebhookReply:
        """Source: recorded, status_running_and_terminate and every final status."""
        record = self._instances.get(segments[0])
        history = None
        if query.flag("showHistory", False) and record.status is not Status.Pending:
            history = self._instances.history(record.id)
        body = status_json(
            record,
            show_input=query.flag("showInput", True),
            history=history,
            show_outputs=query.flag("showHistoryOutput", False),
        )
        if not record.status.is_terminal:
            headers = {"Location": f"{request.origin}{request.target}", "Retry-After": "5"}
            return WebhookReply(202, compact(body), headers)
        as_error = record.status is Status.Failed and query.flag("returnInternalServerErrorOnFailure", False)
        return WebhookReply(500 if as_error else 200, compact(body))

    async def _list(self, request: WebhookRequest, query: Query, _: tuple[str, ...]) -> WebhookReply:
        """Source: recorded, list_instances. The token is the next id and a blank, in base64."""
        where = self._filter(query)
        if where.created_to == _DEFAULT_DATE:
            where = replace(where, created_to=None)
        top = query.text("top") or ""
        limit = int(top) if re.fullmatch(r"\s*[+-]?\d{1,9}\s*", top) else _DEFAULT_PAGE
        if limit < 0:
            return STORAGE_FAILURE
        first = _token_id(request.headers.get("x-ms-continuation-token"))
        if first is None:
            return WebhookReply(200, "[]")
        records = self._instances.page(where, first, limit + 1)
        headers = {}
        if len(records) > limit:
            headers["x-ms-continuation-token"] = base64.b64encode(f"{records[limit].id} ".encode()).decode()
        show_input = query.flag("showInput", True) or where == Filter()
        rows = [status_json(record, show_input=show_input) for record in records[:limit]]
        return WebhookReply(200, compact(rows), headers)

    async def _send(self, request: WebhookRequest, query: Query, segments: tuple[str, ...]) -> WebhookReply:
        """Source: recorded, status_running_and_terminate, suspend_resume."""
        instance_id, verb = segments
        operation: Callable[[str, str | None], Awaitable[None]] = getattr(self._instances, verb.lower())
        await operation(instance_id, query.text("reason"))
        return WebhookReply(202)

    async def _rewind(self, request: WebhookRequest, query: Query, segments: tuple[str, ...]) -> WebhookReply:
        """Source: recorded, rewind."""
        await self._instances.rewind(segments[0], query.text("reason"))
        return WebhookReply(202)

    async def _restart(self, request: WebhookRequest, query: Query, segments: tuple[str, ...]) -> WebhookReply:
        """Source: recorded, restart."""
        new_id = uuid.uuid4().hex if query.flag("restartWithNewInstanceId", True) else segments[0]
        return await self._started(request, query, await self._instances.restart(segments[0], new_id))

    async def _restart_with_options(
        self, request: WebhookRequest, query: Query, segments: tuple[str, ...]
    ) -> WebhookReply:
        """Source: recorded, n_routes."""
        new_id, version = query.text("newInstanceId"), query.text("version")
        if not new_id:
            return WebhookReply(400, compact({"Message": "A new orchestration instance ID must be provided."}))
        self._instances.get(segments[0])
        if new_id.startswith("@"):
            text = "Orchestration instance IDs must not start with @. (Parameter 'newInstanceId')"
            return failure(400, text, text, "System.ArgumentException")
        return await self._started(
            request, query, await self._instances.restart(segments[0], new_id, version=version)
        )

    async def _make_primary(self, request: WebhookRequest, query: Query, _: tuple[str, ...]) -> WebhookReply:
        """This host is always the primary one. Source: recorded, n_routes, j_no_lease."""
        if self._has_lease:
            return WebhookReply(200)
        text = "Cannot make current app primary. This app is not using the AppLease feature."
        return WebhookReply(400, compact({"Message": text}))

    async def _raise_event(self, request: WebhookRequest, query: Query, segments: tuple[str, ...]) -> WebhookReply:
        """Source: recorded, raise_event: unknown, finished, content type and body are judged in this order."""
        instance_id, name = segments
        if self._instances.get(instance_id).status.is_terminal:
            raise InstanceFinished(instance_id)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return WebhookReply(400, compact({"Message": "Only application/json request content is supported"}))
        text = request.body.decode("utf-8-sig", "replace")
        problem = json_problem(text)
        if problem:
            return problem
        await self._instances.raise_event(instance_id, name, compact(json.loads(text)))
        return WebhookReply(202)

    async def _purge(self, request: WebhookRequest, query: Query, segments: tuple[str, ...]) -> WebhookReply:
        """Source: recorded, purge."""
        await self._instances.purge(segments[0])
        return WebhookReply(200, compact({"instancesDeleted": 1}))

    async def _purge_many(self, request: WebhookRequest, query: Query, _: tuple[str, ...]) -> WebhookReply:
        """Without a runtimeStatus all in the window goes, what runs too. Source: recorded, purge, i_dates_purge.

        Unlike there, a purge that names no final status, or an end that cannot be read, is refused.
        """
        where = self._filter(query)
        if where.created_from is None:
            return WebhookReply(400, compact("Please provide value for 'createdTimeFrom' parameter."))
        until, asked = query.text("createdTimeTo"), query.text("runtimeStatus")
        if until and where.created_to is None:
            text = f"The createdTimeTo '{until}' is not a date; write 2026-01-31T12:00:00Z. Nothing was purged."
            return WebhookReply(400, compact(text))
        if asked and not any(status.is_terminal for status in where.statuses):
            text = (
                f"The runtimeStatus '{asked}' names no final status: name Completed, Failed, Terminated or "
                "Canceled, or leave it out to purge whatever runs as well. Nothing was purged."
            )
            return WebhookReply(400, compact(text))
        count = await self._instances.purge_many(where)
        return WebhookReply(200, compact({"instancesDeleted": count})) if count else WebhookReply(404)

    async def _entities(self, request: WebhookRequest, query: Query, _: tuple[str, ...]) -> WebhookReply:
        """There are none: entities are not supported here. Source: recorded, routes."""
        return WebhookReply(200, "[]")

    def _filter(self, query: Query) -> Filter:
        now = self._clock.now()
        return Filter(
            prefix=query.text("instanceIdPrefix") or "",
            statuses=query.statuses(),
            created_from=query.time("createdTimeFrom", now),
            created_to=query.time("createdTimeTo", now),
        )


def _route(
    method: str, path: str, handler: Handler, operation: str = ""
) -> tuple[str, re.Pattern[str], Handler, str]:
    pattern = re.escape(path).replace("\\*", "([^/]+)").replace("VERB", "(terminate|suspend|resume)")
    return method, re.compile(pattern + "/?", re.IGNORECASE), handler, operation


_ROUTES = (
    _route("POST", "/orchestrators/*/*", Webhooks._start, "start"),
    _route("POST", "/orchestrators/*", Webhooks._start, "start"),
    _route("GET", "/instances", Webhooks._list, "list"),
    _route("GET", "/instances/*", Webhooks._status),
    _route("POST", "/instances/*/raiseEvent/*", Webhooks._raise_event),
    _route("POST", "/instances/*/restart", Webhooks._restart, "restart"),
    _route("POST", "/instances/*/restartWithOptions", Webhooks._restart_with_options, "restart"),
    _route("POST", "/instances/*/rewind", Webhooks._rewind, "rewind"),
    _route("POST", "/instances/*/VERB", Webhooks._send),
    _route("DELETE", "/instances", Webhooks._purge_many),
    _route("DELETE", "/instances/*", Webhooks._purge, "purge"),
    _route("GET", "/entities", Webhooks._entities, "list"),
    _route("GET", "/entities/*", Webhooks._entities, "list"),
    _route("*", "/makeprimary", Webhooks._make_primary),
)


def _token_id(token: str | None) -> str | None:
    """The id that a continuation token names, "" without one, None for one that is not ours."""
    if token is None:
        return ""
    try:
        text = base64.b64decode(token, validate=True).decode()
    except ValueError:
        return None
    return text[:-1] if text.endswith(" ") else None
