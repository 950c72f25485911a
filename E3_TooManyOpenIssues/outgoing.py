"""What the calls of GitHub and Twilio share: app settings, and a session whose answers end."""

import io
import os
import re
import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

_MAX_BYTES, _PIECE_BYTES, _THREADS = 10_000_000, 65_536, 32


def setting(name: str) -> str:
    """An app setting; "" when it is absent."""
    return os.environ.get(name, "").strip()


def is_http_url(url: str) -> bool:
    """Whether a setting is a URL that can be called."""
    return re.fullmatch(r"https?://([\w.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?(/\S*)?", url) is not None


def session() -> requests.Session:
    """A session whose answers end, and that does not look for passwords in ~/.netrc."""
    session = requests.Session()
    session.auth = lambda request: request
    session.mount("https://", _Bounded(pool_maxsize=_THREADS))
    session.mount("http://", _Bounded(pool_maxsize=_THREADS))
    return session


class _Bounded(HTTPAdapter):
    """Bounds an answer as a whole, in time and size: requests' timeout is one for each read."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request. Raises: ReadTimeout when its answer takes longer than the timeout, or is too large."""
        ends_s = time.monotonic() + options["timeout"]  # noqa: TID251  The services' seconds are real ones.
        response = super().send(request, *args, **options)
        body = bytearray()
        try:
            # read() would wait until the piece is full, for as long as a slow server likes.
            while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
                body += piece
                if len(body) > _MAX_BYTES or time.monotonic() > ends_s:  # noqa: TID251  As above.
                    raise requests.ReadTimeout("the answer does not end")
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error) from None
        finally:
            response.raw.close()
        response.raw = io.BytesIO(body)
        return response
