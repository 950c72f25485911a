"""Secrets: canaries go through every path, and are found in no log line, error, status, URL or file but where they
belong: numbers in the durable API's input and history, the hub file and the sandbox's outbox; keys nowhere."""

import json
import logging
import os
import re
import resource
import signal
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from aiohttp import ClientSession, web

from durable_host import Host, SkipClock
from durable_host.http.webhooks import BASE, RPC_BASE
from sandbox.server import Sandbox
from sandbox.twilio import ACCOUNT_SID, AUTH_TOKEN, ERRORS, STATUSES
from tests.conftest import ROOT, Serve
from tests.hostile.conftest import Count
from tests.processes import run, running

# Put together here, so that no scanner takes them for somebody's.
PHONE = "+1425555" + "9173"
TOKEN = "ghp_" + "CaNaRy0" * 5
SID = "AC" + "ca4a7e50" * 4
AUTH = "ca4a7e51" * 4
BASIC = b64encode(f"{SID}:{AUTH}".encode()).decode()
# The number as people write it too, since Twilio's texts may hold it so.
NUMBERS = (PHONE, PHONE[1:], PHONE[2:], "555-9173", "5559173", quote(PHONE))
KEYS = (TOKEN, SID, AUTH, BASIC)
MONITOR = "/orchestrators/E3_Monitor"
REQUEST = {"repo": "octo/cat", "phone": PHONE}
ISSUES = [{"number": number, "title": "x"} for number in range(5)]


def found(text: str, secrets: tuple[str, ...] = (*NUMBERS, *KEYS)) -> list[str]:
    """The secrets in a text, whatever their letter case."""
    return [secret for secret in secrets if secret.lower() in text.lower()]


class Services:
    """GitHub and Twilio, which tell all that they know in whatever they answer."""

    def __init__(self) -> None:
        self.issues: Callable[[], web.Response] = lambda: web.json_response(ISSUES)
        self.message: Callable[[web.Request], web.StreamResponse] | None = None
        self.came: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.came.append(f"{request.path} {request.headers.get('Authorization')} {await request.text()}")
        if request.path.endswith("/issues"):
            return self.issues()
        if self.message is not None:
            return self.message(request)
        return web.json_response({"sid": "SM" + "0" * 32, "to": PHONE, "account_sid": SID}, status=201)


def github(status: int, **headers: str) -> Callable[[], web.Response]:
    text = {"message": f"Bearer {TOKEN} may not, nor {SID}:{AUTH} for {PHONE}"}
    return lambda: web.json_response(text, status=status, headers=headers)


def twilio(code: int, text: str) -> Callable[[web.Request], web.StreamResponse]:
    status = STATUSES.get(code, 400)
    message = text.format(to=PHONE, sender="+15005550006", account_sid=SID)
    detail = f"{message} (425) 555-9173, {SID}, {AUTH}, 1 425 555 9173"
    return lambda _: web.json_response({"code": code, "message": detail, "status": status}, status=status)


def problem(_request: web.Request) -> web.StreamResponse:
    """As Twilio's newer services word an error."""
    text = f"{SID} may not text {PHONE} with {AUTH}"
    body = {"code": 20003, "title": text, "detail": text, "status": 403, "type": "x"}
    return web.json_response(body, status=403)


def garbage(status: int) -> Callable[[web.Request], web.StreamResponse]:
    return lambda _: web.Response(text=f"{PHONE} {SID} {AUTH} {BASIC}", status=status)


def odd_headers(_request: web.Request) -> web.StreamResponse:
    return web.Response(text=PHONE, status=302, headers={"Location": f"http://[{SID}/{AUTH}", "X": PHONE})


def dropped(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def broken(request: web.Request) -> web.StreamResponse:
    """A head that is none, about which urllib3 logs the URL."""
    assert request.transport is not None
    request.transport.write(f"HTTP/1.1 400 {SID}\r\nX{PHONE}\r\n: {AUTH}\r\n\r\n{PHONE}".encode())
    request.transport.close()
    return web.Response()


GITHUB = [
    *(github(status) for status in (400, 401, 403, 404, 410, 422, 429, 451, 500, 503)),
    *(github(status, Location=f"http://localhost:1/{TOKEN}?{PHONE}") for status in (301, 302, 307)),
    github(301, Location=f"http://[{TOKEN}"),
    github(200, Link=f'<http://localhost:1/{TOKEN}>; rel="next"'),
    github(403, **{"Retry-After": TOKEN, "X-RateLimit-Remaining": "0"}),
]
TWILIO: list[Callable[[web.Request], web.StreamResponse]] = [
    *(twilio(code, text) for code, text in ERRORS.items()),
    *(garbage(status) for status in (200, 201, 204, 400, 401, 403, 404, 418, 429, 500, 503)),
    *(problem, odd_headers, dropped, broken),
]


class Heard(logging.Handler):
    """Every record of every logger, as text, with what it was made of."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "aiohttp.access":
            return  # Of the stand-in above.
        error = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self.texts.append(f"{record.name} {record.getMessage()} {record.args!r} {error}")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """All loggers at DEBUG, those of the libraries too, before the app is loaded."""
    for name in [name for name in sys.modules if name.startswith("E3_")]:
        monkeypatch.delitem(sys.modules, name)  # Other tests import it.
    loggers = [logging.getLogger(), *map(logging.getLogger, ("twilio", "urllib3", "aiohttp", "asyncio", "azure"))]
    levels = [logger.level for logger in loggers]
    handler = Heard()
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    loggers[0].addHandler(handler)
    yield handler
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
async def services(app_settings: None, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Both on one port, and the app's settings for them, which are canaries."""
    services = Services()
    url = await serve(services.answer)
    settings = {
        "GITHUB_API_URL": url,
        "TWILIO_API_URL": url,
        "TwilioPhoneNumber": "+15005550006",
        "GITHUB_TOKEN": TOKEN,
        "TwilioAccountSid": SID,
        "TwilioAuthToken": AUTH,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return services


def without_inputs(status: Mapping[str, Any]) -> str:
    """A status with its history, but for inputs: the caller's, and E3_SendAlert's."""

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: cut(each) for name, each in value.items() if name.lower() != "input"}
        return [cut(each) for each in value] if isinstance(value, list) else value

    return json.dumps(cut(dict(status)))


def contents(folder: Path) -> bytes:
    """All that is in a folder's files."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def alerts(host: Host, client: ClientSession) -> str:
    """POST to SMS, or to whatever ends the monitor; its status and history as the durable HTTP API tells them."""
    async with client.post(MONITOR, json=REQUEST) as answer:
        assert answer.status == 202
        text = await answer.text()
        assert found(text) == []
    await host.wait(json.loads(text)["id"])
    url = f"{BASE}/instances/{json.loads(text)['id']}?showHistory=true&showHistoryOutput=true"
    async with client.get(url) as answer:
        return without_inputs(await answer.json())


async def test_no_answer_of_github_or_twilio_leads_a_secret_out(
    services: Services, heard: Heard, tmp_path: Path, capfd: pytest.CaptureFixture[str], count: Count
) -> None:
    told = []
    hub = tmp_path / "hub.db"
    async with Host(ROOT, hub=hub, clock=SkipClock(), in_process=True) as host, ClientSession(host.url) as client:
        told.append(await alerts(host, client))
        for twilios in TWILIO:
            services.message = twilios
            told.append(await alerts(host, client))
        services.message = None
        for githubs in GITHUB:
            services.issues = githubs
            told.append(await alerts(host, client))
        seen = [name for name in (*NUMBERS[5:], *KEYS) if found("\n".join(services.came), (name,))]
        files = contents(tmp_path)

    # They did go through.
    assert set(seen) == {quote(PHONE), TOKEN, SID, BASIC}
    assert "alerted" in told[0]
    assert "Twilio refused it with error 21211" in "".join(told)
    assert len(heard.texts) > 100
    assert [each for each in told if found(each)] == []
    assert [each for each in heard.texts if found(each)] == []
    assert found("".join(capfd.readouterr())) == []
    assert found(files.decode("latin-1"), KEYS) == []
    assert PHONE.encode() in files
    count(len(told))


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "https://localhost:{port}", "http://no-such.invalid", "tel:1", "http://["]
)
async def test_no_failed_connection_leads_a_secret_out(
    url: str, services: Services, heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(os.environ["TWILIO_API_URL"]).port
    monkeypatch.setenv("TWILIO_API_URL", url.format(port=port))
    async with (
        Host(ROOT, hub=tmp_path / "hub.db", clock=SkipClock(), in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        told = await alerts(host, client)

    assert '"outcome": "alerted"' not in told
    assert found(told) == []
    assert [each for each in heard.texts if found(each)] == []


async def test_the_sandbox_shows_the_number_in_its_outbox_and_tells_it_nobody_else(
    heard: Heard, host: Host, client: ClientSession, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)
    told = await alerts(host, client)
    async with ClientSession(sandbox.url) as outside, outside.get("/sms") as answer:
        (sms,) = await answer.json()

    assert sms["to"] == PHONE
    assert found(told, (*NUMBERS, ACCOUNT_SID, AUTH_TOKEN)) == []
    assert [each for each in heard.texts if found(each, (*NUMBERS, ACCOUNT_SID, AUTH_TOKEN))] == []
    assert found("".join(capfd.readouterr())) == []


# The command line.


def little_disk() -> None:
    """A limit on every file's size, which ends the hub's room soon."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))


async def monitor(client: ClientSession, path: str) -> str:
    """The answer to a start."""
    async with client.post(path, json=REQUEST) as answer:
        assert answer.status == 202
        return await answer.text()


async def test_the_command_line_prints_no_secret(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    hub = tmp_path / "hub.db"
    arguments = ("--hub", hub, "--verbose", "--skip-time", "--address", "0.0.0.0")
    async with running(*arguments, limit=little_disk) as host, ClientSession(host.url) as client:
        key = re.findall(r"code=([\w-]{43})", await monitor(client, f"{RPC_BASE}{MONITOR}/first"))[0]
        mine = f"{BASE}/instances/first"

        async def ask(method: str, path: str, body: Any = None) -> int:
            headers = {"x-functions-key": key, "Referer": f"{host.url}/?code={key}&phone={quote(PHONE)}"}
            async with client.request(method, path, json=body, headers=headers) as answer:
                services.came.append(f"{answer.url} {await answer.text()}")
                return answer.status

        # Every way in, good and bad; each names the number.
        waiting = {**REQUEST, "threshold": 9, "interval_seconds": 86_400, "expiry_seconds": 2_592_000}
        bodies = [REQUEST, {**REQUEST, PHONE: PHONE}, {**REQUEST, "repo": PHONE}, {"phone": PHONE}, [PHONE], PHONE]
        for body in bodies:
            await ask("POST", MONITOR, body)
            await ask("POST", f"{BASE}{MONITOR}", body)
        await ask("POST", f"{MONITOR}/{quote(PHONE)}", REQUEST)
        await ask("POST", f"/orchestrators/{quote(PHONE)}", REQUEST)
        await ask("POST", f"{BASE}/orchestrators/{quote(PHONE)}", REQUEST)
        await ask("POST", f"{mine}/restart")
        for operation in ("rewind", "suspend", "resume"):
            await ask("POST", f"{mine}/{operation}?reason={quote(PHONE)}")
        assert await ask("POST", f"{BASE}{MONITOR}/second", waiting) == 202
        await ask("POST", f"{BASE}/instances/second/raiseEvent/{quote(PHONE)}", PHONE)
        await ask("POST", f"{BASE}/instances/second/terminate?reason={quote(PHONE)}")
        await ask("GET", f"/{quote(PHONE)}?code={key}")
        services.message = twilio(21211, ERRORS[21211])
        await ask("POST", MONITOR, REQUEST)
        services.issues = github(401)
        await ask("POST", MONITOR, REQUEST)
        # A disk without room: the SDK raises inside HttpStart what the durable API said.
        while await ask("POST", MONITOR, {**REQUEST, "repo": "o/" + "a" * 90}) != 503:
            pass
        await host.until("cannot be written")
        await host.end(signal.SIGABRT)

    assert found("\n".join(services.came), (PHONE, TOKEN, SID, BASIC)) == [PHONE, TOKEN, SID, BASIC]
    assert "Fatal Python error: Aborted" in host.printed
    assert "GitHub refuses the app setting GITHUB_TOKEN (401)" in host.printed
    assert [line for line in host.printed.splitlines() if found(line, (*NUMBERS, *KEYS, key))] == []
    count(len(services.came))


async def test_a_replay_prints_no_secret(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Host(ROOT, hub=tmp_path / "hub.db", clock=SkipClock(), in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        await client.post(f"{MONITOR}/mine", json=REQUEST)
        await host.wait("mine")
        url = f"{BASE}/instances/mine?showHistory=true&showHistoryOutput=true"
        async with client.get(url) as answer:
            text = await answer.text()
    files = [tmp_path / name for name in ("same.json", "changed.json", "bad.json", "none.json")]
    changed = text.replace("E3_SendAlert", "E3_Notify")
    for file, content in zip(files, (text, changed, text.replace('"repo"', '"phones"'), PHONE), strict=True):
        file.write_text(content)

    _, printed = await run(sys.executable, "-m", "durable_host", "replay", *files)

    assert PHONE in text
    assert "replays" in printed
    assert "left its history" in printed
    assert found(printed) == []
