"""The sandbox's one port: GitHub under /github, Twilio under /twilio, the outbox, the settings of both, the page.

    GET /github/repos/{owner}/{name}/issues, /github/repositories/{id}/issues     as GitHub
    POST /twilio/2010-04-01/Accounts/{sid}/Messages.json                          as Twilio
    GET /github/repos; PUT /github/repos/{owner}/{name}; GET, PUT /twilio          what they are told to answer
    GET, DELETE /sms                                                              what was sent, newest first
    GET /                                                                         all of it as a page
What it stores nobody but this machine may read or change: it answers only to loopback names, and only pages of
loopback origins may call it. Only the pages that `allow_frame` is told of may show it in a frame. Nothing is
logged, since requests hold phone numbers.
Not its business: what the services' answers say (`github`, `twilio`).
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, Unpack
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.answer import Answer, FieldError
from sandbox.github import GitHub, IssuesRequest, RepositoryChanges
from sandbox.twilio import ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, Sms, Twilio, TwilioStatus

DEFAULT_PORT = 7072
DEFAULT_ADDRESS = "127.0.0.1"
PAGE = Path(__file__).with_name("page")
LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
DRIP_S = 0.1
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {framers}",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
CORS_HEADERS: Mapping[str, str] = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match",
    "Vary": "Origin",
}


class Sandbox:
    """Both stand-ins on one port; `async with` starts and stops them. Port 0 takes a free one.

    Args:
        now: the time of what they do; by default the system's.

    `url` and what is made from it exist once it has started.
    Raises: OSError from `start` when the port cannot be had.
    """

    url: str
    title = "GitHub and Twilio"

    def __init__(
        self,
        *,
        port: int = DEFAULT_PORT,
        address: str = DEFAULT_ADDRESS,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._now = now or _now
        self._port = port
        self._address = address
        self._github = GitHub()
        self._twilio = Twilio()
        self._framers = "'none'"
        self._stopping = asyncio.Event()
        # Handlers in flight are told to stop; what a slow client still sends is waited for no longer than this.
        self._runner = web.AppRunner(self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises: OSError when the port is taken or the address is not this machine's."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._address, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        port = self._runner.addresses[0][1]
        is_loopback = LOOPBACK.fullmatch(self._address) or self._address == "::1"
        self.url = f"http://{'localhost' if is_loopback else self._address}:{port}"

    async def stop(self) -> None:
        """Stop listening and drop every connection, hanging ones too."""
        self._stopping.set()
        await self._runner.cleanup()

    @property
    def github_url(self) -> str:
        """What GITHUB_API_URL must be for an app to use this GitHub."""
        return f"{self.url}/github"

    @property
    def twilio_url(self) -> str:
        """What TWILIO_API_URL must be for an app to use this Twilio."""
        return f"{self.url}/twilio"

    @property
    def settings(self) -> dict[str, str]:
        """The app settings that point an app here, by name; the credentials are made up, and a real one goes."""
        return {
            "GITHUB_API_URL": self.github_url,
            "GITHUB_TOKEN": "",
            "TWILIO_API_URL": self.twilio_url,
            "TwilioAccountSid": ACCOUNT_SID,
            "TwilioAuthToken": AUTH_TOKEN,
            "TwilioPhoneNumber": PHONE_NUMBER,
        }

    @property
    def sample_calls(self) -> list[str]:
        """Commands to try: one that gives a repository more issues, and one that shows what was sent."""
        return [
            f"curl -X PUT {self.url}/github/repos/octo/cat -d '{{\"open_issues\": 5}}'",
            f"curl {self.url}/sms",
        ]

    def allow_frame(self, url: str) -> None:
        """Let the pages at this loopback URL, by either of its names, show the sandbox's page in a frame."""
        port = urlsplit(url).port
        self._framers = f"http://localhost:{port} http://127.0.0.1:{port}"

    @property
    def sms(self) -> list[Sms]:
        """What was sent so far, newest first; `sent_at` is ISO 8601 in UTC."""
        return list(self._twilio.sms)

    def set_repository(self, repo: str, **changes: Unpack[RepositoryChanges]) -> None:
        """Set what `repo`, "owner/name", answers; what is not named stays. Raises: FieldError."""
        self._github.change(repo, changes)

    def set_twilio(self, *, status: TwilioStatus | None) -> None:
        """Set Twilio's fault; None: it works. Raises: FieldError."""
        self._twilio.change({"status": status})

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.on_response_prepare.append(self._add_headers)
        app.add_routes(
            [
                web.get("/", self._get_page),
                web.static("/page", PAGE),
                web.get("/github/repos", self._get_repositories),
                web.put("/github/repos/{owner}/{name}", self._put_repository),
                web.get("/github/repos/{owner}/{name}/issues", self._get_issues),
                web.get("/github/repositories/{id}/issues", self._get_issues),
                web.get("/twilio", self._get_twilio),
                web.put("/twilio", self._put_twilio),
                web.post("/twilio/2010-04-01/Accounts/{sid}/Messages.json", self._post_message),
                web.get("/sms", self._get_sms),
                web.delete("/sms", self._delete_sms),
            ]
        )
        return app

    def _is_local(self, host: str) -> bool:
        """Whether a Host header, or an Origin's, names this machine, or the address it was told to listen on."""
        return LOOPBACK.fullmatch(host) is not None or f"http://{host}" == self.url

    def _may_call(self, origin: str) -> bool:
        return origin.startswith("http://") and self._is_local(origin.removeprefix("http://"))

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        # A page of another site may have bound its own name to 127.0.0.1; the name gives it away.
        if not self._is_local(request.headers.get("Host", "")):
            return _problem(403, None, f"the Host header must name this machine; call {self.url}")
        if origin is not None and request.method not in ("GET", "HEAD") and not self._may_call(origin):
            return _problem(403, None, "only pages of loopback origins may call the sandbox")
        if request.method == "OPTIONS":
            return web.Response(status=204)
        try:
            return await handler(request)
        except FieldError as error:
            return _problem(400, error.field, error.message)
        except web.HTTPClientError as error:
            return _problem(error.status, None, f"{request.method} {request.path}: {error.reason}")

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value.format(framers=self._framers))
        origin = request.headers.get("Origin")
        if origin is not None and self._may_call(origin):
            response.headers.update({**CORS_HEADERS, "Access-Control-Allow-Origin": origin})

    async def _get_page(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _get_repositories(self, _request: web.Request) -> web.Response:
        return web.json_response(self._github.states())

    async def _put_repository(self, request: web.Request) -> web.Response:
        repository = self._github.change(_repo(request), await _json_object(request))
        return web.json_response(repository.state())

    async def _get_issues(self, request: web.Request) -> web.StreamResponse:
        repository_id = request.match_info.get("id")
        known = self._github.with_id(repository_id) if repository_id else self._github.named(_repo(request))
        if known and known.status == "hang":
            return await self._hang(request)
        if known and known.status == "drip":
            return await self._drip(request)
        # Links go to the host that was called: a client may follow none but its own origin's.
        api_url = f"http://{request.host}/github"
        issues = IssuesRequest(api_url, dict(request.query), request.headers, is_by_id=repository_id is not None)
        return _response(self._github.issues(known, issues, self._now()))

    async def _get_twilio(self, _request: web.Request) -> web.Response:
        return web.json_response(self._twilio.state())

    async def _put_twilio(self, request: web.Request) -> web.Response:
        return web.json_response(self._twilio.change(await _json_object(request)))

    async def _post_message(self, request: web.Request) -> web.StreamResponse:
        is_form = request.content_type == "application/x-www-form-urlencoded"
        text = (await request.read()).decode(errors="replace") if is_form else ""
        if self._twilio.status == "hang":
            return await self._hang(request)
        answer = self._twilio.send(
            request.match_info["sid"], request.headers.get("Authorization"), dict(parse_qsl(text)), self._now()
        )
        return _dropped(request) if self._twilio.status == "lost reply" else _response(answer)

    async def _get_sms(self, _request: web.Request) -> web.Response:
        return web.json_response(self._twilio.sms)

    async def _delete_sms(self, _request: web.Request) -> web.Response:
        self._twilio.sms.clear()
        return web.Response(status=204)

    async def _hang(self, request: web.Request) -> web.StreamResponse:
        await self._stopping.wait()
        return _dropped(request)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        """The beginning of a list, then a space at a time: each read succeeds, and the body never ends."""
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        with suppress(ConnectionError):  # The client left.
            await response.prepare(request)
            await response.write(b"[")
            while not self._stopping.is_set():
                await response.write(b" ")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), DRIP_S)
        _dropped(request)
        return response


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the services have clocks of their own, and so do their stand-ins.


def _repo(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"


async def _json_object(request: web.Request) -> dict[str, object]:
    """The body as a JSON object, whatever its content type: `curl -d` calls it a form. Raises: FieldError."""
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise FieldError(None, "expected a JSON object as the body")
    return value


def _problem(status: int, field: str | None, message: str) -> web.Response:
    return web.json_response({"error": {"field": field, "message": message}}, status=status)


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": "application/json; charset=utf-8"} if answer.body else {}
    return web.Response(status=answer.status, text=answer.body or None, headers={**headers, **answer.headers})


def _dropped(request: web.Request) -> web.Response:
    """No answer: the connection is closed, so what is returned here goes nowhere."""
    request.protocol.force_close()
    return web.Response()
