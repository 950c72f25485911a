"""Hostile HTTP: what is no HTTP, too slow, or too much."""

import asyncio
import resource
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path

import pytest
from aiohttp import ClientSession

from durable_host import Host
from durable_host.http.webhooks import BASE
from tests.conftest import rounds
from tests.golden_app import GOLDEN_APP
from tests.hostile.conftest import Count
from tests.processes import running
from tests.raw_http import connect, request, send

START = f"{BASE}/orchestrators/T_Instant"
JSON = "Content-Type: application/json"
HEAD = b"Host: localhost\r\n"
POST = f"POST {START} HTTP/1.1\r\n".encode() + HEAD + b"Connection: close\r\n"

# Nothing of this is HTTP, or none that this host takes.
MALFORMED = [
    b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",  # no Host
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n",
    b"GET / HTTP/1.1\nHost: localhost\n\n",
    b"GET / HTTP/9.9\r\n" + HEAD + b"\r\n",
    b"GET /\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(150),  # the beginning of TLS
    b"\0\1\2\r\n\r\n",
    request("OPTIONS", "*"),
    request("CONNECT", "localhost:80"),
    request("GET", b"/\xff"),
    request("GET", f"{BASE}/instances/\xff"),
    request("POST", f"{BASE}/instances/x/terminate?reason=\xff"),
    request("GET", "/\0"),
    request("GET", "/" + "a" * 9_000),
    request("GET", "/", "X: a\r\n folded"),
    request("GET", "/", "X: a\0b"),
    request("GET", "/", "X: a\rb"),
    request("GET", "/", " X: a"),
    request("GET", "/", "X : a"),
    request("GET", "/", ": a"),
    request("GET", "/", "X: " + "a" * 100_000),
    request("GET", "/", *(f"X-{number}: 1" for number in range(10_000))),
    POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12",
    POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n12",
    POST + b"Content-Length: 1, 1\r\n\r\n1",
    POST + b"Content-Length: -1\r\n\r\n1",
    POST + b"Content-Length: +1\r\n\r\n1",
    POST + b"Content-Length: 0x1\r\n\r\n1",
    POST + b"Content-Length: 99999999999999999999\r\n\r\n1",
    POST + b"Content-Length: 209715200\r\n\r\n1",
    POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: nonsense\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1x0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    request("POST", START, "Content-Encoding: gzip", body=b"no gzip"),
    request("POST", START, "Content-Encoding: br", body=b"no brotli"),
    request("GET", "/", "Upgrade: websocket", host="evil.example"),
    request("GET", f"/dashboard/{'a' * 300}.html"),
    request("GET", "/dashboard/..%2fserver.py"),
    request("GET", "/dashboard/..\\server.html"),
    request("GET", "/dashboard/%00.html"),
]


async def assert_it_works(host: Host) -> None:
    status = await host.wait(await host.start("T_Instant", "still there"))
    assert (status["runtimeStatus"], status["output"]) == ("Completed", "still there")


async def test_what_is_no_http_is_refused_without_a_word_in_the_log(
    golden: Host, count: Count, caplog: pytest.LogCaptureFixture
) -> None:
    replies = await asyncio.gather(*(send(golden.url, data) for data in MALFORMED))

    accepted = [data[:200] for data, reply in zip(MALFORMED, replies, strict=True) if not reply.is_refusal]
    assert accepted == []
    # A traceback for each would flood the log, and quote what was sent, keys in it.
    assert caplog.records == []
    await assert_it_works(golden)
    count(len(MALFORMED))


# Slow and large.


async def test_slow_callers_are_let_go_and_hold_nobody_up(tmp_path: Path, count: Count) -> None:
    beginnings = [b"", b"G", b"GET / HTTP/1.1\r\nHost: loc", POST + b"Content-Length: 10\r\n\r\n12"]
    async with (
        Host(GOLDEN_APP, hub=tmp_path / "hub.db", receive_s=1, in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        slow = [asyncio.create_task(send(host.url, beginnings[number % 4])) for number in range(200)]

        async def drip() -> None:
            """A byte now and then, so that a time limit for each read alone would never end it."""
            reader, writer = await connect(host.url)
            writer.write(b"GET / HTTP/1.1\r\nX: ")
            while not reader.at_eof():
                writer.write(b"x")
                with_timeout = asyncio.wait_for(reader.read(1), 0.1)
                await asyncio.gather(with_timeout, return_exceptions=True)
            writer.close()

        dripping = [asyncio.create_task(drip()) for _ in range(10)]
        good = 0
        while good < 20 and not all(each.done() for each in slow):
            async with asyncio.timeout(30), client.post(START, json=good) as answer:
                assert answer.status == 202
            good += 1

        replies = await asyncio.gather(*slow)
        await asyncio.gather(*dripping)
        assert all(reply.is_refusal for reply in replies)
        assert good > 0
    count(210)


@pytest.mark.soak
async def test_more_callers_than_files_are_let_go(tmp_path: Path, count: Count) -> None:
    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    async with running("--script-root", GOLDEN_APP, "--hub", tmp_path / "hub.db", limit=few_files) as host:
        slow = [asyncio.create_task(send(host.url, b"")) for _ in range(100)]
        await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)

        async with asyncio.timeout(30), ClientSession(host.url) as client, client.post(START, json=1) as answer:
            assert answer.status == 202
        for each in slow:
            each.cancel()
    count(100)


@rounds(4, soak=16)
async def test_large_bodies_are_taken_or_refused_and_memory_is_bounded(
    rounds: int, tmp_path: Path, count: Count
) -> None:
    async with (
        running("--script-root", GOLDEN_APP, "--hub", tmp_path / "hub.db") as host,
        ClientSession(host.url) as client,
    ):
        quiet_mb = host.memory_mb()

        taken = await send(host.url, request("POST", START, JSON, body=b'"' + b"x" * 10_000_000 + b'"'))
        large = await send(host.url, request("POST", START, JSON, body=b"x" * 110_000_000))
        chunk = b"100000\r\n" + b"x" * 1_048_576 + b"\r\n"
        chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 110 + b"0\r\n\r\n"
        endless = await send(host.url, chunked)
        head = POST + b"Content-Length: 50000000\r\n\r\n" + b"x" * 49_000_000
        many = [asyncio.create_task(send(host.url, head)) for _ in range(rounds)]
        # Two of them fit, and a third nearly.
        refused = [await each for each in islice(asyncio.as_completed(many), rounds - 3)]

        assert (taken.status, large.status, endless.status) == (202, 413, 413)
        assert {each.status for each in refused} <= {408, 429}  # 408 on a machine that takes 7 s for them.
        async with client.post(START, json=1) as answer:
            assert answer.status == 202
        # All bodies together, and the largest once more while it is made into bytes.
        assert host.memory_mb() < quiet_mb + 500
        for each in many:
            each.cancel()
    count(rounds + 3)


async def test_a_caller_who_does_not_read_holds_only_himself_up(golden: Host, count: Count) -> None:
    await golden.wait(await golden.start("T_Instant", "x" * 5_000_000, "large"))
    async with AsyncExitStack() as stack:
        for _ in range(6):
            _, writer = await connect(golden.url)
            stack.callback(writer.close)
            writer.write(request("GET", f"{BASE}/instances/large"))

        await assert_it_works(golden)
    count(6)


async def test_pipelined_requests_are_answered_in_their_order(golden: Host, count: Count) -> None:
    many = b"".join(
        f"GET {BASE}/instances/{number}?x={'y' * 1_000} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        for number in range(1_000)
    )

    reply = await send(golden.url, many + request("POST", f"{START}/last"))

    assert reply.body.count(b"HTTP/1.1 404 Not Found") == 999
    assert reply.body.rpartition(b"HTTP/1.1 ")[2].startswith(b"202 ")
    count(1_001)
