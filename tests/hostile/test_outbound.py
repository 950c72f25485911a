"""What GitHub, Twilio or who stands in their place may answer: no worker is kept, and no token goes elsewhere.

More answers, one by one: tests/functions/test_e3_too_many_open_issues.py and test_e3_send_alert.py. A head that
comes a byte at a time is not defended against (SECURITY.md).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product
from pathlib import Path

import pytest
from aiohttp import web

from durable_host import Host
from E3_SendAlert.sms import send
from E3_TooManyOpenIssues.github import exceeds
from tests.conftest import ROOT, Handler, Serve
from tests.hostile.conftest import Count

pytestmark = pytest.mark.usefixtures("app_settings")

TOKEN = "ghp_canary"
JSON = "application/json"
DEADLINE_S = 1.0
# What either says when it cannot tell.
UNKNOWN: dict[str, object] = {"GitHub": None, "Twilio": {"message": None}}
ISSUES = json.dumps([{"number": number} for number in range(5)]).encode()
MESSAGE = json.dumps({"sid": "SM0123456789"}).encode()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of accounts that exist nowhere."""
    monkeypatch.setenv("TwilioAccountSid", "AC0123456789")
    monkeypatch.setenv("TwilioAuthToken", "7e57token")
    monkeypatch.setenv("TwilioPhoneNumber", "+15005550006")
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)


async def ask(service: str, url: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """What the app makes of it."""
    if service == "GitHub":
        monkeypatch.setenv("GITHUB_API_URL", url)
        return await asyncio.to_thread(exceeds, "octo/cat", 3, deadline_s=DEADLINE_S)
    monkeypatch.setenv("TWILIO_API_URL", url)
    return await asyncio.to_thread(send, "+14255550100", "text", timeout_s=DEADLINE_S)


def waiting(stopping: asyncio.Event) -> Callable[[float], Awaitable[None]]:
    """A sleep that the end of the test cuts short, with the connection."""

    async def wait(seconds: float) -> None:
        try:
            await asyncio.wait_for(stopping.wait(), seconds)
        except TimeoutError:
            return
        raise ConnectionResetError

    return wait


# Bodies. Each is sent until the client leaves.


async def endless_blanks() -> AsyncIterator[bytes]:
    while True:
        yield b" " * 65_536


async def endless_json() -> AsyncIterator[bytes]:
    yield b"["
    while True:
        yield b'{"number":1},' * 1_000


async def a_byte_a_second(wait: Callable[[float], Awaitable[None]]) -> AsyncIterator[bytes]:
    yield b"["
    while True:
        yield b" "
        await wait(0.2)


async def a_beginning(wait: Callable[[float], Awaitable[None]]) -> AsyncIterator[bytes]:
    yield b'[{"number":'
    await wait(60)


def streaming(make: Callable[..., AsyncIterator[bytes]], *arguments: object) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            status=200 if request.method == "GET" else 201, headers={"Content-Type": JSON}
        )
        await response.prepare(request)
        try:
            async for piece in make(*arguments):
                await response.write(piece)
        except ConnectionError:
            pass  # The client has had enough.
        return response

    return answer


@pytest.mark.parametrize("service", ["GitHub", "Twilio"])
async def test_an_answer_without_an_end_is_none_in_time(
    service: str, serve: Serve, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    stopping = asyncio.Event()
    wait = waiting(stopping)
    cases = [
        streaming(endless_blanks),
        streaming(endless_json),
        streaming(a_byte_a_second, wait),
        streaming(a_beginning, wait),
    ]
    for handler in cases:
        url = await serve(handler)
        assert await ask(service, url, monkeypatch) == UNKNOWN[service]
    stopping.set()
    count(len(cases))


@pytest.mark.parametrize(
    ("service", "status", "body"), [("GitHub", 200, ISSUES), ("Twilio", 201, MESSAGE), ("Twilio", 200, MESSAGE)]
)
async def test_a_usual_answer_is_understood(
    service: str, status: int, body: bytes, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type=JSON)

    assert await ask(service, await serve(answer), monkeypatch) in (True, {"message": "SM0123456789"})


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/plain", "application/octet-stream", "application/xml", ""]
)
async def test_an_answer_of_another_type_is_none(
    content_type: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        response = web.Response(body=ISSUES)
        response.headers["Content-Type"] = content_type
        return response

    assert await ask("GitHub", await serve(answer), monkeypatch) is None


@pytest.mark.parametrize("service", ["GitHub", "Twilio"])
async def test_a_body_over_ten_megabytes_is_none(
    service: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"GitHub": ISSUES, "Twilio": MESSAGE}[service]

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(
            status=201 if service == "Twilio" else 200, body=body + b" " * 10_000_000, content_type=JSON
        )

    assert await ask(service, await serve(answer), monkeypatch) == UNKNOWN[service]


async def thief(serve: Serve) -> tuple[str, list[str]]:
    """The URL of who gives the answer that was hoped for, and the paths that it was asked for."""
    came: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        came.append(request.path)
        return web.Response(body=ISSUES, content_type=JSON)

    return await serve(answer), came


@pytest.mark.parametrize("service", ["GitHub", "Twilio"])
async def test_a_redirect_never_carries_a_token_to_another_origin(
    service: str, serve: Serve, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    elsewhere, came = await thief(serve)
    port = elsewhere.rpartition(":")[2]
    targets = [
        *(elsewhere, f"//localhost:{port}/x", f"http://localhost:{port}@localhost/x", f"http://[::1]:{port}/"),
        *(
            f"HTTP://LOCALHOST:{port}/",
            f"http:\\\\localhost:{port}\\x",
            f"\thttp://localhost:{port}/",
            "file:///etc/passwd",
        ),
        *(
            "ftp://localhost/",
            "gopher://localhost/",
            "data:application/json,[]",
            "javascript:1",
            "http://",
            "//",
            "\\\\x",
            "http://[",
        ),
    ]
    redirects = product((301, 302, 303, 307, 308), targets)

    async def redirect(_request: web.Request) -> web.Response:
        status, target = next(redirects)
        return web.Response(status=status, headers={"Location": target, "Link": f'<{target}>; rel="next"'})

    url = await serve(redirect)
    for _ in range(5 * len(targets)):
        assert await ask(service, url, monkeypatch) == UNKNOWN[service]
    assert list(redirects) == []
    assert came == []
    count(5 * len(targets))


async def test_a_link_to_another_origin_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    elsewhere, came = await thief(serve)
    port = elsewhere.rpartition(":")[2]
    links = [
        f"{elsewhere}/x",
        f"//localhost:{port}/x",
        f"http://evil@localhost:{port}/",
        "file:///etc/passwd",
        "http://[",
    ]
    for link in links:

        async def answer(_request: web.Request, link: str = link) -> web.Response:
            return web.Response(text="[]", content_type=JSON, headers={"Link": f'<{link}>; rel="next"'})

        assert await ask("GitHub", await serve(answer), monkeypatch) is None
    assert came == []
    count(len(links))


@pytest.mark.parametrize("service", ["GitHub", "Twilio"])
@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "ftp://localhost/",
            "gopher://localhost/",
            "localhost:7072",
            "//localhost/",
            "http://",
        ),
        *(
            "javascript:alert(1)",
            "data:,x",
            "http:localhost",
            "https:///x",
            "unix:///var/run/docker.sock",
            "\0",
            "http",
        ),
    ],
)
async def test_another_address_must_be_http(service: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "\0" in url:
        url = "http\x01://localhost"
    told = {"GitHub": ("refused", "GITHUB_API_URL"), "Twilio": ("unsent", "TWILIO_API_URL")}[service]

    answer = await ask(service, url, monkeypatch)

    assert answer == {told[0]: f"the app setting {told[1]} is not an http(s) URL"}


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_the_only_worker_is_free_again_after_an_answer_without_an_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stopping = asyncio.Event()
    monkeypatch.setenv("GITHUB_API_URL", await serve(streaming(a_byte_a_second, waiting(stopping))))
    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "1")
    request = {
        "repo": "octo/cat",
        "phone": "+14255550100",
        "interval_seconds": 86_400,
        "expiry_seconds": 2_592_000,
    }

    async with Host(ROOT, hub=tmp_path / "hub.db") as host:
        monitors = [await host.start("E3_Monitor", request) for _ in range(3)]
        await asyncio.wait_for(host.idle(), 100)
        statuses = [await host.status(each) for each in monitors]
    stopping.set()

    assert [status and status["customStatus"]["openIssues"] for status in statuses] == ["unknown"] * 3
