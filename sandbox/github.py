"""GitHub's list of a repository's issues, made from two counts: pages, links, ETags, rate-limit headers, errors.

Every repository exists, with 2 open issues and 1 open pull request until told otherwise; nothing is ever closed.
Source: https://docs.github.com/en/rest/issues/issues#list-repository-issues, and a recording of GitHub's paging
(octokit/fixtures, paginate-issues), whose issues have the shape in issue.json.
Not its business: connections that hang or drip (`server`), and every other endpoint of GitHub.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Literal, TypedDict, get_args
from urllib.parse import urlencode

from sandbox.answer import Answer, FieldError, check_choice, json_answer, shown

RepositoryStatus = Literal[301, 401, 403, 404, 410, 429, 500, "secondary rate limit", "hang", "drip", "bad json"]

# Old owners begin, end or double their hyphens; what a company manages has an underscore.
FULL_NAME = re.compile(r"[A-Za-z0-9_-]{1,39}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
MOST = 100_000
# Not GitHub's 60 or 5,000 an hour: calls are counted, but only `status` makes the stand-in run dry.
QUOTA = 1_000_000_000
# GitHub asks for a minute or more. Here a person turned the limit on, and waits for the app once it is off again.
RETRY_AFTER = timedelta(seconds=1)
DOCS = "https://docs.github.com/rest/issues/issues#list-repository-issues"
MESSAGES: Mapping[int, str] = {
    301: "Moved Permanently",
    401: "Bad credentials",
    403: "Resource not accessible by personal access token",
    404: "Not Found",
    410: "Issues has been disabled in this repository.",
    422: "Validation Failed",
    429: "API rate limit exceeded for 127.0.0.1.",
    500: "Server Error",
}
SECONDARY_LIMIT: Mapping[str, str] = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you"
    " reach out to GitHub Support for help, please include the request ID 0000:0:0:0:0.",
    "documentation_url": "https://docs.github.com/free-pro-team@latest/rest/overview/"
    "rate-limits-for-the-rest-api#about-secondary-rate-limits",
    "status": "403",
}
SHAPES = json.loads(Path(__file__).with_name("issue.json").read_text())
ISSUE = Template(json.dumps(SHAPES["issue"]))
PULL_REQUEST = Template(json.dumps(SHAPES["issue"] | SHAPES["pull_request"]))


class RepositoryChanges(TypedDict, total=False):
    """What may be set about a repository: what is absent stays as it is, and status None is healthy."""

    open_issues: int
    open_pulls: int
    status: RepositoryStatus | None


@dataclass(slots=True)
class Repository:
    """One repository: its number, its name as first written, and what it is told to answer."""

    id: int
    repo: str
    open_issues: int = 2
    open_pulls: int = 1
    status: RepositoryStatus | None = None

    def state(self) -> dict[str, object]:
        """What the sandbox's own API shows of it: `{"repo", "open_issues", "open_pulls", "status"}`."""
        return {name: value for name, value in asdict(self).items() if name != "id"}

    def is_pull(self, number: int) -> bool:
        """Whether issue `number` is a pull request: they lie evenly among the issues."""
        return self._pulls_up_to(number) > self._pulls_up_to(number - 1)

    def _pulls_up_to(self, number: int) -> int:
        total = self.open_issues + self.open_pulls
        return (number * self.open_pulls + total // 2) // total


@dataclass(frozen=True, slots=True)
class IssuesRequest:
    """One GET of an issue list; `api_url` is what its links begin with, without a trailing slash."""

    api_url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    is_by_id: bool


class GitHub:
    """The repositories that were asked for or set, and the quota that was used."""

    def __init__(self) -> None:
        self._repositories: dict[str, Repository] = {}
        self._used = 0

    def states(self) -> list[dict[str, object]]:
        """The state of each repository, in the order of their first appearance."""
        return [repository.state() for repository in self._repositories.values()]

    def named(self, repo: str) -> Repository | None:
        """The repository "owner/name", in any case; None when GitHub allows no such name."""
        if not FULL_NAME.fullmatch(repo):
            return None
        return self._repositories.setdefault(repo.lower(), Repository(len(self._repositories) + 1, repo))

    def with_id(self, repository_id: str) -> Repository | None:
        """The repository that a page's link names by its number; None when there is none."""
        return next((known for known in self._repositories.values() if str(known.id) == repository_id), None)

    def change(self, repo: str, changes: Mapping[str, object]) -> Repository:
        """Set what `changes` (RepositoryChanges, unchecked) holds: all of it or nothing.

        Raises: FieldError naming the field that is unknown or not as it must be.
        """
        for field, value in changes.items():
            match field:
                case "open_issues" | "open_pulls":
                    if not (type(value) is int and 0 <= value <= MOST):
                        raise FieldError(field, f"expected a whole number from 0 to {MOST}; found {shown(value)}")
                case "status":
                    check_choice(field, value, get_args(RepositoryStatus))
                case _:
                    raise FieldError(field, "unknown; expected open_issues, open_pulls or status")
        repository = self.named(repo)
        if repository is None:
            raise FieldError("repo", f"expected owner/name by GitHub's rules; found {shown(repo)}")
        for field, value in changes.items():
            setattr(repository, field, value)
        return repository

    def issues(self, repository: Repository | None, request: IssuesRequest, now: datetime) -> Answer:
        """GitHub's answer to one request for a repository's issues; None: it knows no such repository."""
        answer = _error(404) if repository is None else _answer(repository, request)
        # GitHub does not count a 304 for whoever sends a token.
        self._used += not (answer.status == 304 and "Authorization" in request.headers)
        return Answer(answer.status, answer.body, {**answer.headers, **self._quota(answer.status == 429, now)})

    def _quota(self, is_limited: bool, now: datetime) -> dict[str, str]:
        next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        reset = now + RETRY_AFTER if is_limited else next_hour
        return {
            "X-RateLimit-Limit": str(QUOTA),
            "X-RateLimit-Remaining": str(0 if is_limited else QUOTA - self._used),
            "X-RateLimit-Reset": str(math.ceil(reset.timestamp())),
            "X-RateLimit-Used": str(QUOTA if is_limited else self._used),
            "X-RateLimit-Resource": "core",
        }


def _answer(repository: Repository, request: IssuesRequest) -> Answer:
    match repository.status:
        case 301 if not request.is_by_id:
            return _error(301, {"Location": _issues_url(repository, request, {})})
        case 401 | 403 | 404 | 410 | 500 as status:
            return _error(status)
        case 429:
            return _error(429, {"Retry-After": str(RETRY_AFTER.seconds)})
        case "secondary rate limit":
            # Neither its status nor its headers tell it from a 403 that stays.
            return json_answer(403, SECONDARY_LIMIT)
        case "bad json":
            return Answer(200, _page(repository, request).body[:-1])
        case _:
            return _page(repository, request)


def _error(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    return json_answer(
        status, {"message": MESSAGES[status], "documentation_url": DOCS, "status": str(status)}, headers
    )


def _page(repository: Repository, request: IssuesRequest) -> Answer:
    state = request.query.get("state", "open")
    if state not in ("open", "closed", "all"):
        return _error(422)
    total = 0 if state == "closed" else repository.open_issues + repository.open_pulls
    per_page = min(_counted(request.query.get("per_page", ""), 30), 100)
    page = _counted(request.query.get("page", ""), 1)
    newest = total - (page - 1) * per_page
    numbers = range(newest, max(newest - per_page, 0), -1)
    body = json.dumps([_issue(repository, number, request.api_url) for number in numbers])
    link = _link(repository, request, page, last=max(1, math.ceil(total / per_page)))
    etag = f'"{hashlib.sha256((link + body).encode()).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=60, s-maxage=60"} | (
        {"Link": link} if link else {}
    )
    # GitHub's ETag comes back weak when a proxy on the way compressed the page.
    known = request.headers.get("If-None-Match", "").replace("W/", "")
    return Answer(304, "", headers) if etag in known else Answer(200, body, headers)


def _counted(text: str, default: int) -> int:
    """A page's number or size; GitHub takes its default for 0 and for what is no number."""
    return (int(text) if re.fullmatch("[0-9]{1,9}", text) else 0) or default


def _link(repository: Repository, request: IssuesRequest, page: int, last: int) -> str:
    """The Link header, in GitHub's order: prev, next, last, first; "" when one page is all."""
    pages: dict[str, int] = {}
    if page > 1:
        pages["prev"] = min(page - 1, last)
    if page < last:
        pages |= {"next": page + 1, "last": last}
    if page > 1:
        pages["first"] = 1
    return ", ".join(
        f'<{_issues_url(repository, request, {"page": str(number)})}>; rel="{rel}"'
        for rel, number in pages.items()
    )


def _issues_url(repository: Repository, request: IssuesRequest, query: Mapping[str, str]) -> str:
    """The list by the repository's number, as GitHub writes it: the request's query with `query` last."""
    kept = {name: value for name, value in request.query.items() if name not in query}
    return f"{request.api_url}/repositories/{repository.id}/issues?{urlencode({**kept, **query})}".rstrip("?")


def _issue(repository: Repository, number: int, api_url: str) -> dict[str, object]:
    issue_id = repository.id * 1_000_000 + number
    # Made from the number, so that a page and its ETag change only when the counts do.
    created_at = datetime(2022, 7, 19, tzinfo=UTC) + timedelta(minutes=number)
    text = (PULL_REQUEST if repository.is_pull(number) else ISSUE).substitute(
        api=f"{api_url}/repos/{repository.repo}",
        html=f"https://github.com/{repository.repo}",
        id=issue_id,
        number=number,
        created_at=created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return {**json.loads(text), "id": issue_id, "number": number}
