"""Asks GitHub whether a repository has more open issues than a threshold.

Source: docs.github.com, REST API, "List repository issues", "Rate limits" and "Use conditional requests".
"""

import logging
import re
import time
from urllib.parse import urljoin, urlsplit

import requests

from E3_TooManyOpenIssues.outgoing import is_http_url, session, setting

_REFUSALS = {
    401: "GitHub refuses the app setting GITHUB_TOKEN (401): renew it, or leave it empty for public repositories",
    403: "GitHub forbids reading the issues of {repo} (403): the app setting GITHUB_TOKEN must be allowed to",
    404: "GitHub finds no repository {repo} (404): check its name; a private one needs GITHUB_TOKEN",
    410: "{repo} has its issues turned off (410)",
    451: "GitHub blocks {repo} for legal reasons (451)",
}
_MOST_PAGES, _MOST_KEPT = 100, 10_000

# One of each per worker process. They save connections and quota, and no answer depends on them.
_session = session()
_pages: dict[tuple[str, str], tuple[str, tuple[int, str]]] = {}

logger = logging.getLogger(__name__)


class _CannotSay(Exception):
    """GitHub does not say now; the next check may fare better."""


def exceeds(repo: str, threshold: int, *, deadline_s: float = 20) -> bool | dict[str, str] | None:
    """Whether `repo` has more than `threshold` open issues, as E3_TooManyOpenIssues answers."""
    api_url, token = setting("GITHUB_API_URL").rstrip("/") or "https://api.github.com", setting("GITHUB_TOKEN")
    if not is_http_url(api_url):
        return {"refused": "the app setting GITHUB_API_URL is not an http(s) URL"}
    if not re.fullmatch("[!-~]*", token):
        return {"refused": "the app setting GITHUB_TOKEN holds a character that no token has"}
    ends_s = time.monotonic() + deadline_s  # noqa: TID251  GitHub's seconds are real ones.
    issues, url = 0, f"{api_url}/repos/{repo}/issues?state=open&per_page=100"
    try:
        for _ in range(_MOST_PAGES):
            if urlsplit(url)[:2] != urlsplit(api_url)[:2]:
                raise _CannotSay("it points at another server")
            page = _page(url, token, ends_s - time.monotonic())  # noqa: TID251  As above.
            if isinstance(page, str):
                return {"refused": page.format(repo=repo)}
            issues, url = issues + page[0], page[1]
            if issues > threshold or not url:
                return issues > threshold
        raise _CannotSay(f"its list has more than {_MOST_PAGES} pages")
    except _CannotSay as reason:
        logger.warning("%s: GitHub cannot say now: %s", repo, reason)
    # ValueError: requests looks at where a redirect leads, even when it does not follow.
    except (requests.RequestException, ValueError, RecursionError) as error:
        logger.warning("%s: GitHub cannot say now: no answer (%s)", repo, type(error).__name__)
    return None


def _page(url: str, token: str, left_s: float) -> tuple[int, str] | str:
    """The issues of a page and the next page's URL, or why GitHub refuses; a redirect is a page without issues."""
    if left_s <= 0:
        raise _CannotSay("it takes too long")
    etag, known = _pages.get((url, token), (None, None))
    headers = {"Accept": "application/vnd.github+json", "If-None-Match": etag}
    headers["Authorization"] = f"Bearer {token}" if token else None
    # Half of what is left is to connect, half to answer. Redirects are followed as links are: under one deadline.
    response = _session.get(url, headers=headers, timeout=left_s / 2, allow_redirects=False)
    if response.status_code == 304 and known:
        return known
    if response.is_redirect:
        return 0, urljoin(url, response.headers["Location"])
    if response.status_code in _REFUSALS and not _is_rate_limit(response):
        return _REFUSALS[response.status_code]
    if response.status_code != 200:
        raise _CannotSay(f"it answered {response.status_code}")
    next_url = response.links.get("next", {}).get("url")
    page = _count(response), urljoin(url, next_url) if next_url else ""
    if etag := response.headers.get("ETag"):
        if len(_pages) >= _MOST_KEPT:  # pragma: no cover  A soak test fills it.
            _pages.clear()
        _pages[url, token] = etag, page
    return page


def _is_rate_limit(response: requests.Response) -> bool:
    """Whether a 403 will pass; only the text of a secondary limit's says so."""
    is_told = "Retry-After" in response.headers or response.headers.get("X-RateLimit-Remaining") == "0"
    return response.status_code == 403 and (is_told or "rate limit" in response.text.lower())


def _count(response: requests.Response) -> int:
    is_json = response.headers.get("Content-Type", "").lower().startswith("application/json")
    listed = response.json() if is_json else None
    if not isinstance(listed, list) or not all(isinstance(issue, dict) for issue in listed):
        raise _CannotSay("its answer is not a list of issues")
    return sum(not issue.get("pull_request") for issue in listed)
