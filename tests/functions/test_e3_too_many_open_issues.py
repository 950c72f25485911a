import asyncio
import gzip
import json
import re
from collections.abc import Iterable
from contextlib import suppress

import pytest
from aiohttp import web

from E3_TooManyOpenIssues import main
from E3_TooManyOpenIssues.github import exceeds
from sandbox.github import RepositoryStatus
from sandbox.server import Sandbox
from tests.conftest import Handler, Serve

pytestmark = pytest.mark.usefixtures("app_settings")

GitHubIs = Serve

ISSUE = {"number": 1}
PULL_REQUEST = {"number": 2, "pull_request": {"url": "https://api.github.com/repos/octo/cat/pulls/2"}}


@pytest.fixture
def github_is(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> GitHubIs:
    """Puts a handler in GitHub's place, for what the sandbox does not answer; its answers are called JSON."""

    async def start(handler: Handler) -> str:
        async def answer(request: web.Request) -> web.StreamResponse:
            response = await handler(request)
            response.content_type = "application/json"
            return response

        url = await serve(answer)
        monkeypatch.setenv("GITHUB_API_URL", url)
        return url

    return start


async def too_many(threshold: int = 3, repo: str = "octo/cat") -> bool | dict[str, str] | None:
    return await asyncio.to_thread(main, {"repo": repo, "threshold": threshold})


def issues(number: int) -> str:
    return json.dumps([ISSUE] * number)


@pytest.mark.parametrize(
    ("open_issues", "threshold", "expected"), [(3, 3, False), (4, 3, True), (0, 0, False), (1, 0, True)]
)
async def test_too_many_is_more_than_the_threshold(
    sandbox: Sandbox, open_issues: int, threshold: int, expected: bool
) -> None:
    sandbox.set_repository("octo/cat", open_issues=open_issues)

    assert await too_many(threshold) is expected


async def test_pull_requests_are_no_issues(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=3, open_pulls=250)

    assert await too_many(3) is False
    assert await too_many(2) is True


@pytest.mark.parametrize(("threshold", "expected"), [(249, True), (250, False)])
async def test_all_pages_count(sandbox: Sandbox, threshold: int, expected: bool) -> None:
    sandbox.set_repository("octo/cat", open_issues=250, open_pulls=70)

    assert await too_many(threshold) is expected


async def test_reading_stops_once_the_answer_is_known(github_is: GitHubIs) -> None:
    paths = []

    async def list_issues(request: web.Request) -> web.Response:
        paths.append(request.path_qs)
        return web.Response(
            text=issues(2), headers={"Link": f'<{request.url.origin()}/page{len(paths)}>; rel="next"'}
        )

    await github_is(list_issues)

    assert await too_many(3) is True
    assert paths == ["/repos/octo/cat/issues?state=open&per_page=100", "/page1"]


async def test_a_renamed_repository_is_found(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=150, status=301)

    assert await too_many(149) is True
    assert await too_many(150) is False


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_what_the_next_check_would_be_told_too_is_a_refusal(
    sandbox: Sandbox, status: RepositoryStatus
) -> None:
    sandbox.set_repository("octo/cat", status=status)

    answer = await too_many()

    assert isinstance(answer, dict)
    assert re.fullmatch(rf".*(octo/cat|GITHUB_TOKEN).*\({status}\).*", answer["refused"])


async def test_a_repository_blocked_by_law_is_refused(github_is: GitHubIs) -> None:
    async def block(_request: web.Request) -> web.Response:
        return web.json_response({"message": "Repository access blocked"}, status=451)

    await github_is(block)

    assert await too_many() == {"refused": "GitHub blocks octo/cat for legal reasons (451)"}


@pytest.mark.parametrize("status", [429, "secondary rate limit", 500, "bad json"])
async def test_github_cannot_say_now(
    sandbox: Sandbox, status: RepositoryStatus, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.set_repository("octo/cat", status=status)

    assert await too_many() is None
    assert "octo/cat: GitHub cannot say now: " in caplog.text


@pytest.mark.parametrize("status", ["hang", "drip"])
async def test_a_server_that_is_too_slow_cannot_say_now(sandbox: Sandbox, status: RepositoryStatus) -> None:
    sandbox.set_repository("octo/cat", status=status)

    assert await asyncio.to_thread(exceeds, "octo/cat", 3, deadline_s=0.6) is None


async def test_no_connection_cannot_say_now(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", f"http://localhost:{unused_tcp_port}")

    assert await too_many() is None


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {}, ""),
        (200, {}, "<html>"),
        (200, {}, "[" * 100_000),
        (200, {}, json.dumps({"message": "5 issues"})),
        (200, {}, "[1, 2, 3, 4]"),
        (200, {}, "5"),
        (200, {"Content-Encoding": "gzip"}, issues(5)),
        (304, {}, ""),
        (301, {}, ""),
        (400, {}, issues(5)),
        (422, {}, "{}"),
        (403, {"Retry-After": "60"}, "{}"),
        (403, {}, '{"message": "You have exceeded a secondary Rate Limit. Please wait."}'),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4000000000"}, "{}"),
        (503, {}, "{}"),
    ],
)
async def test_an_answer_without_a_list_of_issues_cannot_say_now(
    github_is: GitHubIs, status: int, headers: dict[str, str], body: str
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers=headers)

    await github_is(answer)

    assert await too_many() is None


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/octet-stream", "application/xml", ""])
async def test_an_answer_of_another_type_cannot_say_now(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        response = web.Response(text=issues(5))
        response.headers["Content-Type"] = kind
        return response

    monkeypatch.setenv("GITHUB_API_URL", await serve(answer))

    assert await too_many() is None


async def test_an_answer_that_is_too_large_cannot_say_now(github_is: GitHubIs) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=issues(5) + " " * 10_000_000)

    await github_is(answer)

    assert await too_many() is None


async def test_a_zipped_answer_is_read(github_is: GitHubIs) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(issues(4).encode()), headers={"Content-Encoding": "gzip"})

    await github_is(answer)

    assert await too_many(3) is True


async def test_all_pages_together_take_no_longer_than_a_check_may(github_is: GitHubIs) -> None:
    pages = []
    stopping = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        pages.append(request.path)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), 0.1)
        return web.Response(text=issues(1), headers={"Link": f'</{len(pages)}>; rel="next"'})

    await github_is(answer)

    assert await asyncio.to_thread(exceeds, "octo/cat", 1_000, deadline_s=1) is None
    assert 1 < len(pages) <= 10
    stopping.set()


async def test_without_time_left_nothing_is_asked(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)

    assert await asyncio.to_thread(exceeds, "octo/cat", 3, deadline_s=0) is None


async def test_a_list_of_too_many_pages_cannot_say_now(github_is: GitHubIs) -> None:
    pages = []

    async def answer(request: web.Request) -> web.Response:
        pages.append(request.path)
        return web.Response(status=301, headers={"Location": "/again"})

    await github_is(answer)

    assert await too_many() is None
    assert len(pages) == 100


async def test_a_thousand_issues_among_more_pull_requests_are_counted(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=1_001, open_pulls=2_000)

    assert await too_many(1_000) is True


@pytest.mark.parametrize("status", [200, 301, 302, 303, 307, 308])
async def test_another_server_is_never_called(
    github_is: GitHubIs, serve: Serve, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    calls = []

    async def elsewhere(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response(text=issues(5), content_type="application/json")

    url = await serve(elsewhere)
    port = url.rpartition(":")[2]
    targets = [
        *(url, f"//localhost:{port}/x", f"http://localhost:{port}@localhost/x", f"http://evil@localhost:{port}/"),
        *(f"HTTP://LOCALHOST:{port}/", f"http:\\\\localhost:{port}\\x", f"\thttp://localhost:{port}/"),
        *(f"http://[::1]:{port}/", "file:///etc/passwd", "ftp://localhost/", "gopher://localhost/"),
        *("javascript:1", "data:application/json,[]", "http://", "//", "\\\\x", "http://["),
    ]

    async def point_elsewhere(_request: web.Request) -> web.Response:
        headers = {"Location": target} if status != 200 else {"Link": f'<{target}>; rel="next"'}
        return web.Response(status=status, text="[]", headers=headers)

    monkeypatch.setenv("GITHUB_TOKEN", "t0ken")
    await github_is(point_elsewhere)

    for target in targets:
        assert (target, await asyncio.to_thread(exceeds, "octo/cat", 3, deadline_s=5)) == (target, None)
    assert calls == []


async def test_an_unchanged_list_is_not_sent_again(github_is: GitHubIs, monkeypatch: pytest.MonkeyPatch) -> None:
    known = []

    async def answer(request: web.Request) -> web.Response:
        known.append(request.headers.get("If-None-Match"))
        is_last = request.path == "/last"
        etag = '"last"' if is_last else 'W/"first"'
        link = {} if is_last else {"Link": '</last>; rel="next"'}
        if known[-1] == etag:
            return web.Response(status=304)
        return web.Response(text=json.dumps([ISSUE, PULL_REQUEST, ISSUE]), headers={"ETag": etag, **link})

    await github_is(answer)

    assert await too_many(3) is True
    assert await too_many(4) is False
    assert await too_many(1) is True
    assert known == [None, None, 'W/"first"', '"last"', 'W/"first"']
    monkeypatch.setenv("GITHUB_TOKEN", "another")
    assert await too_many(4) is False
    assert known[5:] == [None, None]


async def test_a_changed_list_counts_anew(sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=3)
    assert await too_many(3) is False
    assert await too_many(3) is False

    sandbox.set_repository("octo/cat", open_issues=4)

    assert await too_many(3) is True


@pytest.mark.soak
async def test_the_pages_of_ten_thousand_lists_are_kept(github_is: GitHubIs) -> None:
    known = []

    async def answer(request: web.Request) -> web.Response:
        known.append(request.headers.get("If-None-Match"))
        return web.Response(text="[]", headers={"ETag": '"e"'})

    await github_is(answer)

    def check_all(numbers: Iterable[int]) -> None:
        for number in numbers:
            exceeds(f"octo/{number}", 3)

    # Whatever other tests left among them, the last list is kept and the first is not.
    await asyncio.to_thread(check_all, range(10_001))
    known.clear()
    await asyncio.to_thread(check_all, (10_000, 0))

    assert known == ['"e"', None]


async def test_the_token_is_sent_when_it_is_set(github_is: GitHubIs, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(text="[]")

    await github_is(answer)
    for token in ("", " t0ken\n"):
        monkeypatch.setenv("GITHUB_TOKEN", token)
        await too_many()

    assert seen == [None, "Bearer t0ken"]


@pytest.mark.parametrize("token", ["t0\nken", "t0 ken", "t0k\u201den"])
async def test_a_token_that_no_header_can_hold_is_refused_without_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", token)

    answer = await too_many()

    assert answer == {"refused": "the app setting GITHUB_TOKEN holds a character that no token has"}


async def test_another_github_must_be_an_http_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "ftp://localhost")

    assert await too_many() == {"refused": "the app setting GITHUB_API_URL is not an http(s) URL"}


async def test_without_a_setting_it_is_github_s_own_api(
    refusing_proxy: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "")

    assert await too_many() is None
    assert refusing_proxy == [["CONNECT", "api.github.com:443"]]


async def test_a_slash_at_the_end_of_the_url_does_no_harm(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", f"{sandbox.github_url}/")

    assert await too_many(1) is True
