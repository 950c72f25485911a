"""A fixture: a proxy, which no call of the app may get past."""

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def refusing_proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[list[str]]]:
    """Stands before all that is https; what it was asked for, and refused."""
    asked_for = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_for.append((await reader.readuntil(b"\r\n\r\n")).decode().split()[:2])
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        yield asked_for
