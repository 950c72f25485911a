"""Who may call: only by the host's own names, only its own pages, and beyond this machine only with the hub's key.

A page of another site can have a visitor's browser call a server on his machine, under a name of its own (DNS
rebinding) or as it is (cross-site requests). Not here: what a caller is answered (`server`).
"""

import hmac
import ipaddress
import re
from urllib.parse import parse_qsl

from aiohttp import web

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Callers:
    """Judges the requests that come to a bound address.

    Args:
        address: where the host listens.
        key: what is asked for when that is more than loopback.
    """

    def __init__(self, address: str, key: str) -> None:
        self._address = ipaddress.ip_address(address)
        self._key = key.encode()

    def are_welcome(self, request: web.BaseRequest) -> bool:
        """Whether a request names this host, and is no change that a page of another origin asks for."""
        host = request.headers.get("Host", "")
        return self._is_own_name(host) and not _is_foreign(request, host)

    def may_call(self, request: web.BaseRequest, query: str) -> bool:
        """On loopback nobody needs a key, as with Core Tools; beyond it the hub's key is asked for."""
        if self._address.is_loopback:
            return True
        given = request.headers.get("x-functions-key") or dict(parse_qsl(query)).get("code") or ""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._key)

    def is_this_machine(self, request: web.BaseRequest) -> bool:
        """Whether a request comes from this machine, as the SDK's do, which carry no key."""
        address = ipaddress.ip_address(request.remote or "::")
        return address.is_loopback or address == self._address

    def _is_own_name(self, host: str) -> bool:
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^]\[:]+)(?::[0-9]{1,5})?", host)
        if match is None:
            return False
        name = match[1].lower()
        if name in _LOOPBACK:
            return True
        try:
            address = ipaddress.IPv6Address(name[1:-1]) if name[0] == "[" else ipaddress.IPv4Address(name)
        except ValueError:
            return False
        # Bound to every address of the machine, it has all their names; a rebound one is never an address.
        return self._address.is_unspecified or address == self._address


def _is_foreign(request: web.BaseRequest, host: str) -> bool:
    """Whether a page of another origin asks for a change through its visitor's browser."""
    if request.method in _SAFE_METHODS:
        return False
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return site not in ("same-origin", "none") or (
        origin is not None and origin.lower() != f"{request.scheme}://{host}".lower()
    )
