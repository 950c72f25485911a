"""The host's one port: HTTP functions by route, the durable HTTP API, the functions, the clock, the dashboard.

Not here: who may call (`callers`), what of a body is read (`bodies`), and what an answer says (`webhooks`,
`admin`, `clock_api`).
"""

import asyncio
import logging
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

from aiohttp import web

from durable_host.dispatch.dispatcher import Dispatcher
from durable_host.dispatch.workers import Worker
from durable_host.errors import FunctionFailed, HubError
from durable_host.functions.function_json import Function
from durable_host.http.admin import function_json, functions_json
from durable_host.http.bodies import Bodies
from durable_host.http.callers import Callers
from durable_host.http.clock_api import ClockApi
from durable_host.http.messages import WebhookRequest
from durable_host.http.webhooks import BASE, RPC_BASE, Webhooks
from durable_host.values import JSON, compact
from durable_host.worker.protocol import ClientCall, HttpRequest, Reply

_LINGER_S = 1  # For what a refused caller is still sending, so that it reads why.
_SEND_S = 30
_READY_S = 30
_FUNCTIONS = "/admin/functions"
_SANDBOX = "/durable-host/sandbox"
_CLOCK = "/durable-host/clock"
_SHUTDOWN_S = 0.001  # To aiohttp, 0 means to wait for ever.
_DASHBOARD = Path(__file__).parent / "dashboard"
_CONTENT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self' http://localhost:* http://127.0.0.1:*; frame-src {frames}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
log = logging.getLogger(__name__)


class Server:
    """Serves a hub and an app, from `start` until `stop`.

    Args:
        key: the hub's, for callers from beyond this machine.
        sandbox_url: whose page the dashboard may show in a frame, if any.
    """

    def __init__(
        self,
        worker: Worker,
        webhooks: Webhooks,
        dispatcher: Dispatcher,
        clock_routes: ClockApi,
        key: str,
        sandbox_url: str | None,
    ) -> None:
        self._worker = worker
        self._webhooks = webhooks
        self._dispatcher = dispatcher
        self._clock_routes = clock_routes
        self._key = key
        self._sandbox_url = sandbox_url

    async def start(self, listener: socket.socket, receive_s: float) -> None:
        """Begin to answer on a bound socket; what came since it was bound has waited.

        Args:
            receive_s: for the head of a request, and again for its body; between two requests too.
        """
        self._callers = Callers(listener.getsockname()[0], self._key)
        self._bodies = Bodies(receive_s)
        answers = web.Server(
            self._answer,
            access_log=None,
            # It would log a traceback for each malformed request, and quote keys in it.
            logger=logging.Logger("aiohttp", logging.CRITICAL),
            auto_decompress=False,  # As on Azure; a function gets what was sent.
            keepalive_timeout=receive_s,
            lingering_time=_LINGER_S,
        )
        self._runner = web.ServerRunner(answers, handle_signals=False, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, backlog=512).start()

    async def stop(self) -> None:
        """Stop answering, without waiting for what is in progress."""
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            response = await self._serve(request)
        except web.HTTPException:
            raise  # Such as a body over the limit: aiohttp's own answer.
        except ConnectionError:
            response = web.Response(status=400)  # The caller has gone while it sent its body.
        except HubError as error:
            response = _json(503, {"Message": str(error)})
        except sqlite3.Error as error:
            response = _json(503, {"Message": f"The task hub cannot be read ({error})."})
        except Exception:  # The last 500: a bug here must not take the other work down.
            log.exception("A request could not be answered.")
            response = web.Response(status=500)
        response.headers["Server"] = "durable_host"
        await _send(request, response)
        return response

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._callers.are_welcome(request):
            return _json(403, {"error": "This host answers only to its own address, and only to its own pages."})
        target = request.raw_path
        path, _, query = target.partition("?")
        lower = path.lower()
        for base in (BASE, RPC_BASE):
            if lower == base or lower.startswith(base + "/"):
                return await self._durable_api(request, base, path[len(base) :], query)
        if lower == _FUNCTIONS or lower.startswith(_FUNCTIONS + "/"):
            return self._functions_api(request, path[len(_FUNCTIONS) :].strip("/"), query)
        if lower == _CLOCK:
            return await self._clock_api(request, query)
        if lower == _SANDBOX:
            return self._sandbox_api(request, query)
        found = self._worker.app.match(request.method, path)
        if found is not None and not lower.startswith("/runtime/webhooks/"):
            function, route_values = found
            return await self._function(request, function, route_values, query)
        return _page(path, self._sandbox_url) if request.method == "GET" else web.Response(status=404)

    async def _durable_api(self, request: web.BaseRequest, base: str, path: str, query: str) -> web.Response:
        is_rpc = base == RPC_BASE
        # The SDK sends no key, and comes from this machine.
        allowed = self._callers.is_this_machine(request) if is_rpc else self._callers.may_call(request, query)
        if not allowed:
            return web.Response(status=401)
        headers = {name.lower(): value for name, value in request.headers.items()}
        origin = f"{request.scheme}://{request.host}"
        async with self._bodies.read(request) as body:
            call = WebhookRequest(request.method, origin, request.raw_path, path, query, headers, body)
            reply = await self._webhooks.handle(call)
        response = web.Response(status=reply.status, headers=dict(reply.headers))
        if reply.body:
            response.body = reply.body.encode()
            response.headers["Content-Type"] = "application/json; charset=utf-8"
        return response

    async def answer_client(self, call: ClientCall, origin: str) -> Reply:
        """A call of the SDK's client that came by the worker's pipe; it is answered as one over HTTP is."""
        target = call.url.removeprefix(origin)
        path, _, query = target.partition("?")
        headers = {"content-type": "application/json"}
        request = WebhookRequest(call.method, origin, target, path[len(RPC_BASE) :], query, headers, call.payload)
        try:
            reply = await self._webhooks.handle(request)
        except (HubError, sqlite3.Error) as error:
            return Reply(call.id, 503, compact({"Message": str(error)}).encode())
        except Exception:  # As over HTTP: the last 500.
            log.exception("A call of the app's client could not be answered.")
            return Reply(call.id, 500, b"")
        return Reply(call.id, reply.status, (reply.body or "").encode())

    def _functions_api(self, request: web.BaseRequest, name: str, query: str) -> web.Response:
        if not self._callers.may_call(request, query):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        if request.method != "GET":
            return web.Response(status=404)
        app = self._worker.app
        answer = function_json(app, name, request.host) if name else functions_json(app, request.host)
        return web.Response(status=404) if answer is None else _json(200, answer)

    async def _clock_api(self, request: web.BaseRequest, query: str) -> web.Response:
        if not self._callers.may_call(request, query):
            return web.Response(status=401)
        if request.method == "POST":
            async with self._bodies.read(request) as body:
                return _json(*await self._clock_routes.move(body))
        return _json(*self._clock_routes.state()) if request.method == "GET" else web.Response(status=404)

    def _sandbox_api(self, request: web.BaseRequest, query: str) -> web.Response:
        if not self._callers.may_call(request, query):
            return web.Response(status=401)
        return _json(200, {"url": self._sandbox_url}) if request.method == "GET" else web.Response(status=404)

    async def _function(
        self, request: web.BaseRequest, function: Function, route_values: dict[str, str], query: str
    ) -> web.Response:
        assert function.http is not None
        if function.http.auth_level != "anonymous" and not self._callers.may_call(request, query):
            return web.Response(status=401)
        async with self._bodies.read(request) as body:
            call = HttpRequest(
                id=0,
                function=function.name,
                invocation_id="",
                method=request.method,
                url=f"{request.scheme}://{request.host}{request.raw_path}",
                headers=tuple(request.headers.items()),
                query=tuple(parse_qsl(query)),
                route_params=route_values,
                payload=body,
            )
            return await self._run(function, call)

    async def _run(self, function: Function, call: HttpRequest) -> web.Response:
        reason = "This function was programmatically called via the host APIs."
        try:
            async with asyncio.timeout(_READY_S):
                await self._worker.until_ready()
        except TimeoutError:
            return _json(503, {"Message": "The app is being loaded. Try again."})
        invocation = self._worker.begin(function, reason)
        with self._dispatcher.working():
            try:
                answer = await self._worker.run_http(function, replace(call, invocation_id=invocation.id))
            except FunctionFailed as failure:
                problem = self._dispatcher.problem
                if problem is None:
                    invocation.end(f"Result: Failure\nException: {failure}\nStack: {failure.stack}")
                    return web.Response(status=500)
                # The hub did not take what the function asked for, of which the console knows.
                invocation.end("")
                return _json(503, {"Message": str(problem)})
        invocation.end()
        response = web.Response(status=answer.status, body=answer.payload or None)
        response.headers.popall("Content-Type", None)
        for name, value in answer.headers:
            response.headers.add(name, value)
        return response


def _page(path: str, sandbox_url: str | None) -> web.Response:
    """A file by a name that is in the folder, so no path leads out of it. The page may frame the sandbox's."""
    name = "index.html" if path == "/" else path.removeprefix("/dashboard/")
    file = next((each for each in _DASHBOARD.iterdir() if each.name == name), None)
    if file is None or file.suffix not in _CONTENT_TYPES:
        return web.Response(status=404)
    frames = sandbox_url or "'none'"
    return web.Response(
        text=file.read_text(encoding="utf-8"),
        content_type=_CONTENT_TYPES[file.suffix],
        headers={name: value.format(frames=frames) for name, value in _PAGE_HEADERS.items()},
    )


async def _send(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Send within a time, so that a caller who does not read holds nothing for ever."""
    try:
        async with asyncio.timeout(_SEND_S):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # The caller has gone.


def _json(status: int, value: JSON) -> web.Response:
    return web.Response(status=status, text=compact(value), content_type="application/json")
