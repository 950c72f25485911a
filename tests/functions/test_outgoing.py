"""What GitHub, Twilio or who stands in their place may answer: a call ends, in time and size.

A head that comes a byte at a time is not defended against (SECURITY.md).
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from aiohttp import web

from E3_TooManyOpenIssues.outgoing import is_http_url, session
from tests.conftest import Handler, Serve

pytestmark = pytest.mark.usefixtures("app_settings")

Body = AsyncIterator[bytes]


async def get(url: str) -> requests.Response:
    return await asyncio.to_thread(session().get, url, timeout=0.5)


@pytest.mark.parametrize(
    "url", ["http://localhost", "https://a.example:1/x/", "http://[::1]:7072", "http://1.2.3.4"]
)
def test_a_url_has_http_or_https_and_a_host(url: str) -> None:
    assert is_http_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "http", "http:", "http://", "https:///x", "http:localhost", "localhost:7072", "//localhost/"),
        *("http://localhost:port", "http://[x", "http://a b", "http://user@localhost", "http\x01://localhost"),
        *("file:///etc/passwd", "ftp://localhost", "gopher://localhost/", "unix:///var/run/docker.sock"),
        *("javascript:alert(1)", "data:,x"),
    ],
)
def test_no_other_url_can_be_called(url: str) -> None:
    assert not is_http_url(url)


async def endless(stopping: asyncio.Event) -> Body:
    while not stopping.is_set():
        yield b'{"number":1},' * 5_000


async def a_byte_at_a_time(stopping: asyncio.Event) -> Body:
    while not stopping.is_set():
        yield b" "
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), 0.1)


async def only_a_beginning(stopping: asyncio.Event) -> Body:
    yield b'[{"number":'
    await stopping.wait()


def streaming(body: Body) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):  # The client has had enough.
            async for piece in body:
                await response.write(piece)
        return response

    return answer


@pytest.mark.parametrize("body", [endless, a_byte_at_a_time, only_a_beginning])
async def test_an_answer_without_an_end_is_given_up(body: Callable[[asyncio.Event], Body], serve: Serve) -> None:
    stopping = asyncio.Event()
    url = await serve(streaming(body(stopping)))

    try:
        async with asyncio.timeout(30):
            with pytest.raises((requests.ReadTimeout, requests.ConnectionError)):
                await get(url)
    finally:
        stopping.set()


@pytest.mark.parametrize("is_zipped", [False, True])
async def test_an_answer_over_ten_megabytes_is_given_up(is_zipped: bool, serve: Serve) -> None:
    body = b" " * 10_000_001

    async def answer(_request: web.Request) -> web.Response:
        headers = {"Content-Encoding": "gzip"} if is_zipped else {}
        return web.Response(body=gzip.compress(body) if is_zipped else body, headers=headers)

    with pytest.raises(requests.ReadTimeout, match="does not end"):
        await asyncio.to_thread(session().get, await serve(answer), timeout=30)


async def test_a_password_in_netrc_is_not_sent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("Authorization", "nothing"))

    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login octo password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert (await get(await serve(answer))).text == "nothing"
