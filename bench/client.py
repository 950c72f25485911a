"""Requests to a host under measurement.

Not here: starting it (`processes`).
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector

MONITOR_REQUEST = {"repo": "octo/cat", "phone": "+14255550100"}
_READY_WITHIN_S = 60
_ANSWERED_WITHIN = ClientTimeout(total=60)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the milliseconds that it took."""

    status: int
    headers: Message
    body: bytes
    took_ms: float

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Client:
    """One connection to a port of this machine, kept open."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("localhost", port, timeout=_READY_WITHIN_S)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET. Raises: OSError or HTTPException; RuntimeError for what is no 200."""
        return self._expect(200, self._send("GET", path, None, headers or {}))

    def post(self, path: str, body: object) -> Reply:
        """POST. Raises: OSError or HTTPException; RuntimeError for what is no 202."""
        return self._expect(202, self._send("POST", path, body, {}))

    def _expect(self, status: int, reply: Reply) -> Reply:
        if reply.status != status:
            raise RuntimeError(f"expected {status}, found {reply.status} {reply.body[:200]!r}")
        return reply

    def _send(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Reply:
        text = None if body is None else json.dumps(body)
        began = time.perf_counter()
        self._connection.request(method, path, text, {"Content-Type": "application/json", **headers})
        response = self._connection.getresponse()
        content = response.read()
        return Reply(response.status, response.headers, content, (time.perf_counter() - began) * 1000)

    def until(self, status: int, method: str, path: str, body: object = None) -> Reply:
        """Send it until it is answered with `status`: from before the port is bound on, every few milliseconds.

        Raises: TimeoutError.
        """
        deadline = time.perf_counter() + _READY_WITHIN_S
        last = "nothing"
        while time.perf_counter() < deadline:
            try:
                reply = self._send(method, path, body, {})
            except (OSError, HTTPException):
                self._connection.close()
            else:
                if reply.status == status:
                    return reply
                last = f"{reply.status} {reply.body[:200]!r}"
            time.sleep(0.002)
        raise TimeoutError(f"{method} {path}: expected {status} within {_READY_WITHIN_S} s, found {last}.")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Load:
    """What came of many requests: the milliseconds that each took, sorted, and how many a second."""

    took_ms: list[float]
    per_s: float

    def __str__(self) -> str:
        """For the one who waits."""
        return f"{self.per_s:.0f}/s, p50 {self.percentile_ms(0.5):.1f} ms, p99 {self.percentile_ms(0.99):.1f} ms"

    def percentile_ms(self, part: float) -> float:
        """The time within which this part (0 to 1) of the requests was answered."""
        return percentile(self.took_ms, part)


async def post_many(urls: list[str], body: object, connections: int, status: int) -> Load:
    """POST to each URL, over so many connections at once, each sending its next when the last is answered.

    Raises: RuntimeError when one is answered with another status.
    """
    left = iter(urls)
    took_ms: list[float] = []
    async with ClientSession(connector=TCPConnector(limit=connections), timeout=_ANSWERED_WITHIN) as session:

        async def send() -> None:
            for url in left:
                began = time.perf_counter()
                async with session.post(url, json=body) as response:
                    text = await response.text()
                took_ms.append((time.perf_counter() - began) * 1000)
                if response.status != status:
                    raise RuntimeError(f"POST {url} was answered with {response.status}: {text[:200]}")

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(send())
        seconds = time.perf_counter() - began
    return Load(sorted(took_ms), len(urls) / seconds)


def percentile(values: list[float], part: float) -> float:
    """The value below which this part (0 to 1) of the sorted values lies."""
    return values[min(int(len(values) * part), len(values) - 1)]
