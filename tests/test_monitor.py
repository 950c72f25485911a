"""The app as a whole, from the POST that starts a monitor to the SMS that it sends or does not send."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from durable_host import Clock, Host
from sandbox.server import Sandbox
from tests.conftest import ROOT, Serve, in_real_time

Answer = Callable[[int], web.Response]

PHONE = "+14255550167"
INSTANCES = "/runtime/webhooks/durabletask/instances"


@pytest.fixture
async def github_says(
    sandbox: Sandbox, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Answer], list[int]]:
    """Puts GitHub's answer to check 1, 2, ... in a test's hand; the list grows with each.

    It comes before the host among a test's arguments: the app's process takes its settings once.
    """
    checks: list[int] = []
    answers: list[Answer] = []

    async def list_issues(_request: web.Request) -> web.Response:
        checks.append(len(checks) + 1)
        return answers[-1](checks[-1])

    def start(answer: Answer) -> list[int]:
        answers.append(answer)
        return checks

    monkeypatch.setenv("GITHUB_API_URL", await serve(list_issues))
    return start


GitHubSays = Callable[[Answer], list[int]]


def issues(number: int) -> web.Response:
    return web.json_response([{"number": number} for number in range(number)])


async def start(client: ClientSession, **changes: Any) -> str:
    request = {"repo": "octo/cat", "phone": PHONE, **changes}
    async with client.post("/orchestrators/E3_Monitor", json=request) as response:
        assert response.status == 202
        instance_id: str = (await response.json())["id"]
    return instance_id


async def test_too_many_open_issues_send_one_sms(host: Host, client: ClientSession, sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)

    status = await host.wait(await start(client))

    [sms] = sandbox.sms
    assert (sms["to"], sms["from"]) == (PHONE, sandbox.settings["TwilioPhoneNumber"])
    assert sms["body"] == "octo/cat has more than 3 open issues: https://github.com/octo/cat/issues"
    assert status["runtimeStatus"] == "Completed"
    assert status["output"] == {"outcome": "alerted", "checks": 1, "message": sms["sid"]}


async def test_a_quiet_repository_expires_without_an_sms(
    host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    instance_id = await start(client)

    await host.wait(instance_id)

    status = await host.status(instance_id, history=True)
    assert status
    assert status["output"] == {"outcome": "expired", "checks": 5}
    assert status["customStatus"]["checks"] == 5
    assert status["customStatus"]["openIssues"] == "not too many"
    assert sandbox.sms == []
    timers = [event["FireAt"] for event in status["historyEvents"] if event["EventType"] == "TimerFired"]
    assert len(timers) == 5
    assert {timer[17:] for timer in timers} == {timers[0][17:]}, "each a whole minute after the one before"


async def test_hours_of_quiet_checks_end_in_an_sms_when_the_issues_come(
    github_says: GitHubSays, host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    checks = github_says(lambda check: issues(4 if check == 60 else 3))

    instance_id = await start(client, interval_seconds=300, expiry_seconds=86_400)
    status = await host.wait(instance_id, timeout_s=50)

    assert status["output"] == {"outcome": "alerted", "checks": 60, "message": sandbox.sms[0]["sid"]}
    assert len(checks) == 60
    assert len(sandbox.sms) == 1


async def test_a_poll_costs_the_same_however_long_the_monitor_runs(
    github_says: GitHubSays, host: Host, client: ClientSession
) -> None:
    github_says(lambda _check: issues(0))

    instance_id = await start(client, interval_seconds=60, expiry_seconds=35 * 60)
    await host.wait(instance_id, timeout_s=50)

    status = await host.status(instance_id, history=True)
    assert status
    assert status["output"] == {"outcome": "expired", "checks": 35}
    assert len(status["historyEvents"]) <= 60
    carried = json.loads(status["input"])["progress"]
    assert carried["checks"] == 24
    assert carried["expires"] == status["customStatus"]["expires"]


async def test_github_s_bad_hours_end_nothing(
    github_says: GitHubSays, host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    def answer(check: int) -> web.Response:
        return web.Response(status=500 if check < 20 else 404) if check < 30 else issues(5)

    github_says(answer)

    status = await host.wait(await start(client, expiry_seconds=3_600))

    assert status["output"] == {"outcome": "alerted", "checks": 30, "message": sandbox.sms[0]["sid"]}
    assert status["customStatus"]["openIssues"] == "unknown"
    assert status["customStatus"]["lastError"] == (
        "GitHub finds no repository octo/cat (404): check its name; a private one needs GITHUB_TOKEN"
    )


async def test_a_repository_that_is_not_there_fails_the_monitor_at_once(
    host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.set_repository("octo/cat", status=404)

    status = await host.wait(await start(client))

    assert status["runtimeStatus"] == "Failed"
    assert status["output"] == (
        "Orchestrator function 'E3_Monitor' failed: GitHub finds no repository octo/cat (404): check its name; "
        "a private one needs GITHUB_TOKEN"
    )


async def test_an_sms_that_twilio_refuses_ends_the_monitor(
    host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)
    sandbox.set_twilio(status=400)

    status = await host.wait(await start(client))

    assert status["runtimeStatus"] == "Completed"
    assert status["output"]["outcome"] == "alert refused"
    assert status["output"]["reason"].startswith("Twilio refused it with error 21608: The number +1425*****67 is")


@pytest.mark.parametrize("fault", ["429", "no connection"])
async def test_an_sms_that_was_certainly_not_sent_is_tried_again_until_it_is(
    sandbox: Sandbox,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    in_process: bool,
    tmp_path: Path,
    unused_tcp_port: int,
    fault: str,
) -> None:
    attempts = []
    twilio = sandbox if fault == "429" else Sandbox(port=unused_tcp_port)

    async def github(_request: web.Request) -> web.Response:
        attempts.append(clock.now())
        if len(attempts) == 30:
            if fault == "429":
                sandbox.set_twilio(status=None)
            else:
                await later.enter_async_context(twilio)
        return issues(5)

    monkeypatch.setenv("GITHUB_API_URL", await serve(github))
    if fault == "429":
        sandbox.set_twilio(status=429)
    else:
        monkeypatch.setenv("TWILIO_API_URL", f"http://localhost:{unused_tcp_port}/twilio")

    async with (
        AsyncExitStack() as later,
        Host(ROOT, hub=tmp_path / "hub.db", clock=clock, in_process=in_process) as host,
        ClientSession(host.url) as client,
    ):
        status = await host.wait(await start(client, interval_seconds=3_600, expiry_seconds=86_400))

    assert len(twilio.sms) == 1
    assert status["output"] == {"outcome": "alerted", "checks": 30, "message": twilio.sms[0]["sid"]}
    waits_s = [(after - before).total_seconds() for before, after in pairwise(attempts)]
    assert 55 < min(waits_s) <= max(waits_s) < 65


async def test_a_twilio_that_is_out_until_the_expiry_is_told_at_the_end(
    host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)
    sandbox.set_twilio(status=429)

    status = await host.wait(await start(client))

    assert status["output"] == {
        "outcome": "expired",
        "checks": 5,
        "lastError": "Twilio has too many requests (429)",
    }


async def test_a_rate_limit_at_the_first_check_fails_nothing(
    host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.set_repository("octo/cat", status="secondary rate limit")

    status = await host.wait(await start(client))

    assert status["output"] == {"outcome": "expired", "checks": 5}
    assert status["customStatus"]["openIssues"] == "unknown"


async def test_an_sms_that_may_have_been_sent_is_not_tried_again(
    host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)
    sandbox.set_twilio(status="lost reply")

    status = await host.wait(await start(client))

    assert status["output"] == {"outcome": "alert unconfirmed", "checks": 1}
    assert len(sandbox.sms) == 1


async def test_a_monitor_that_continued_as_new_and_is_restarted_expires(
    host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    instance_id = await start(client, expiry_seconds=13 * 60)
    await host.wait(instance_id)
    sandbox.set_repository("octo/cat", open_issues=5)

    async with client.post(f"{INSTANCES}/{instance_id}/restart") as response:
        restarted: str = (await response.json())["id"]

    assert restarted != instance_id
    assert (await host.wait(restarted))["output"] == {"outcome": "expired", "checks": 12}
    assert sandbox.sms == []


@in_real_time
async def test_a_terminated_monitor_sends_nothing(host: Host, client: ClientSession, sandbox: Sandbox) -> None:
    instance_id = await start(client)
    await host.idle()
    sandbox.set_repository("octo/cat", open_issues=5)

    await host.terminate(instance_id, "enough")

    assert (await host.wait(instance_id))["runtimeStatus"] == "Terminated"
    await host.advance(600)
    assert sandbox.sms == []


@in_real_time
async def test_in_real_time_too(host: Host, client: ClientSession, sandbox: Sandbox) -> None:
    instance_id = await start(client, interval_seconds=1, expiry_seconds=8)
    await host.idle()
    quiet = await host.status(instance_id)
    sandbox.set_repository("octo/cat", open_issues=4)

    status = await host.wait(instance_id)

    assert quiet
    assert quiet["customStatus"]["checks"] == 1
    assert status["output"] == {"outcome": "alerted", "checks": 2, "message": sandbox.sms[0]["sid"]}


@in_real_time
async def test_in_real_time_a_quiet_repository_expires(
    host: Host, client: ClientSession, sandbox: Sandbox
) -> None:
    instance_id = await start(client, interval_seconds=1, expiry_seconds=2)

    status = await host.wait(instance_id)

    assert status["output"] == {"outcome": "expired", "checks": 2}
    assert sandbox.sms == []


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_the_only_thread_is_free_again_after_answers_without_an_end(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox.set_repository("octo/cat", status="drip")
    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "1")
    request = {"repo": "octo/cat", "phone": PHONE, "interval_seconds": 86_400, "expiry_seconds": 2_592_000}

    async with Host(ROOT, hub=tmp_path / "hub.db", in_process=True) as host:
        monitors = [await host.start("E3_Monitor", request) for _ in range(3)]
        await asyncio.wait_for(host.idle(), 100)
        statuses = [await host.status(each) for each in monitors]

    assert [status and status["customStatus"]["openIssues"] for status in statuses] == ["unknown"] * 3
