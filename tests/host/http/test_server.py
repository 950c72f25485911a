import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, ServerDisconnectedError
from yarl import URL

from durable_host import Clock, Host, RealClock
from durable_host.http.webhooks import BASE
from tests.conftest import ROOT, Gate, in_real_time
from tests.host.apps import HTTP, ORCHESTRATOR, RETURN, SLEEP, write_function

CLOCK = "/durable-host/clock"
ECHO = """
import json
import azure.functions as func

def main(req):
    seen = {"method": req.method, "url": req.url, "body": req.get_body().decode(), "params": dict(req.params)}
    headers = {"Content-Type": "application/json", "X-Seen": "yes"}
    return func.HttpResponse(json.dumps(seen), status_code=201, headers=headers)
"""
SLOW = """
from urllib.request import ProxyHandler, build_opener

def main(req):
    return build_opener(ProxyHandler({})).open(req.params["url"], timeout=30).read().decode()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app with one HTTP function of each kind, and an orchestrator that sleeps for an hour."""
    root = tmp_path / "app"
    write_function(root, "Echo", ECHO, {**HTTP, "route": "echo", "methods": ["post", "put"]}, RETURN)
    write_function(root, "Bare", "def main(req): pass", HTTP)
    write_function(root, "Broken", "import no_such_module", HTTP, RETURN)
    write_function(root, "Failing", "def main(req): 1 / 0", HTTP, RETURN)
    write_function(root, "Slow", SLOW, HTTP, RETURN)
    write_function(root, "Sleep", SLEEP, ORCHESTRATOR)
    return root


@pytest.fixture
async def host(app: Path, clock: Clock, tmp_path: Path) -> AsyncIterator[Host]:
    """That app on a host."""
    async with Host(app, hub=tmp_path / "hub.db", clock=clock, may_skip=True, in_process=True) as host:
        yield host


async def status_of(client: ClientSession, method: str, path: str, **headers: str) -> int:
    async with client.request(method, path, headers=headers) as answer:
        return answer.status


# Functions.


async def test_a_function_gets_the_request_and_its_response_goes_out(host: Host, client: ClientSession) -> None:
    async with client.post("/api/ECHO/?a=1&b=ü", data="körper") as answer:
        seen = await answer.json()

    assert (answer.status, answer.headers["X-Seen"]) == (201, "yes")
    assert answer.headers.getall("Content-Type") == ["application/json"]
    url = f"{host.url}/api/ECHO/?a=1&b=%C3%BC"
    assert seen == {"method": "POST", "url": url, "body": "körper", "params": {"a": "1", "b": "ü"}}


async def test_a_chunked_body_does_not_reach_a_function(client: ClientSession) -> None:
    # As on Azure: without a Content-Length there is no body.
    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    async with client.post("/api/echo", data=pieces()) as answer:
        assert (await answer.json())["body"] == ""


async def test_a_function_without_an_output_is_a_204(client: ClientSession) -> None:
    assert await status_of(client, "GET", "/api/Bare") == 204


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/echo"), ("POST", "/api/nothing"), ("POST", "/"), ("PUT", "/echo")],
)
async def test_a_wrong_verb_or_route_is_404_without_a_body(client: ClientSession, method: str, path: str) -> None:
    async with client.request(method, path) as answer:
        assert (answer.status, await answer.read(), answer.headers["Content-Length"]) == (404, b"", "0")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Failing", "Exception: ZeroDivisionError: division by zero"),
        ("Broken", "Exception: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
async def test_a_function_that_fails_is_a_500_without_a_body_and_a_log_with_the_reason(
    client: ClientSession, caplog: pytest.LogCaptureFixture, name: str, reason: str
) -> None:
    with caplog.at_level(logging.INFO, "durable_host"):
        async with client.get(f"/api/{name}") as answer:
            assert (answer.status, await answer.read()) == (500, b"")

    begun, ended = (record.getMessage() for record in caplog.records)
    why = "This function was programmatically called via the host APIs."
    assert begun.startswith(f"Executing 'Functions.{name}' (Reason='{why}', Id=")
    assert ended.startswith(f"Executed 'Functions.{name}' (Failed, Id=")
    assert f"Result: Failure\n{reason}" in ended


async def test_a_caller_who_leaves_while_sending_is_no_error(
    host: Host, client: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(host.url).port)
    writer.write(b"POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()

    writer.close()
    await writer.wait_closed()

    assert await status_of(client, "GET", "/api/Bare") == 204
    await host.idle()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_call_that_succeeds_is_logged(client: ClientSession, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "durable_host"):
        await status_of(client, "GET", "/api/Bare")

    assert caplog.records[1].getMessage().startswith("Executed 'Functions.Bare' (Succeeded, Id=")


async def test_time_is_not_skipped_while_a_function_runs(host: Host, client: ClientSession, gate: Gate) -> None:
    running = asyncio.create_task(status_of(client, "GET", f"/api/Slow?url={gate.url}"))
    await gate.came.acquire()
    instance_id = await host.start("Sleep")

    with pytest.raises(TimeoutError):
        await host.wait(instance_id, timeout_s=0.1)
    gate.opened.set()

    assert await running == 200
    assert (await host.wait(instance_id))["runtimeStatus"] == "Completed"


async def test_a_host_ends_without_waiting_for_what_is_in_progress(app: Path, tmp_path: Path, gate: Gate) -> None:
    async with ClientSession() as client:
        async with asyncio.timeout(30), Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
            running = asyncio.create_task(client.post(f"{host.url}/api/Slow?url={gate.url}"))
            await gate.came.acquire()

        with pytest.raises(ServerDisconnectedError):
            await running


# The clock.


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def move(client: ClientSession, wish: Any) -> tuple[int, Any]:
    async with client.post(CLOCK, data=wish if isinstance(wish, str) else json.dumps(wish)) as answer:
        return answer.status, await answer.json()


@in_real_time
async def test_the_clock_tells_the_time_and_the_next_timer(host: Host, client: ClientSession) -> None:
    async with client.get(CLOCK) as answer:
        idle = await answer.json()
    await host.start("Sleep")
    await host.idle()
    async with client.get(CLOCK) as answer:
        sleeping = await answer.json()

    assert list(idle) == ["now", "next", "skipped_seconds"]
    assert (idle["next"], idle["skipped_seconds"]) == (None, 0)
    assert timedelta(minutes=59) < instant(sleeping["next"]) - instant(idle["now"]) < timedelta(minutes=61)


@in_real_time
async def test_the_clock_can_be_skipped_to_the_next_timer(host: Host, client: ClientSession) -> None:
    instance_id = await host.start("Sleep")

    status, state = await move(client, {"skip": "next"})

    assert (status, state["next"]) == (200, None)
    assert 3500 < state["skipped_seconds"] <= 3600
    # What was skipped to is done by the time that the answer comes.
    assert host.instances.get(instance_id).status.name == "Completed"


async def test_a_host_that_may_reach_real_people_keeps_real_time(app: Path, tmp_path: Path) -> None:
    async with (
        Host(app, hub=tmp_path / "hub.db", clock=RealClock(), in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        status, answer = await move(client, {"skip": "next"})

        assert (status, answer["error"]) == (
            409,
            "This host keeps real time. Start it with --sandbox or --skip-time to skip some of it.",
        )
        assert host.clock.skipped == timedelta(0)


@in_real_time
async def test_the_clock_can_be_advanced(host: Host, client: ClientSession) -> None:
    instance_id = await host.start("Sleep")

    assert (await move(client, {"advance_seconds": 1800.5}))[0] == 200
    assert host.instances.get(instance_id).status.name == "Running"
    status, state = await move(client, {"advance_seconds": 1800})

    assert status == 200
    assert 3600 <= state["skipped_seconds"] <= 3601
    assert host.instances.get(instance_id).status.name == "Completed"


async def test_without_a_timer_there_is_nothing_to_skip_to(client: ClientSession) -> None:
    status, answer = await move(client, {"skip": "next"})

    assert status == 409
    assert answer == {"error": "No timer is waiting, so there is nothing to skip to."}


@pytest.mark.parametrize(
    "wish",
    [
        "",
        "{",
        "[" * 100_000,
        None,
        5,
        {},
        {"skip": "all"},
        {"skip": "next", "advance_seconds": 1},
        {"advance_seconds": "1"},
        {"advance_seconds": True},
        {"advance_seconds": -1},
        {"advance_seconds": 1e12},
        '{"advance_seconds": NaN}',
        {"advance_seconds": 1, "more": 2},
    ],
)
async def test_any_other_wish_is_refused_with_what_may_be_sent(
    host: Host, client: ClientSession, wish: Any
) -> None:
    status, answer = await move(client, wish)

    assert status == 400
    assert answer == {"error": 'Send {"skip": "next"}, or {"advance_seconds": N} with N of 0 to ten years.'}
    assert host.clock.skipped == timedelta(0)


async def test_the_clock_knows_no_other_verb(client: ClientSession) -> None:
    assert await status_of(client, "PUT", CLOCK) == 404


# The dashboard.


async def test_the_dashboard_is_at_the_root_and_loads_nothing_from_elsewhere(client: ClientSession) -> None:
    for path in ("/", "/dashboard/app.js", "/dashboard/style.css", "/dashboard/icon.svg"):
        async with client.get(path) as answer:
            text, headers = await answer.text(), answer.headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert answer.status == 200
        assert policy.pop("connect-src") == "'self' http://localhost:* http://127.0.0.1:*"
        assert {name for name, source in policy.items() if source == "'self'"} == {
            *("script-src", "style-src", "img-src")
        }
        assert {name for name, source in policy.items() if source == "'none'"} == {
            *("default-src", "frame-src", "frame-ancestors", "base-uri", "form-action")
        }
        assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
        assert path != "/" or "<title>" in text


async def test_the_dashboard_may_frame_the_sandbox_that_runs_beside_the_host_and_nothing_else(
    app: Path, tmp_path: Path, client: ClientSession
) -> None:
    async with Host(app, hub=tmp_path / "beside.db", sandbox_url="http://localhost:7072", in_process=True) as host:
        async with client.get(f"{host.url}/") as answer:
            assert "; frame-src http://localhost:7072; " in answer.headers["Content-Security-Policy"]
        async with client.get(f"{host.url}/durable-host/sandbox") as answer:
            assert await answer.json() == {"url": "http://localhost:7072"}

    async with client.get("/durable-host/sandbox") as answer:
        assert await answer.json() == {"url": None}


async def test_the_dashboards_files_have_their_types(client: ClientSession) -> None:
    folder = ROOT / "durable_host" / "http" / "dashboard"
    types = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    files = [file for file in folder.iterdir() if file.suffix in types]

    assert {".html", ".css", ".js"} <= {file.suffix for file in files}
    for file in files:
        async with client.get(f"/dashboard/{file.name}") as answer:
            assert (answer.status, answer.content_type) == (200, types[file.suffix])
            assert await answer.text() == file.read_text()
            assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/dashboard/", "/dashboard/nothing.js", "/dashboard/../host.py", "/dashboard/%2e%2e/host.py", "/host.py"],
)
async def test_no_other_file_is_given_out(host: Host, client: ClientSession, path: str) -> None:
    async with client.get(URL(host.url + path, encoded=True)) as answer:
        assert (answer.status, await answer.read()) == (404, b"")


# Errors of the host itself.


async def test_a_hub_that_cannot_be_read_is_a_503(host: Host, client: ClientSession) -> None:
    host.hub.close()

    async with client.get(f"{BASE}/instances") as answer:
        assert answer.status == 503
        assert (await answer.json())["Message"].startswith("The task hub cannot be read (")
