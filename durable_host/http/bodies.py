"""Bodies of requests, read whole: within a size, within a time, and within a size for all of them together.

Not here: what a body means.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

_LARGEST = 104_857_600  # Source: functions-host 4.1037, the request limit.
_ALL = 134_217_728  # So that no number of callers fills the memory.


class Bodies:
    """The bodies that are being read or held.

    Args:
        receive_s: how long one may take to arrive.
    """

    def __init__(self, receive_s: float) -> None:
        self._receive_s = receive_s
        self._held = 0

    @asynccontextmanager
    async def read(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """A request's body, which counts for held while the block lasts.

        Raises: what the caller is answered: HTTPBadRequest for a body whose chunks make none, HTTPRequestTimeout,
        HTTPRequestEntityTooLarge, HTTPTooManyRequests when all bodies together would take too much memory.
        """
        body, size = bytearray(), 0
        try:
            try:
                async with asyncio.timeout(self._receive_s):
                    self._check(request.content_length or 0)
                    async for piece in request.content.iter_any():
                        size += len(piece)
                        self._held += len(piece)
                        self._check(size)
                        body += piece
            except TimeoutError:
                raise web.HTTPRequestTimeout from None
            except web.RequestPayloadError as error:
                raise web.HTTPBadRequest(text=f"400: {error}") from None
            whole = bytes(body)
            body.clear()
            yield whole
        finally:
            body.clear()  # An error keeps this frame alive while it is being answered.
            self._held -= size

    def _check(self, size: int) -> None:
        if size > _LARGEST:
            raise web.HTTPRequestEntityTooLarge(_LARGEST, size)
        if self._held > _ALL:
            raise web.HTTPTooManyRequests(text="429: Too much is being sent at once; try again.")
