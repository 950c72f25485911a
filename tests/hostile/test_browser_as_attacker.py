"""The browser as attacker: pages of other sites, rebound names, and what a stored text could do to a page.

That the dashboard shows hostile texts as texts is tested in a browser: tests/browser/test_dashboard_instance.py.
"""

import json
import re
import sqlite3
from itertools import product
from pathlib import Path

import pytest
from aiohttp import ClientSession

from durable_host import Host
from durable_host.http.webhooks import BASE, RPC_BASE
from tests.hostile.conftest import Count
from tests.hostile.raw import request, send
from tests.processes import running

DASHBOARD = Path(__file__).parents[2] / "durable_host" / "http" / "dashboard"
CLOCK = "/durable-host/clock"
MONITOR = "/orchestrators/E3_Monitor"
REQUEST = json.dumps({"repo": "octo/cat", "phone": "+14255550100"}).encode()

UNSAFE = [
    ("POST", MONITOR),
    ("POST", f"{MONITOR}/mine"),
    *(("POST", f"{base}/orchestrators/E3_Monitor") for base in (BASE, RPC_BASE)),
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
SAFE = [("GET", path) for path in ("/", f"{BASE}/instances", f"{RPC_BASE}/instances", CLOCK, "/dashboard/app.js")]
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
    *(
        "evil.example",
        "evil.example:PORT",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost.",
        "LOCAL",
    ),
    *("127.0.0.2", "127.1", "127.000.000.001", "0.0.0.0", "2130706433", "0x7f.1", "10.0.0.1", "169.254.169.254"),
    *("[::]", "[::ffff:127.0.0.1]", "::1", "[::1", "::1]", "[localhost]", "[127.0.0.1]", "localhost]", "[[::1]]"),
    *(
        "",
        " ",
        "localhost:",
        "localhost:x",
        "localhost:1:2",
        "localhost:-1",
        "localhost:123456",
        "localhost:\u0661",
    ),
    *(
        "evil@localhost",
        "localhost@evil",
        "localhost/",
        "localhost\\",
        "localhost,evil.example",
        "http://localhost",
    ),
    *("loc%61lhost", "*", "localhost evil.example", "\u0131localhost", "ⓛocalhost"),
]
OWN_NAMES = [
    "localhost",
    "LOCALHOST",
    "localhost:1",
    "localhost:PORT",
    "127.0.0.1",
    "127.0.0.1:PORT",
    "[::1]:PORT",
]


async def ids(host: Host) -> list[str]:
    async with ClientSession(host.url) as client, client.get(f"{BASE}/instances") as answer:
        return [each["instanceId"] for each in await answer.json()]


def of(host: Host, text: str) -> str:
    return text.replace("PORT", host.url.rpartition(":")[2])


async def test_a_page_of_another_origin_changes_nothing(host: Host, count: Count) -> None:
    await host.start("E3_Monitor", json.loads(REQUEST), "mine")
    await host.wait("mine")
    name = of(host, "localhost:PORT")

    for (method, path), page in product(UNSAFE, FOREIGN_PAGES):
        data = request(method, path, of(host, page), "Content-Type: text/plain", body=REQUEST, host=name)
        reply = await send(host.url, data)
        assert (method, path, page, reply.status) == (method, path, page, 403)
        assert not any(header.startswith("access-control-") for header in reply.headers)

    assert await ids(host) == ["mine"]
    count(len(UNSAFE) * len(FOREIGN_PAGES))


async def test_no_page_of_another_origin_is_told_anything(host: Host, count: Count) -> None:
    name = of(host, "localhost:PORT")
    for (method, path), page in product([*SAFE, *UNSAFE], FOREIGN_PAGES[:4]):
        preflight = request("OPTIONS", path, page, f"Access-Control-Request-Method: {method}", host=name)
        for data in (preflight, request("GET", path, page, host=name)):
            reply = await send(host.url, data)
            assert not any(header.startswith("access-control-") for header in reply.headers)
    count(2 * len([*SAFE, *UNSAFE]) * 4)


async def test_a_name_that_was_rebound_is_not_answered(host: Host, count: Count) -> None:
    for (method, path), name in product([*SAFE, *UNSAFE], FOREIGN_NAMES):
        data = request(method, path, body=REQUEST, host=None).replace(
            b"\r\n", b"\r\nHost: " + of(host, name).encode() + b"\r\n", 1
        )
        reply = await send(host.url, data)
        assert (method, path, name, reply.status in (400, 403)) == (method, path, name, True)

    assert await ids(host) == []
    count(len([*SAFE, *UNSAFE]) * len(FOREIGN_NAMES))


async def test_its_own_names_and_pages_are_answered(host: Host, count: Count) -> None:
    for name, site in product(OWN_NAMES, ("same-origin", "none")):
        origin, fetched = f"Origin: http://{of(host, name)}", f"Sec-Fetch-Site: {site}"
        reply = await send(host.url, request("POST", MONITOR, origin, fetched, body=REQUEST, host=of(host, name)))
        assert (name, site, reply.status) == (name, site, 202)
    count(len(OWN_NAMES) * 2)


# Beyond this machine.


async def test_beyond_loopback_all_but_the_page_needs_the_key_and_the_key_is_in_no_log(
    tmp_path: Path, count: Count
) -> None:
    hub = tmp_path / "hub.db"
    async with running("--hub", hub, "--address", "0.0.0.0", "--verbose") as host:
        wrong = ["", "wrong", "null", "\0", "*", "a" * 8_000, "%FF", "ü"]
        needy = [(method, path) for method, path in [*UNSAFE, *SAFE] if path.startswith((BASE, CLOCK, MONITOR))]
        for (method, path), code in product(needy, wrong):
            mark = "&" if "?" in path else "?"
            for data in (
                request(method, f"{path}{mark}code={code}", body=REQUEST),
                request(method, path, f"x-functions-key: {code}", body=REQUEST),
                request(method, path, f"Cookie: code={code}", f"Authorization: Bearer {code}", body=REQUEST),
            ):
                reply = await send(host.url, data)
                assert (method, path, code[:9], reply.status in (400, 401)) == (method, path, code[:9], True)
        page = await send(host.url, request("GET", "/"))
        assert (page.status, page.headers["referrer-policy"]) == (200, "no-referrer")
        assert "code=" not in page.body.decode()

        started = await send(host.url, request("POST", f"{RPC_BASE}/orchestrators/E3_Monitor", body=REQUEST))
        key = re.findall(r"code=([\w-]{43})", started.body.decode())[0]
        for right in (f"{BASE}/instances?code={key}", f"{CLOCK}?code={key}"):
            assert (await send(host.url, request("GET", right))).status == 200
            # Neither parts of it, nor it with more, nor what is malformed beside it.
            for almost in (key[:-1], key + "a", key.swapcase(), f"{key}%00", f" {key}"):
                assert (await send(host.url, request("GET", right.replace(key, almost)))).status in (400, 401)
            assert (await send(host.url, request("GET", right.encode() + b"&x=\xff"))).status == 400
            assert (await send(host.url, request("GET", right, "X: a\0"))).status == 400
        await host.end()

    assert key not in host.printed
    with sqlite3.connect(hub) as db:
        assert db.execute("SELECT value FROM hub WHERE key = 'code'").fetchone() == (key,)
    db.close()
    count(len(needy) * len(wrong) * 3 + 17)


# The dashboard's files.


def test_nothing_in_the_dashboard_makes_markup_or_code_of_a_text(count: Count) -> None:
    sinks = re.compile(
        r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function|srcdoc|"
        r"createContextualFragment|setHTMLUnsafe|javascript:|setTimeout\(\s*['\"`]|\.setAttribute\(\s*['\"`]on)"
    )
    scripts = sorted(DASHBOARD.glob("*.js"))

    assert len(scripts) > 5
    for script in scripts:
        assert sinks.findall(script.read_text()) == [], script.name
    count(len(scripts))


def test_the_dashboards_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = (DASHBOARD / "index.html").read_text()

    assert (
        re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<base|<iframe[^>]+src|<object|<form[^>]+action", page)
        == []
    )
    assert re.findall(r"<script(?![^>]*\ssrc=)", page) == []
    assert re.findall(r"(?:src|href)=\"(?:\w+:)?//", page) == []


@pytest.mark.parametrize("path", ["/", "/dashboard/app.js", "/dashboard/style.css", "/dashboard/icon.svg"])
async def test_each_of_its_files_comes_under_the_policy(host: Host, path: str) -> None:
    async with ClientSession(host.url) as client, client.get(path) as answer:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))

    assert (
        policy["default-src"]
        == policy["base-uri"]
        == policy["form-action"]
        == policy["frame-ancestors"]
        == "'none'"
    )
    assert policy["script-src"] == "'self'"
    assert not any("unsafe" in each or "*" in each.replace(":*", "") for each in policy.values())
