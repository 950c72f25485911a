"""Fuzzing over HTTP, by schemathesis: what docs/openapi.yaml allows, what it does not, and where links lead."""

import asyncio

import pytest
from aiohttp import web

from durable_host import Clock, Host, RealClock
from tests.conftest import Serve, rounds
from tests.hostile.conftest import Count


@pytest.fixture
def clock() -> Clock:
    """Monitors stay between two checks, so that there is something to suspend."""
    return RealClock()


async def no_issues(request: web.Request) -> web.Response:
    return web.json_response([])


@rounds(1, soak=35)
async def test_no_answer_is_other_than_the_document_says(
    rounds: int, host: Host, serve: Serve, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    # Each repository is there, and is quiet, so that its monitor goes on.
    monkeypatch.setenv("GITHUB_API_URL", await serve(no_issues))

    from tests.hostile import odd_requests  # Not at the top: each process of pytest would import schemathesis.

    fuzzed = await asyncio.to_thread(odd_requests.fuzz, host.url, rounds)

    assert fuzzed.problems == []
    assert fuzzed.phases == dict.fromkeys(odd_requests.PHASES, odd_requests.SUCCESS)
    count(fuzzed.cases)
    if rounds > 10:
        odd_requests.assert_it_came_everywhere(fuzzed)
