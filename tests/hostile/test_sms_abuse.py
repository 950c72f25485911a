"""SMS abuse: whom to text, how often and in which words is not for a caller to choose beyond what is allowed."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession
from hypothesis import example, given, settings
from hypothesis import strategies as st

from durable_host import Clock, Host, RealClock
from durable_host.http.webhooks import BASE, RPC_BASE
from E3_Monitor.monitoring_request import InvalidRequest, MonitoringRequest
from sandbox.server import Sandbox
from tests.hostile.conftest import Count

MONITOR = "/orchestrators/E3_Monitor"
ALLOWED = "+14255550*, +4915112345678"
# Premium and shared-cost numbers, satellites, short codes, other channels of Twilio's, and what is no number.
NOT_ALLOWED = [
    *(
        "+19005550100",
        "+18095550100",
        "+449098790123",
        "+4990012345678",
        "+33899123456",
        "+881612345678",
        "+97912345",
    ),
    *("+1425555", "+142555", "+1425555100", "+14255551000", "+491511234567", "+49151123456789", "+4915112345679"),
    *("+38", "+12345", "+10", "+99999999999999"),
]
NO_NUMBERS = [
    *("12345", "911", "0", "", "+", "+0", "++14255550100", "14255550100", "0014255550100", "+1 425 555 0100"),
    *(
        "+1-425-555-0100",
        "+1(425)5550100",
        "+14255550100 ",
        " +14255550100",
        "+14255550100\n",
        "+14255550100\r\n+19005550100",
    ),
    *(
        "+14255550100,+19005550100",
        "+14255550100;+19005550100",
        "+14255550100x900",
        "+14255550100;ext=900",
        "*",
        "+*",
    ),
    *(
        "+1425555010\u0660",
        "+\u0661\u0664255550100",
        "+\uff11\uff14255550100",
        "+14255550100\u200b",
        "\u202e+14255550100",
    ),
    *(
        "tel:+14255550100",
        "sms:+14255550100",
        "whatsapp:+14255550100",
        "messenger:1",
        "client:x",
        "SAM",
        "MG" + "0" * 32,
    ),
    *(
        "+14255550100\0",
        "+14255550100%00",
        "+1425555010000000",
        "+" + "1" * 16,
        "+1e10",
        "+14255550100/../+1900",
        "+\uff11",
    ),
    *(None, 14255550100, 1.4e10, True, ["+14255550100"], {"to": "+14255550100"}, ["+14255550100", "+19005550100"]),
]


PROGRESS = {"checks": 12, "nextCheck": "2100-01-01T00:00:00+00:00", "expires": "2100-01-02T00:00:00+00:00"}


async def by_http_start(host: Host, client: ClientSession, request: Any) -> str | None:
    async with client.post(MONITOR, json=request) as answer:
        return (await answer.json())["id"] if answer.status == 202 else None


def by_post(path: str, is_text: bool) -> Callable[[Host, ClientSession, Any], Awaitable[str | None]]:
    async def start(host: Host, client: ClientSession, request: Any) -> str | None:
        body = json.dumps(json.dumps(request) if is_text else request)
        async with client.post(f"{path}{MONITOR}", data=body) as answer:
            assert answer.status == 202
            return str((await answer.json())["id"])

    return start


async def by_the_sdk(host: Host, client: ClientSession, request: Any) -> str | None:
    return await host.start("E3_Monitor", request)


async def by_a_restart(host: Host, client: ClientSession, request: Any) -> str | None:
    instance_id = await host.start("E3_Monitor", request)
    await host.wait(instance_id)
    async with client.post(f"{BASE}/instances/{instance_id}/restart") as answer:
        return str((await answer.json())["id"])


async def by_a_next_generation(host: Host, client: ClientSession, request: Any) -> str | None:
    return await host.start("E3_Monitor", {"request": request, "progress": PROGRESS})


async def by_a_next_generation_of_an_earlier_version(
    host: Host, client: ClientSession, request: Any
) -> str | None:
    return await host.start("E3_Monitor", {**request, "status": PROGRESS})


PATHS = [
    by_http_start,
    *(by_post(path, is_text) for path in (BASE, RPC_BASE) for is_text in (True, False)),
    by_the_sdk,
    by_a_restart,
    by_a_next_generation,
    by_a_next_generation_of_an_earlier_version,
]


async def test_no_path_leads_to_a_number_that_is_not_allowed(
    host: Host, client: ClientSession, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    monkeypatch.setenv("AllowedPhoneNumbers", ALLOWED)
    sandbox.set_repository("octo/cat", open_issues=5)

    async def attempt(start: Callable[[Host, ClientSession, Any], Awaitable[str | None]], phone: Any) -> None:
        instance_id = await start(host, client, {"repo": "octo/cat", "phone": phone})
        if instance_id is not None:
            status = await host.wait(instance_id, timeout_s=50)
            # What is a number is taken, and no alert goes to it; what is none is refused at the start.
            assert phone in NOT_ALLOWED or status["runtimeStatus"] == "Failed"
            assert status["runtimeStatus"] == "Failed" or status["output"]["outcome"] == "alert refused"
            assert not isinstance(phone, str) or len(phone) < 6 or phone not in str(status["output"])

    cases = [(start, phone) for start in PATHS for phone in (*NOT_ALLOWED, *NO_NUMBERS)]
    await asyncio.gather(*(attempt(start, phone) for start, phone in cases))
    assert sandbox.sms == []

    for start in PATHS:
        instance_id = await start(host, client, {"repo": "octo/cat", "phone": "+14255550100"})
        assert instance_id is not None
        await host.wait(instance_id)
    texted = [sms["to"] for sms in sandbox.sms]
    assert set(texted) == {"+14255550100"}
    count(len(cases) + len(PATHS))


@pytest.mark.parametrize("clock_class", [RealClock])
async def test_a_number_that_is_taken_off_the_list_is_not_texted_by_a_monitor_that_runs(
    host: Host, client: ClientSession, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    instance_id = await by_http_start(host, client, {"repo": "octo/cat", "phone": "+14255550100"})
    assert instance_id is not None
    await host.idle()

    monkeypatch.setenv("AllowedPhoneNumbers", "+49*")
    sandbox.set_repository("octo/cat", open_issues=5)
    await host.skip()

    assert (await host.wait(instance_id))["output"]["outcome"] == "alert refused"
    assert sandbox.sms == []


@pytest.mark.parametrize("clock_class", [RealClock])
async def test_one_id_started_200_times_at_once_sends_once(
    host: Host, client: ClientSession, sandbox: Sandbox, count: Count
) -> None:
    # A monitor ends with its alert, and its id is free then: so the repository is quiet until all have asked.
    request = {"repo": "octo/cat", "phone": "+14255550100"}

    async def start(number: int) -> int:
        path = f"{MONITOR}/mine" if number % 2 else f"{BASE}{MONITOR}/mine"
        async with client.post(path, data=json.dumps(request if number % 2 else json.dumps(request))) as answer:
            return answer.status

    answers = await asyncio.gather(*(start(number) for number in range(200)))
    sandbox.set_repository("octo/cat", open_issues=5)
    await host.skip()
    await host.wait("mine")

    assert sorted(answers) == [202, *[409] * 199]
    assert [sms["to"] for sms in sandbox.sms] == ["+14255550100"]
    count(200)


# What is said.


@settings(max_examples=100, deadline=None)
@example("octo/cat").via("the usual one")
@example("github.com/evil.example")
@example("a@evil.example/x")
@example("evil.example#/x")
@example("x/..")
@example("o/%0aHello")
@example("o/x?u=//evil.example")
@given(
    st.text(max_size=60)
    | st.from_regex(r"[A-Za-z0-9_-]{1,40}/[A-Za-z0-9._-]{1,101}", fullmatch=True)
    | st.from_regex(r"\A[a-z@:#?%./\\-]{1,20}/[a-z@:#?%./\\-]{1,20}\Z")
)
def test_a_repository_is_all_that_a_caller_may_put_into_the_text(repo: str) -> None:
    try:
        request = MonitoringRequest.parse({"repo": repo, "phone": "+14255550100"})
    except InvalidRequest:
        return

    url = urlsplit(f"https://github.com/{request.repo}/issues")
    assert (url.hostname, url.username, url.query, url.fragment) == ("github.com", None, "", "")
    assert url.path == f"/{repo}/issues"
    # GitHub knows no owner with a dot in it, so no text begins with another site's name.
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}", repo)
    assert not {".", ".."} & set(repo.split("/"))


async def test_nothing_else_that_a_caller_sends_reaches_the_text(
    host: Host, client: ClientSession, sandbox: Sandbox, count: Count
) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)
    request: dict[str, Any] = {"repo": "octo/cat", "phone": "+14255550100"}
    more: list[dict[str, Any]] = [
        *(dict.fromkeys(("text", "body", "message", "from", "url", "link", "status", "Body"), "Call +1900"),),
        *({name: "Call +1900"} for name in ("text", "body", "message", "from", "url", "mediaUrl", "status", "")),
        *(
            {"threshold": each}
            for each in ("3\r\nCall +1900", "3", 3.5, True, None, [3], {"a": 3}, -1, "\u0663", 1_001, 10**4_000)
        ),
        *({"interval_seconds": each} for each in ("60", 0, 86_401, 1.5, None)),
        *({"expiry_seconds": each} for each in ("60", 0, 2_592_001, 1.5, None)),
    ]

    for extra in more:
        assert await by_http_start(host, client, request | extra) is None
        for start in PATHS[1:-1]:
            instance_id = await start(host, client, request | extra)
            assert instance_id is not None
            assert (await host.wait(instance_id))["runtimeStatus"] == "Failed"
    for name in ("E3_SendAlert", "E3_TooManyOpenIssues", "HttpStart", "e3_sendalert"):
        alert = {**request, "threshold": 3, "message": "Call +1900"}
        instance_id = await host.start(name, alert)
        assert (await host.wait(instance_id))["runtimeStatus"] == "Failed"
    assert sandbox.sms == []

    count(len(more) * len(PATHS[:-1]) + 4)
