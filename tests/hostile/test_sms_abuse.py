"""SMS abuse: whom to text, how often and in which words is not for a caller to choose beyond what is allowed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Clock, Host
from durable_host.http.webhooks import BASE, RPC_BASE
from sandbox.server import Sandbox
from tests.conftest import in_real_time
from tests.hostile.conftest import Count

REQUEST = {"repo": "octo/cat", "phone": "+14255550100"}
Start = Callable[[Host, ClientSession, Any], Awaitable[str | None]]
MONITOR = "/orchestrators/E3_Monitor"
PROGRESS = {"checks": 12, "nextCheck": "2100-01-01T00:00:00+00:00", "expires": "2100-01-02T00:00:00+00:00"}


async def by_http_start(host: Host, client: ClientSession, request: Any) -> str | None:
    async with client.post(MONITOR, json=request) as answer:
        return (await answer.json())["id"] if answer.status == 202 else None


def by_post(path: str, is_text: bool) -> Start:
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


PATHS: list[Start] = [
    by_http_start,
    *(by_post(path, is_text) for path in (BASE, RPC_BASE) for is_text in (True, False)),
    by_the_sdk,
    by_a_restart,
    by_a_next_generation,
    by_a_next_generation_of_an_earlier_version,
]


@pytest.mark.parametrize("start", PATHS)
async def test_no_path_leads_to_a_number_that_is_not_allowed(
    start: Start, host: Host, client: ClientSession, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AllowedPhoneNumbers", "+14255550*")
    sandbox.set_repository("octo/cat", open_issues=5)

    for phone in ("+14255551000", "+14255550100"):
        instance_id = await start(host, client, {**REQUEST, "phone": phone})
        if instance_id is not None:
            output = (await host.wait(instance_id))["output"]
            assert (output["outcome"] == "alerted") is (phone == "+14255550100")
            assert "+14255551000" not in str(output)

    assert {sms["to"] for sms in sandbox.sms} == {"+14255550100"}


@pytest.mark.parametrize("start", PATHS)
async def test_no_path_leads_past_the_check_of_the_request(
    start: Start, host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)
    wrong: list[dict[str, Any]] = [
        *({"phone": each} for each in ("14255550100", "+14255550100,+19005550100", "MG" + "0" * 32, None)),
        *({name: "Call +1900"} for name in ("text", "body", "message", "from", "mediaUrl", "")),
        *({"repo": "octo/cat\nCall +1900"}, {"threshold": "3\r\nCall +1900"}, {"threshold": 10**4_000}),
    ]

    for change in wrong:
        instance_id = await start(host, client, REQUEST | change)
        assert instance_id is None or (await host.wait(instance_id))["runtimeStatus"] == "Failed"

    assert sandbox.sms == []


@pytest.mark.parametrize("name", ["E3_SendAlert", "E3_TooManyOpenIssues", "HttpStart", "e3_sendalert"])
async def test_no_other_function_can_be_started(name: str, host: Host, sandbox: Sandbox) -> None:
    instance_id = await host.start(name, {**REQUEST, "threshold": 3, "message": "Call +1900"})

    assert (await host.wait(instance_id))["runtimeStatus"] == "Failed"
    assert sandbox.sms == []


@in_real_time
async def test_a_number_that_is_taken_off_the_list_is_not_texted_by_a_monitor_that_runs(
    host: Host, client: ClientSession, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    instance_id = await by_http_start(host, client, REQUEST)
    assert instance_id is not None
    await host.idle()

    monkeypatch.setenv("AllowedPhoneNumbers", "+49*")
    sandbox.set_repository("octo/cat", open_issues=5)
    await host.skip()

    assert (await host.wait(instance_id))["output"]["outcome"] == "alert refused"
    assert sandbox.sms == []


@in_real_time
async def test_one_id_started_200_times_at_once_sends_once(
    host: Host, client: ClientSession, sandbox: Sandbox, count: Count
) -> None:
    # A monitor ends with its alert, and its id is free then: so the repository is quiet until all have asked.
    async def start(number: int) -> int:
        path = f"{MONITOR}/mine" if number % 2 else f"{BASE}{MONITOR}/mine"
        async with client.post(path, data=json.dumps(REQUEST if number % 2 else json.dumps(REQUEST))) as answer:
            return answer.status

    answers = await asyncio.gather(*(start(number) for number in range(200)))
    sandbox.set_repository("octo/cat", open_issues=5)
    await host.skip()
    await host.wait("mine")

    assert sorted(answers) == [202, *[409] * 199]
    assert [sms["to"] for sms in sandbox.sms] == ["+14255550100"]
    count(200)
