"""Attackers of a host, as a process of its own: `python -m bench.attack KIND PORT FILE`, until it is killed.

It makes FILE once it is at it. Not here: what that does to others (`hostile`).
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

KINDS = {
    "slow": "500 sockets that send a byte a second",
    "large": "2 callers that send bodies of 10 MB",
    "bad": "8 callers that send what is no request",
}
_CALLERS = {"slow": 500, "large": 2, "bad": 8}
_HEAD = b"POST /orchestrators/E3_Monitor HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_LARGE = _HEAD + b"Connection: close\r\nContent-Length: 10000000\r\n\r\n" + b" " * 10_000_000
_BAD = b"GET \0 HTTP/9.9\r\nHost: evil.example\r\n\r\n"


async def _slow(port: int) -> None:
    """Send a request a byte a second, until the host closes."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in _HEAD:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def _whole(data: bytes, port: int) -> None:
    """Send all of it, and read what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        await reader.read()
    finally:
        writer.close()


async def _attack(kind: str, port: int, ready: Path) -> None:
    once: Callable[[int], Awaitable[None]] = {
        "slow": _slow,
        "large": lambda port: _whole(_LARGE, port),
        "bad": lambda port: _whole(_BAD, port),
    }[kind]

    async def again() -> None:
        while True:
            with suppress(ConnectionError):  # Closed by the host, as it should be.
                await once(port)

    async with asyncio.TaskGroup() as group:
        for _ in range(_CALLERS[kind]):
            group.create_task(again())
        await asyncio.sleep(1)
        ready.touch()  # noqa: ASYNC240  Once.


def main() -> None:
    """Attack."""
    parser = argparse.ArgumentParser(prog="python -m bench.attack")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("port", type=int)
    parser.add_argument("ready", type=Path)
    options = parser.parse_args()
    asyncio.run(_attack(options.kind, options.port, options.ready))


if __name__ == "__main__":
    main()
