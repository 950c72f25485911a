"""The sandbox's port: who may call it, what it makes of a body, how it starts and stops."""

import asyncio
import json
import logging
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.server import Sandbox

LOOPBACK_ORIGINS = ["http://localhost:7071", "http://127.0.0.1:7071", "http://[::1]:7071", "http://localhost"]
OTHER_ORIGINS = [
    *("https://example.com", "http://localhost.example.com", "http://localhost:7071.example.com"),
    *("http://example.com:7072", "http://127.0.0.1@example.com", "https://localhost:7071", "null"),
]


async def call(method: str, url: str, **options: Any) -> requests.Response:
    return await asyncio.to_thread(requests.request, method, url, timeout=30, **options)


async def open_request(sandbox: Sandbox, text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with `text` sent as the request, so far."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(sandbox.url).port)
    writer.write(text.replace("\n", "\r\n").encode())
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("origin", LOOPBACK_ORIGINS)
async def test_a_page_of_a_loopback_origin_may_read_and_write(sandbox: Sandbox, origin: str) -> None:
    url = f"{sandbox.github_url}/repos/octo/cat"
    wanted = {"Origin": origin, "Access-Control-Request-Method": "PUT"}

    preflight = await call("OPTIONS", url, headers=wanted)
    written = await call("PUT", url, headers={"Origin": origin}, data='{"open_issues": 5}')
    read = await call("GET", f"{url}/issues", headers={"Origin": origin})
    missing = await call("GET", f"{url}/nothing", headers={"Origin": origin})

    assert preflight.status_code == 204
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
    assert [answer.status_code for answer in (written, read, missing)] == [200, 200, 404]
    for answer in (preflight, written, read, missing):
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
async def test_a_page_of_another_origin_can_neither_read_nor_write(sandbox: Sandbox, origin: str) -> None:
    headers = {"Origin": origin}

    read = await call("GET", f"{sandbox.url}/sms", headers=headers)
    refused = [
        await call("PUT", f"{sandbox.github_url}/repos/octo/cat", headers=headers, data='{"open_issues": 5}'),
        await call("PUT", f"{sandbox.url}/twilio", headers=headers, data='{"status": 500}'),
        await call("DELETE", f"{sandbox.url}/sms", headers=headers),
        await call("POST", f"{sandbox.twilio_url}/2010-04-01/Accounts/x/Messages.json", headers=headers),
        await call("OPTIONS", f"{sandbox.url}/sms", headers=headers),
    ]

    assert [answer.status_code for answer in refused] == [403] * 5
    assert not [answer for answer in (read, *refused) if "Access-Control-Allow-Origin" in answer.headers]
    assert (await call("GET", f"{sandbox.github_url}/repos")).json() == []
    assert (await call("GET", f"{sandbox.url}/twilio")).json() == {"status": None}


@pytest.mark.parametrize(
    "host", ["example.com", "localhost.example.com", "localhost:7072.example.com", "10.0.0.1", ""]
)
async def test_a_name_that_is_not_this_machines_is_refused(sandbox: Sandbox, host: str) -> None:
    answer = await call("GET", f"{sandbox.url}/sms", headers={"Host": host})

    assert answer.status_code == 403
    assert sandbox.url in answer.json()["error"]["message"]


async def test_every_loopback_name_reaches_it(sandbox: Sandbox) -> None:
    for host in ("localhost", "LOCALHOST:7072", "127.0.0.1:7072", "[::1]:7072"):
        assert (await call("GET", f"{sandbox.url}/sms", headers={"Host": host})).json() == []


async def test_another_address_can_be_listened_on_and_called_by(sandbox: Sandbox) -> None:
    async with Sandbox(port=0, address="0.0.0.0") as other:
        own = {"Host": urlsplit(other.url).netloc, "Origin": other.url}
        port = urlsplit(other.url).port
        assert other.url == f"http://0.0.0.0:{port}"
        assert (await call("DELETE", f"http://localhost:{port}/sms", headers=own)).status_code == 204
        assert (await call("DELETE", f"{sandbox.url}/sms", headers=own)).status_code == 403


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json", "x"]
)
async def test_a_body_is_json_whatever_its_content_type(sandbox: Sandbox, content_type: str) -> None:
    answer = await call(
        "PUT",
        f"{sandbox.github_url}/repos/octo/cat",
        data='{"open_issues": 5}',
        headers={"Content-Type": content_type},
    )

    assert answer.json()["open_issues"] == 5


@pytest.mark.parametrize(
    "body", [b"", b"open_issues=5", b"[]", b"5", b"null", b"\xff\xfe\xff", b"[" * 200_000, b"9" * 5000]
)
async def test_a_body_that_is_no_object_is_a_400_without_a_field(sandbox: Sandbox, body: bytes) -> None:
    answer = await call("PUT", f"{sandbox.github_url}/repos/octo/cat", data=body)

    assert answer.status_code == 400
    assert answer.json() == {"error": {"field": None, "message": "expected a JSON object as the body"}}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/sms", 405),
        ("GET", "/github/repos/octo/cat", 405),
        ("GET", "/page", 403),
    ],
)
async def test_what_is_not_there_is_told_as_json(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    answer = await call(method, f"{sandbox.url}{path}")

    assert answer.status_code == status
    assert answer.json()["error"]["field"] is None


async def test_a_body_too_large_is_a_413(sandbox: Sandbox) -> None:
    answer = await call("PUT", f"{sandbox.url}/twilio", data=b" " * 2_000_000)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("request_text", "begun"),
    [
        ("GET /github/repos/octo/hang/issues HTTP/1.1\nHost: localhost\n\n", b""),
        ("GET /github/repos/octo/drip/issues HTTP/1.1\nHost: localhost\n\n", b"HTTP/1.1 200 OK"),
        ("PUT /twilio HTTP/1.1\nHost: localhost\nContent-Length: 9\n\n{", b""),
        ("GET /sms HTTP/1.1\nHost: localhost\n\n", b"HTTP/1.1 200 OK"),
    ],
)
async def test_it_stops_at_once_whatever_is_in_flight(
    request_text: str, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sandbox = Sandbox(port=0)
    await sandbox.start()
    sandbox.set_repository("octo/hang", status="hang")
    sandbox.set_repository("octo/drip", status="drip")
    reader, writer = await open_request(sandbox, request_text)
    first = await reader.read(len(begun))
    # One more request, answered, so that the other one has reached its handler.
    await call("GET", f"{sandbox.url}/sms")

    async with asyncio.timeout(30):
        await sandbox.stop()
        await reader.read()

    writer.close()
    assert first == begun
    assert caplog.records == []


@pytest.mark.parametrize("status", ["hang", "drip"])
async def test_a_client_that_leaves_is_not_an_error(
    sandbox: Sandbox, status: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sandbox.set_repository("octo/cat", status=status)
    _reader, writer = await open_request(
        sandbox, "GET /github/repos/octo/cat/issues HTTP/1.1\nHost: localhost\n\n"
    )

    writer.transport.abort()

    assert (await call("GET", f"{sandbox.url}/sms")).json() == []
    await sandbox.stop()
    assert caplog.records == []


async def test_a_taken_port_is_an_oserror_and_leaves_its_owner_alone(sandbox: Sandbox) -> None:
    port = urlsplit(sandbox.url).port
    assert port is not None

    with pytest.raises(OSError, match=str(port)):
        await Sandbox(port=port).start()

    assert (await call("GET", f"{sandbox.url}/sms")).json() == []


async def test_a_port_is_free_again_after_a_stop_and_nothing_is_remembered() -> None:
    async with Sandbox(port=0) as first:
        first.set_repository("octo/cat", open_issues=5)
        url = first.url

    async with Sandbox(port=urlsplit(url).port or 0) as second:
        assert second.url == url
        assert (await call("GET", f"{url}/github/repos")).json() == []


async def test_its_settings_point_an_app_at_it(sandbox: Sandbox) -> None:
    settings = sandbox.settings

    assert settings.keys() == {
        "GITHUB_API_URL",
        "GITHUB_TOKEN",
        "TWILIO_API_URL",
        "TwilioAccountSid",
        "TwilioAuthToken",
        "TwilioPhoneNumber",
    }
    assert settings["GITHUB_API_URL"] == f"http://localhost:{urlsplit(sandbox.url).port}/github"
    assert settings["TWILIO_API_URL"] == f"http://localhost:{urlsplit(sandbox.url).port}/twilio"
    assert json.loads(json.dumps(settings)) == settings
