"""HTTP by hand: bytes that no HTTP client would send, and whatever comes back."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

CRLF = b"\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back until the connection was closed; no status when nothing did."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_refusal(self) -> bool:
        """A 4xx, or a connection that was closed without a word."""
        return self.status is None or 400 <= self.status < 500


def request(
    method: str, target: str | bytes, *headers: str | bytes, body: bytes = b"", host: str | None = "localhost"
) -> bytes:
    """A request that asks for the connection to be closed; nothing in it is checked or encoded."""
    lines = [f"{method} ".encode() + _raw(target) + b" HTTP/1.1", b"Connection: close"]
    lines += [b"Host: " + _raw(host)] if host is not None else []
    lines += map(_raw, headers)
    lines += [b"Content-Length: %d" % len(body)] if body or method == "POST" else []
    return CRLF.join([*lines, b"", body])


async def connect(url: str) -> tuple[StreamReader, StreamWriter]:
    """A connection to the host of this URL."""
    return await asyncio.open_connection("127.0.0.1", urlsplit(url).port)


async def send(url: str, data: bytes, timeout_s: float = 50) -> Reply:
    """Send these bytes, and read until the connection is closed.

    Raises: TimeoutError when it is still open after `timeout_s` seconds.
    """
    reader, writer = await connect(url)
    received = b""
    try:
        async with asyncio.timeout(timeout_s):
            writer.write(data)
            while piece := await reader.read(65_536):
                received += piece
    except ConnectionError:
        pass  # Reset: what has come until then counts.
    finally:
        writer.close()
    return _reply(received)


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _reply(received: bytes) -> Reply:
    if not received:
        return Reply(None, {}, b"")
    head, _, body = received.partition(CRLF * 2)
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    return Reply(int(status.split()[1]), headers, body)
