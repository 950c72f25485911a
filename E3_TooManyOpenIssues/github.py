"""Asks GitHub whether a repository has more open issues than a threshold.

Not here: what a monitor makes of the answer.
"""

import json
import logging
import os
import re
import time
from dataclasses import dataclass
from threading import Lock
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

_CONNECT_S, _READ_S = 5.0, 10.0
_MAX_PAGES, _MAX_BYTES = 20, 10_000_000
_PIECE_BYTES = 65_536
_MAX_PAUSE_S = 3_600  # GitHub counts by the hour.
_THREADS = 32  # As many as Python's default thread pool has at most, and with it Azure's worker.

_REFUSALS = {
    401: "GitHub refuses the app setting GITHUB_TOKEN (401): renew it, or leave it empty for public repositories",
    403: "GitHub forbids reading the issues of {repo} (403): the app setting GITHUB_TOKEN must be allowed to",
    404: "GitHub finds no repository {repo} (404): check its name; a private one needs GITHUB_TOKEN",
    410: "{repo} has its issues turned off (410)",
    451: "GitHub blocks {repo} for legal reasons (451)",
}

logger = logging.getLogger(__name__)


class CheckFailed(Exception):
    """GitHub will not say, now or at the next check; the text says why and what to do."""


class _CannotSay(Exception):
    """GitHub does not say now; the next check may fare better."""


@dataclass(frozen=True, slots=True)
class _Page:
    """What a count needs of one answer. A redirect is a page without issues."""

    issues: int
    next_url: str | None
    etag: str | None = None


class _Pages:
    """The pages last seen, by URL and token; the one unused for longest goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pages: dict[tuple[str, str], _Page] = {}
        self._lock = Lock()

    def get(self, key: tuple[str, str]) -> _Page | None:
        with self._lock:
            if page := self._pages.pop(key, None):
                self._pages[key] = page
            return page

    def put(self, key: tuple[str, str], page: _Page) -> None:
        with self._lock:
            self._pages.pop(key, None)
            self._pages[key] = page
            if len(self._pages) > self._size:
                del self._pages[next(iter(self._pages))]


class _Bearer(AuthBase):
    """Sends the token, if any; without it, requests would look for a password in ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


# One of each per worker process. They save connections and quota, and no answer depends on them.
_session = requests.Session()
_session.mount("https://", HTTPAdapter(pool_maxsize=_THREADS))
_session.mount("http://", HTTPAdapter(pool_maxsize=_THREADS))
_pages = _Pages(1_000)
_quiet_until: dict[tuple[str, str], float] = {}


def exceeds(repo: str, threshold: int, *, deadline_s: float = 20) -> bool | None:
    """Whether `repo` has more than `threshold` open issues; None when GitHub cannot say now.

    Pull requests are no issues, although GitHub's list has them.
    Raises: CheckFailed when it will not say at the next check either.
    Source: docs.github.com, REST API, "List repository issues" and "Rate limits".
    """
    try:
        return _Check(repo, deadline_s).exceeds(threshold)
    except _CannotSay as reason:
        logger.warning("%s: GitHub cannot say now: %s", repo, reason)
        return None


class _Check:
    """One check of one repository, with the time and the bytes that it may still take."""

    def __init__(self, repo: str, deadline_s: float) -> None:
        self._repo = repo
        self._api_url = _api_url()
        self._token = _token()
        self._deadline = time.monotonic() + deadline_s  # noqa: TID251  GitHub's seconds are real ones.
        self._bytes_left = _MAX_BYTES

    def exceeds(self, threshold: int) -> bool:
        issues = 0
        url = f"{self._api_url}/repos/{self._repo}/issues?state=open&per_page=100"
        for _ in range(_MAX_PAGES):
            page = self._page(url)
            issues += page.issues
            if issues > threshold:
                return True
            if page.next_url is None:
                return False
            url = page.next_url
        raise _CannotSay(f"its list has more than {_MAX_PAGES} pages")

    def _page(self, url: str) -> _Page:
        if _origin(url) != _origin(self._api_url):
            raise _CannotSay("it points at another server")
        limited = self._api_url, self._token
        if time.monotonic() < _quiet_until.get(limited, 0):  # noqa: TID251  As above.
            raise _CannotSay("its rate limit still holds")
        known = _pages.get((url, self._token))
        response, body = self._get(url, known.etag if known else None)
        if response.status_code == 304 and known:
            return known
        if response.is_redirect:
            return _Page(0, _target(url, response.headers["Location"]))
        if (pause_s := _pause_s(response)) is not None:
            _quiet_until[limited] = time.monotonic() + pause_s  # noqa: TID251  As above.
            raise _CannotSay(f"its rate limit holds for {pause_s:.0f} s")
        if refusal := _REFUSALS.get(response.status_code):
            raise CheckFailed(refusal.format(repo=self._repo))
        if response.status_code != 200:
            raise _CannotSay(f"it answered {response.status_code}")
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise _CannotSay("its answer is no JSON")
        next_url = response.links.get("next", {}).get("url")
        page = _Page(_count(body), _target(url, next_url) if next_url else None, response.headers.get("ETag"))
        if page.etag:
            _pages.put((url, self._token), page)
        return page

    def _get(self, url: str, etag: str | None) -> tuple[requests.Response, bytes]:
        left_s = self._left_s()
        try:
            with _session.get(
                url,
                headers={"Accept": "application/vnd.github+json", "If-None-Match": etag},
                auth=_Bearer(self._token),
                timeout=(min(_CONNECT_S, left_s), min(_READ_S, left_s)),
                allow_redirects=False,
                stream=True,
            ) as response:
                return response, self._read(response)
        # ValueError: requests looks at where a redirect leads, even when it does not follow.
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise _CannotSay(f"no answer ({type(error).__name__})") from None

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        # read() would wait until the piece is full, for as long as a slow server likes.
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            body += piece
            self._bytes_left -= len(piece)
            if self._bytes_left < 0:
                raise _CannotSay(f"its answer has more than {_MAX_BYTES} bytes")
            self._left_s()
        return bytes(body)

    def _left_s(self) -> float:
        left_s = self._deadline - time.monotonic()  # noqa: TID251  As above.
        if left_s <= 0:
            raise _CannotSay("it took too long")
        return left_s


def _target(url: str, link: str) -> str:
    try:
        return urljoin(url, link)
    except ValueError:
        raise _CannotSay("it points at no address") from None


def _count(body: bytes) -> int:
    try:
        listed = json.loads(body)
    except (ValueError, RecursionError):
        raise _CannotSay("its answer is no JSON") from None
    if not isinstance(listed, list) or not all(isinstance(issue, dict) for issue in listed):
        raise _CannotSay("its answer is no list of issues")
    return sum(not issue.get("pull_request") for issue in listed)


def _pause_s(response: requests.Response) -> float | None:
    """How long GitHub wants to be left alone, or None when it has set no limit."""
    retry_after = response.headers.get("Retry-After")
    exhausted = response.headers.get("X-RateLimit-Remaining") == "0"
    if response.status_code != 429 and not (response.status_code == 403 and (retry_after or exhausted)):
        return None
    reset = response.headers.get("X-RateLimit-Reset", "")
    if retry_after is not None and retry_after.isdecimal():
        pause_s = float(retry_after)
    elif exhausted and reset.isdecimal():
        pause_s = float(reset) - time.time()  # noqa: TID251  The reset is an instant of the real world.
    else:
        pause_s = 60
    return min(pause_s, _MAX_PAUSE_S)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port, or None for what is no http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def _api_url() -> str:
    url = os.environ.get("GITHUB_API_URL", "").strip().rstrip("/") or "https://api.github.com"
    if _origin(url) is None:
        raise CheckFailed("the app setting GITHUB_API_URL is no http(s) URL")
    return url


def _token() -> str:
    token = os.environ.get("GITHUB_TOKEN", "").strip()
    # Python's HTTP client would quote the whole header in its error.
    if not re.fullmatch(r"[!-~]*", token):
        raise CheckFailed("the app setting GITHUB_TOKEN holds a character that no token has")
    return token
