"""The stand-in for GitHub, asked by requests, against what was recorded from GitHub (octokit/fixtures)."""

import asyncio
import json
import re
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from sandbox.answer import FieldError
from sandbox.server import Sandbox
from tests.conftest import ROOT

RECORDED: list[dict[str, Any]] = json.loads((ROOT / "tests" / "data" / "github-issues.json").read_text())
LINK = re.compile(r'<([^>]+)>; rel="(\w+)"')


async def get(url: str, **options: Any) -> requests.Response:
    return await asyncio.to_thread(requests.get, url, **{"timeout": 30, **options})


async def put(url: str, value: object) -> requests.Response:
    return await asyncio.to_thread(requests.put, url, data=json.dumps(value), timeout=30)


def issues_url(sandbox: Sandbox, repo: str = "octo/cat") -> str:
    return f"{sandbox.github_url}/repos/{repo}/issues"


def links(header: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each link's rel and query, in order."""
    return [(rel, parse_qsl(urlsplit(url).query)) for url, rel in LINK.findall(header)]


async def test_a_repository_never_heard_of_has_two_open_issues_and_a_pull_request_among_them(
    sandbox: Sandbox,
) -> None:
    issues = (await get(issues_url(sandbox))).json()

    assert ["pull_request" in issue for issue in issues] == [False, True, False]
    assert [issue["number"] for issue in issues] == [3, 2, 1]


async def test_an_issue_has_the_keys_and_types_of_a_recorded_one(sandbox: Sandbox) -> None:
    recorded = RECORDED[0]["response"][0]

    newest, pull, _ = (await get(issues_url(sandbox))).json()

    assert list(newest) == list(recorded)
    for key, value in recorded.items():
        assert type(newest[key]) is type(value), key
    assert newest["user"].keys() == recorded["user"].keys()
    assert newest["reactions"].keys() == recorded["reactions"].keys()
    assert newest["html_url"] == "https://github.com/octo/cat/issues/3"
    assert newest["url"] == f"{sandbox.github_url}/repos/octo/cat/issues/3"
    assert pull.keys() - newest.keys() == {"draft", "pull_request"}
    assert pull["html_url"] == pull["pull_request"]["html_url"] == "https://github.com/octo/cat/pull/2"


async def test_paging_links_read_as_recorded_and_lead_through_every_issue_once(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=9, open_pulls=4)
    url = f"{issues_url(sandbox)}?per_page=3"
    numbers: list[int] = []
    pulls = 0

    for page in RECORDED:
        answer = await get(url)
        assert links(answer.headers["Link"]) == links(
            dict(zip(*[iter(page["rawHeaders"])] * 2, strict=True))["Link"]
        )
        assert answer.json()[0]["number"] == page["response"][0]["number"]
        numbers += [issue["number"] for issue in answer.json()]
        pulls += sum("pull_request" in issue for issue in answer.json())
        url = answer.links.get("next", {}).get("url", "")
        assert not url or re.fullmatch(re.escape(sandbox.github_url) + r"/repositories/\d+/issues\?.*", url)

    assert url == ""
    assert numbers == list(range(13, 0, -1))
    assert pulls == 4


async def test_one_page_has_no_link(sandbox: Sandbox) -> None:
    assert "Link" not in (await get(issues_url(sandbox))).headers


async def test_a_page_past_the_last_is_empty_and_leads_back(sandbox: Sandbox) -> None:
    answer = await get(f"{issues_url(sandbox)}?page=9&per_page=2")

    assert answer.json() == []
    assert links(answer.headers["Link"]) == [
        ("prev", [("per_page", "2"), ("page", "2")]),
        ("first", [("per_page", "2"), ("page", "1")]),
    ]


async def test_links_keep_the_query_and_the_host_that_was_called(sandbox: Sandbox) -> None:
    root = sandbox.url.replace("localhost", "127.0.0.1")

    answer = await get(f"{root}/github/repos/octo/cat/issues?state=all&page=1&per_page=2&x=%26%20%3E")

    assert answer.links["next"]["url"].startswith(f"{root}/github/repositories/1/issues?")
    assert parse_qsl(urlsplit(answer.links["next"]["url"]).query) == [
        ("state", "all"),
        ("per_page", "2"),
        ("x", "& >"),
        ("page", "2"),
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 30),
        ("per_page=7", 7),
        ("per_page=100", 100),
        ("per_page=101", 100),
        ("per_page=0", 30),
        ("per_page=x", 30),
        ("per_page=%D9%A3", 30),
        ("page=0", 30),
        ("page=-1", 30),
        ("page=" + "9" * 5000, 30),
    ],
)
async def test_a_page_holds_what_github_would_put_on_it(sandbox: Sandbox, query: str, count: int) -> None:
    sandbox.set_repository("octo/cat", open_issues=200, open_pulls=50)

    assert len((await get(f"{issues_url(sandbox)}?{query}")).json()) == count


async def test_nothing_is_closed_and_another_state_is_refused(sandbox: Sandbox) -> None:
    assert (await get(f"{issues_url(sandbox)}?state=closed")).json() == []
    assert len((await get(f"{issues_url(sandbox)}?state=all")).json()) == 3
    assert (await get(f"{issues_url(sandbox)}?state=opened")).status_code == 422


@pytest.mark.parametrize("prefix", ["", "W/", '"another", W/'])
async def test_an_etag_is_answered_304_until_the_counts_change(sandbox: Sandbox, prefix: str) -> None:
    first = await get(issues_url(sandbox))
    known = {"If-None-Match": prefix + first.headers["ETag"]}

    unchanged = await get(issues_url(sandbox), headers=known)
    sandbox.set_repository("octo/cat", open_issues=1, open_pulls=2)
    changed = await get(issues_url(sandbox), headers=known)

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == first.headers["ETag"]
    assert (changed.status_code, len(changed.json())) == (200, 3)
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(("token", "cost"), [({}, 1), ({"Authorization": "Bearer ghp_x"}, 0)])
async def test_an_unchanged_page_costs_no_quota_with_a_token(
    sandbox: Sandbox, token: dict[str, str], cost: int
) -> None:
    first = await get(issues_url(sandbox), headers=token)

    second = await get(issues_url(sandbox), headers={**token, "If-None-Match": first.headers["ETag"]})

    assert second.status_code == 304
    assert int(first.headers["X-RateLimit-Remaining"]) - int(second.headers["X-RateLimit-Remaining"]) == cost
    for answer in (first, second):
        quota = {name: int(answer.headers[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining", "Used")}
        assert quota["Remaining"] + quota["Used"] == quota["Limit"]
        assert int(answer.headers["X-RateLimit-Reset"]) % 3600 == 0


async def test_rate_limit_headers_are_those_recorded(sandbox: Sandbox) -> None:
    recorded = {name for name in RECORDED[0]["rawHeaders"] if name.startswith("X-RateLimit")}

    answer = await get(issues_url(sandbox))

    assert {name for name in answer.headers if name.lower().startswith("x-ratelimit")} == recorded


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500])
async def test_a_status_is_answered_with_githubs_error(sandbox: Sandbox, status: Any) -> None:
    sandbox.set_repository("octo/cat", status=status)

    answer = await get(issues_url(sandbox))

    assert answer.status_code == status
    assert answer.json().keys() == {"message", "documentation_url", "status"}
    assert answer.json()["status"] == str(status)
    assert (await get(issues_url(sandbox, "octo/dog"))).status_code == 200


async def test_a_429_says_when_to_come_back_and_that_no_quota_is_left(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", status=429)

    answer = await get(issues_url(sandbox))

    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert 0 < int(answer.headers["X-RateLimit-Reset"]) - date <= 2


async def test_a_403_is_no_rate_limit(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", status=403)

    answer = await get(issues_url(sandbox))

    assert "Retry-After" not in answer.headers
    assert int(answer.headers["X-RateLimit-Remaining"]) > 0


async def test_only_the_text_of_a_secondary_rate_limit_tells_it_from_a_403(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", status=403)
    forbidden = await get(issues_url(sandbox))
    await put(f"{sandbox.github_url}/repos/octo/cat", {"status": "secondary rate limit"})

    limited = await get(issues_url(sandbox))

    assert limited.status_code == 403
    assert limited.headers.keys() == forbidden.headers.keys()
    assert int(limited.headers["X-RateLimit-Remaining"]) > 0
    assert limited.json()["message"].startswith("You have exceeded a secondary rate limit.")


async def test_a_moved_repository_answers_where_it_moved_to(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", status=301)

    moved = await get(f"{issues_url(sandbox)}?per_page=2", allow_redirects=False)
    found = await get(f"{issues_url(sandbox)}?per_page=2")

    assert moved.status_code == 301
    assert moved.headers["Location"] == f"{sandbox.github_url}/repositories/1/issues?per_page=2"
    assert len(found.json()) == 2


@pytest.mark.parametrize("open_issues", [0, 40])
async def test_bad_json_is_a_200_that_does_not_parse(sandbox: Sandbox, open_issues: int) -> None:
    sandbox.set_repository("octo/cat", open_issues=open_issues, open_pulls=0, status="bad json")

    answer = await get(issues_url(sandbox))

    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


async def test_hang_never_answers(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", status="hang")

    with pytest.raises(requests.ReadTimeout):
        await get(issues_url(sandbox), timeout=0.3)


async def test_drip_sends_a_byte_at_a_time_without_an_end(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", status="drip")

    with await get(issues_url(sandbox), stream=True) as answer:
        pieces = [await asyncio.to_thread(answer.raw.read1, 100) for _ in range(4)]

    assert answer.status_code == 200
    assert b"".join(pieces) == b"[   "


async def test_case_makes_no_difference_in_a_name(sandbox: Sandbox) -> None:
    sandbox.set_repository("Octo/Cat", open_issues=7)

    issues = (await get(issues_url(sandbox, "octo/cat"))).json()

    assert len(issues) == 8
    assert issues[0]["html_url"] == "https://github.com/Octo/Cat/issues/8"


@pytest.mark.parametrize("repo", ["kept-/cat", "-lead-/cat", "dou--ble/cat", "octo_acme/cat"])
async def test_an_owner_of_a_form_that_github_once_allowed_exists(sandbox: Sandbox, repo: str) -> None:
    assert (await get(issues_url(sandbox, repo))).status_code == 200


@pytest.mark.parametrize("repo", ["o.cto/cat", f"{'o' * 40}/cat", "octo/..", "octo/c%2Ft", "octo/c t", "ö/cat"])
async def test_a_name_that_github_does_not_allow_is_not_found_and_cannot_be_set(
    sandbox: Sandbox, repo: str
) -> None:
    assert (await get(issues_url(sandbox, repo))).status_code == 404
    with pytest.raises(FieldError, match=r"^repo: expected owner/name"):
        sandbox.set_repository(repo, open_issues=1)
    assert (await get(f"{sandbox.github_url}/repos")).json() == []


async def test_a_repository_number_that_was_never_given_is_not_found(sandbox: Sandbox) -> None:
    assert (await get(f"{sandbox.github_url}/repositories/1/issues")).status_code == 404


async def test_put_sets_what_it_names_and_answers_the_state(sandbox: Sandbox) -> None:
    url = f"{sandbox.github_url}/repos/octo/cat"
    untouched = {"repo": "octo/cat", "open_issues": 2, "open_pulls": 1, "status": None}

    assert (await put(url, {})).json() == untouched
    assert (await put(url, {"open_issues": 5})).json() == untouched | {"open_issues": 5}
    assert (await put(url, {"status": "drip"})).json() == untouched | {"open_issues": 5, "status": "drip"}
    assert (await put(url, {"status": None, "open_pulls": 0})).json() == untouched | {
        "open_issues": 5,
        "open_pulls": 0,
    }


async def test_the_listing_holds_what_was_set_or_asked_for_in_that_order(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=5, status=500)
    await get(issues_url(sandbox, "octo/dog"))

    assert (await get(f"{sandbox.github_url}/repos")).json() == [
        {"repo": "octo/cat", "open_issues": 5, "open_pulls": 1, "status": 500},
        {"repo": "octo/dog", "open_issues": 2, "open_pulls": 1, "status": None},
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("open_issues", value) for value in (-1, True, 2.0, "2", None)),
        *(("open_pulls", value) for value in (100_001, [1])),
        *(("status", value) for value in (200, 404.0, True, "404", [404], "lost reply")),
        ("stars", 1),
    ],
)
async def test_a_bad_value_is_a_400_that_names_its_field_and_changes_nothing(
    sandbox: Sandbox, field: str, value: object
) -> None:
    answer = await put(f"{sandbox.github_url}/repos/octo/cat", {"open_issues": 9, "open_pulls": 9, field: value})

    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
    assert answer.json()["error"]["message"]
    assert (await get(f"{sandbox.github_url}/repos")).json() == []
