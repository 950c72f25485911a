"""The host's one port: HTTP functions by route, the durable HTTP API, the functions, the clock, the dashboard.

Not here: who may call (`callers`), what of a body is read (`bodies`), and what an answer says (`webhooks`,
`admin`, `bindings`).
"""

import asyncio
import json
import logging
import socket
import sqlite3
from datetime import MAXYEAR, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

from aiohttp import web

from durable_host.clock import Clock
from durable_host.dispatch.dispatcher import Dispatcher
from durable_host.dispatch.invocations import Invocation
from durable_host.errors import FunctionFailed, HubError
from durable_host.functions.triggers import FunctionApp
from durable_host.http.admin import function_json, functions_json
from durable_host.http.bodies import Bodies
from durable_host.http.callers import Callers
from durable_host.http.messages import WebhookRequest
from durable_host.http.webhooks import BASE, RPC_BASE, Webhooks
from durable_host.hub.taskhub import TaskHub
from durable_host.values import JSON, compact, stamp
from durable_host.worker.function_json import Function
from durable_host.worker.invoke import Bindings, HttpCall

_LINGER_S = 1  # For what a refused caller is still sending, so that it reads why.
_SEND_S = 30
_FUNCTIONS = "/admin/functions"
_SANDBOX = "/durable-host/sandbox"
_CLOCK = "/durable-host/clock"
_CLOCK_USAGE = 'Send {"skip": "next"}, or {"advance_seconds": N} with N of 0 to ten years.'
_SKIP_TIMEOUT_S = 30
_SHUTDOWN_S = 0.001  # To aiohttp, 0 means to wait for ever.
_LONGEST_ADVANCE_S = 10 * 366 * 86_400
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
    """Serves a hub and an app on a bound socket, from `start` until `stop`.

    Args:
        receive_s: for the head of a request, and again for its body; between two requests too.
        sandbox_url: whose page the dashboard may show in a frame, if any.
    """

    def __init__(
        self,
        listener: socket.socket,
        app: FunctionApp,
        bindings: Bindings,
        webhooks: Webhooks,
        dispatcher: Dispatcher,
        clock: Clock,
        hub: TaskHub,
        receive_s: float,
        sandbox_url: str | None,
    ) -> None:
        self._listener = listener
        self._app = app
        self._bindings = bindings
        self._webhooks = webhooks
        self._dispatcher = dispatcher
        self._clock = clock
        self._hub = hub
        self._sandbox_url = sandbox_url
        self._callers = Callers(listener.getsockname()[0], hub.key)
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

    async def start(self) -> None:
        """Begin to answer; what came since the socket was bound has waited."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener, backlog=512).start()

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
        found = self._app.match(request.method, path)
        if found is not None and not lower.startswith("/runtime/webhooks/"):
            function, route_values = found
            return await self._function(request, function, route_values, query)
        return self._page(path) if request.method == "GET" else web.Response(status=404)

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

    def _functions_api(self, request: web.BaseRequest, name: str, query: str) -> web.Response:
        if not self._callers.may_call(request, query):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        if request.method != "GET":
            return web.Response(status=404)
        answer = function_json(self._app, name, request.host) if name else functions_json(self._app, request.host)
        return web.Response(status=404) if answer is None else _json(200, answer)

    async def _clock_api(self, request: web.BaseRequest, query: str) -> web.Response:
        if not self._callers.may_call(request, query):
            return web.Response(status=401)
        if request.method == "POST":
            async with self._bodies.read(request) as body:
                problem = await self._move_clock(body)
            if problem is not None:
                return problem
        elif request.method != "GET":
            return web.Response(status=404)
        now = self._clock.now()
        due = self._hub.next_timer(now)
        state = {
            "now": stamp(now),
            "next": due and stamp(due),
            "skipped_seconds": self._clock.skipped.total_seconds(),
        }
        return _json(200, state)

    def _sandbox_api(self, request: web.BaseRequest, query: str) -> web.Response:
        if not self._callers.may_call(request, query):
            return web.Response(status=401)
        return _json(200, {"url": self._sandbox_url}) if request.method == "GET" else web.Response(status=404)

    async def _move_clock(self, body: bytes) -> web.Response | None:
        """Do what the request says; the error when it cannot be done."""
        wish = _clock_request(body)
        if wish is None:
            return _json(400, {"error": _CLOCK_USAGE})
        try:
            async with asyncio.timeout(_SKIP_TIMEOUT_S):
                if isinstance(wish, timedelta):
                    await self._dispatcher.advance(wish)
                elif await self._dispatcher.skip() is None:
                    return _json(409, {"error": "No timer is waiting, so there is nothing to skip to."})
        except OverflowError:
            return _json(400, {"error": f"{_CLOCK_USAGE} The clock ends with the year {MAXYEAR}."})
        except TimeoutError:
            text = f"Functions have been running for {_SKIP_TIMEOUT_S} s; time is skipped only when none is."
            return _json(409, {"error": text})
        return None

    async def _function(
        self, request: web.BaseRequest, function: Function, route_values: dict[str, str], query: str
    ) -> web.Response:
        assert function.http is not None
        if function.http.auth_level != "anonymous" and not self._callers.may_call(request, query):
            return web.Response(status=401)
        async with self._bodies.read(request) as body:
            call = HttpCall(
                method=request.method,
                url=f"{request.scheme}://{request.host}{request.raw_path}",
                headers=request.headers.items(),
                query=parse_qsl(query),
                route_params=route_values,
                body=body,
            )
            return await self._run(function, call)

    async def _run(self, function: Function, call: HttpCall) -> web.Response:
        reason = "This function was programmatically called via the host APIs."
        invocation = Invocation(function.name, self._clock, reason)
        with self._dispatcher.working(function.name):
            try:
                answer = await self._bindings.run_http(function, call, invocation.id)
            except FunctionFailed as failure:
                problem = self._dispatcher.problem
                if problem is None:
                    invocation.end(f"Result: Failure\nException: {failure}\nStack: {failure.stack}")
                    return web.Response(status=500)
                # The hub did not take what the function asked for, of which the console knows.
                invocation.end("")
                return _json(503, {"Message": str(problem)})
        invocation.end()
        response = web.Response(status=answer.status, body=answer.body or None)
        response.headers.popall("Content-Type", None)
        for name, value in answer.headers:
            response.headers.add(name, value)
        return response

    def _page(self, path: str) -> web.Response:
        """A file of the dashboard, by a name that is in its folder, so that no path leads out of it."""
        name = "index.html" if path == "/" else path.removeprefix("/dashboard/")
        file = next((each for each in _DASHBOARD.iterdir() if each.name == name), None)
        if file is None or file.suffix not in _CONTENT_TYPES:
            return web.Response(status=404)
        frames = self._sandbox_url or "'none'"
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


def _clock_request(body: bytes) -> str | timedelta | None:
    """What a POST to the clock asks for: "next", or a span; None when it is neither."""
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match wish:
        case {"skip": "next", **rest} if not rest:
            return "next"
        case {"advance_seconds": int() | float() as seconds, **rest} if not rest and not isinstance(seconds, bool):
            return timedelta(seconds=seconds) if 0 <= seconds <= _LONGEST_ADVANCE_S else None
    return None


def _json(status: int, value: JSON) -> web.Response:
    return web.Response(status=status, text=compact(value), content_type="application/json")
