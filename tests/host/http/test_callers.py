"""The browser as attacker, and other machines: foreign origins, rebound names, callers without the hub's key."""

import logging
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from durable_host import Host, RealClock
from durable_host.http.webhooks import BASE, RPC_BASE
from durable_host.hub.records import Filter
from tests.host.apps import HTTP, ORCHESTRATOR, RETURN, SLEEP, STARTER, write_function
from tests.raw_http import Reply, request, send

CLOCK = "/durable-host/clock"
START = """
import azure.durable_functions as df

async def main(req, starter):
    return await df.DurableOrchestrationClient(starter).start_new("Sleep")
"""

UNSAFE = [
    ("POST", "/api/Start"),
    *(("POST", f"{base}/orchestrators/Sleep") for base in (BASE, RPC_BASE)),
    *(("DELETE", f"{base}/instances/mine") for base in (BASE, RPC_BASE)),
    ("DELETE", f"{BASE}/instances?createdTimeFrom=2020-01-01"),
    *(
        ("POST", f"{BASE}/instances/mine/{each}")
        for each in ("terminate", "suspend", "resume", "restart", "rewind")
    ),
    ("POST", f"{BASE}/instances/mine/raiseEvent/Go"),
    ("POST", CLOCK),
    ("PUT", "/"),
    ("PATCH", f"{BASE}/instances"),
    ("PROPFIND", "/"),
]
SAFE = [
    ("GET", path)
    for path in (
        *("/", "/dashboard/app.js", "/api/Keyed", "/admin/functions", CLOCK),
        *(f"{base}/instances" for base in (BASE, RPC_BASE)),
    )
]
FOREIGN_PAGES = [
    *(
        f"Origin: {origin}"
        for origin in ("null", "", "http://evil.example", "https://localhost", "http://localhost")
    ),
    *(f"Origin: {origin}" for origin in ("http://localhost:1", "http://127.0.0.1:PORT", "http://localhost:PORT/")),
    *(
        f"Origin: {origin}"
        for origin in ("http://localhost:PORT.evil.example", "http://evil@localhost:PORT", "file://")
    ),
    *(
        f"Sec-Fetch-Site: {site}"
        for site in ("cross-site", "same-site", "", "CROSS-SITE", "same-origin, none", "x")
    ),
]
FOREIGN_NAMES = [
    *("evil.example", "evil.example:PORT", "localhost.evil.example", "127.0.0.1.evil.example", "localhost."),
    "LOCAL",
    *("127.0.0.2", "127.1", "127.000.000.001", "0.0.0.0", "2130706433", "0x7f.1", "10.0.0.1", "169.254.169.254"),
    *("[::]", "[::ffff:127.0.0.1]", "::1", "[::1", "::1]", "[localhost]", "[127.0.0.1]", "localhost]", "[[::1]]"),
    *("", " ", "localhost:", "localhost:x", "localhost:1:2", "localhost:-1", "localhost:123456"),
    "localhost:\u0661",
    *("evil@localhost", "localhost@evil", "localhost/", "localhost\\", "localhost,evil.example"),
    "http://localhost",
    *("loc%61lhost", "*", "localhost evil.example", "\u0131localhost", "ⓛocalhost"),
]
OWN_NAMES = [
    *("localhost", "LOCALHOST", "localhost:1", "localhost:PORT", "127.0.0.1", "127.0.0.1:PORT", "[::1]:PORT"),
]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """HTTP functions, one of which starts an orchestrator that sleeps for an hour."""
    root = tmp_path / "app"
    write_function(root, "Bare", "def main(req): pass", HTTP)
    write_function(root, "Keyed", "def main(req): return 'in'", {**HTTP, "authLevel": "function"}, RETURN)
    write_function(root, "Start", START, HTTP, STARTER, RETURN)
    write_function(root, "Sleep", SLEEP, ORCHESTRATOR)
    return root


@pytest.fixture
async def host(app: Path, tmp_path: Path) -> AsyncIterator[Host]:
    """That app on a host."""
    async with Host(app, hub=tmp_path / "hub.db", clock=RealClock(), in_process=True) as host:
        yield host


@pytest.fixture
async def open_host(app: Path, tmp_path: Path) -> AsyncIterator[Host]:
    """That app on a host that other machines reach."""
    async with Host(app, hub=tmp_path / "open.db", address="0.0.0.0", clock=RealClock(), in_process=True) as host:
        yield host


def ids(host: Host) -> list[str]:
    return [each.id for each in host.instances.page(Filter(), "", 10)]


def of(host: Host, text: str) -> str:
    return text.replace("PORT", str(urlsplit(host.url).port))


async def call(host: Host, method: str, path: str, *headers: str, name: str = "localhost:PORT") -> Reply:
    """The answer to these headers; the name is sent as UTF-8."""
    data = request(method, path, *(of(host, each) for each in headers), host=None)
    line = f"\r\nHost: {of(host, name)}\r\n"
    return await send(host.url, data.replace(b"\r\n", line.encode(), 1))


async def test_a_page_of_another_origin_changes_nothing(host: Host) -> None:
    await host.start("Sleep", instance_id="mine")

    for (method, path), page in product(UNSAFE, FOREIGN_PAGES):
        reply = await call(host, method, path, page, "Content-Type: text/plain")
        assert (method, path, page, reply.status) == (method, path, page, 403)
        assert not any(header.startswith("access-control-") for header in reply.headers)

    assert ids(host) == ["mine"]


async def test_no_page_of_another_origin_is_told_anything(host: Host) -> None:
    for (method, path), page in product([*SAFE, *UNSAFE], FOREIGN_PAGES[:4]):
        preflight = await call(host, "OPTIONS", path, page, f"Access-Control-Request-Method: {method}")
        got = await call(host, "GET", path, page)
        assert (method, path, page, got.status) == (method, path, page, 200) or method != "GET"
        assert not any(header.startswith("access-control-") for header in (*preflight.headers, *got.headers))


async def test_a_name_that_was_rebound_is_not_answered(host: Host) -> None:
    for (method, path), name in product([*SAFE, *UNSAFE], FOREIGN_NAMES):
        reply = await call(host, method, path, name=name)
        assert (method, path, name, reply.status in (400, 403)) == (method, path, name, True)

    assert ids(host) == []


@pytest.mark.parametrize("name", OWN_NAMES)
async def test_its_own_names_and_pages_are_answered(host: Host, name: str) -> None:
    origin = f"Origin: http://{name}"
    for headers in ([origin], ["Sec-Fetch-Site: none"], [origin, "Sec-Fetch-Site: same-origin"]):
        assert (await call(host, "POST", f"{BASE}/orchestrators/Sleep", *headers, name=name)).status == 202


# Beyond this machine.


async def test_on_loopback_nobody_needs_a_key(host: Host) -> None:
    assert (await call(host, "GET", "/api/Keyed")).status == 200
    assert (await call(host, "GET", f"{BASE}/instances?code=wrong")).status == 200


async def test_beyond_loopback_the_hubs_key_is_asked_for_and_is_in_no_log(
    open_host: Host, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    key = open_host.hub.key
    asks = [each for each in [*UNSAFE, *SAFE] if each[1].startswith((BASE, CLOCK, "/api/Keyed", "/admin"))]
    wrong = ["", "wrong", "null", "\0", "*", "a" * 8_000, "%FF", "ü", key[:-1], f"{key}a", key.swapcase()]

    for (method, path), code in product(asks, wrong):
        mark = "&" if "?" in path else "?"
        for reply in (
            await call(open_host, method, f"{path}{mark}code={code}"),
            await call(open_host, method, path, f"x-functions-key: {code}"),
            await call(open_host, method, path, f"Cookie: code={code}", f"Authorization: Bearer {code}"),
        ):
            assert (method, path, code[:9], reply.status in (400, 401)) == (method, path, code[:9], True)
            if path.startswith("/admin") and reply.status == 401:
                assert (reply.body, reply.headers["www-authenticate"]) == (b"", "Bearer")
    for method, path in SAFE:
        right = f"{path}?code={key}"
        assert (await call(open_host, method, right)).status == 200
        if (method, path) in asks:
            assert (await call(open_host, method, f"{right}%00")).status == 401
            assert (await call(open_host, method, f"{path}?code= {key}")).status == 400
        assert (await call(open_host, method, f"{path}?code=wrong", f"x-functions-key: {key}")).status == 200
        # What is malformed beside it is not logged with it.
        assert (await call(open_host, method, right, "X: a\0")).status == 400
    assert (await send(open_host.url, request("GET", f"{CLOCK}?code={key}".encode() + b"&x=\xff"))).status == 400

    assert key not in caplog.text + "".join(capfd.readouterr())


async def test_a_key_that_is_no_text_is_no_key(open_host: Host) -> None:
    reply = await send(open_host.url, request("GET", "/api/Keyed", b"x-functions-key: \xff"))

    assert reply.status == 401


async def test_beyond_loopback_the_page_anonymous_functions_and_the_apps_own_client_need_no_key(
    open_host: Host,
) -> None:
    page = await call(open_host, "GET", "/")
    assert (page.status, b"code=" in page.body) == (200, False)
    assert (await call(open_host, "GET", "/api/Bare")).status == 204
    started = await call(open_host, "GET", "/api/Start")
    assert open_host.instances.get(started.body.decode()).name == "Sleep"


async def test_beyond_loopback_it_is_reached_by_any_address_but_by_no_other_name(open_host: Host) -> None:
    assert (await call(open_host, "GET", "/", name="10.1.2.3:80")).status == 200
    assert (await call(open_host, "GET", "/", name="evil.example")).status == 403
