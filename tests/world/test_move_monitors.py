"""The recipe of docs/scale.md: monitors move from one host to another, none is lost and none alerts twice."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from durable_host import Host, RealClock
from E3_Monitor.monitoring_request import MonitoringRequest
from sandbox.server import Sandbox
from scripts.move_monitors import DEFAULT_EXPIRY_S
from tests.conftest import ROOT, Serve, needs_shell
from tests.processes import run

REQUEST: dict[str, Any] = {
    "repo": "octo/cat",
    "phone": "+14255550100",
    "interval_seconds": 60,
    "expiry_seconds": 3600,
}


@pytest.fixture
async def source(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Host]:
    async with Host(ROOT, hub=tmp_path / "source.db", clock=RealClock(), in_process=True) as host:
        yield host


@pytest.fixture
async def target(source: Host, tmp_path: Path) -> AsyncIterator[Host]:
    async with Host(ROOT, hub=tmp_path / "target.db", clock=RealClock(), in_process=True) as host:
        yield host


class Proxy:
    """In front of a host: breaks a request's way there, or its answer's way back, when told to."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.breaks: Callable[[web.Request], str | None] = lambda _: None

    async def forward(self, request: web.Request) -> web.StreamResponse:
        fault = self.breaks(request)
        if fault == "request":
            return _drop(request)
        body = await request.read()
        url, headers = f"{self._url}{request.path_qs}", {"Content-Type": request.headers["Content-Type"]}
        async with (
            ClientSession() as client,
            client.request(request.method, url, data=body, headers=headers) as answer,
        ):
            text = await answer.text()
        if fault == "answer":
            return _drop(request)
        if fault == "gateway":
            return web.Response(status=502, text="Bad Gateway")
        return web.Response(status=answer.status, text=text, content_type="application/json")


def _drop(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _move(source: str, target: str, *arguments: str, **keys: str) -> tuple[int, list[str]]:
    """Run the script; its exit code and lines, with N for the seconds that a monitor has left."""
    script = ROOT / "scripts" / "move_monitors.py"
    code, output = await run(sys.executable, script, source, target, *arguments, env=keys)
    return code, re.sub(r"\d+ s left", "N s left", output).splitlines()


async def _start(host: Host, instance_id: str, **changes: Any) -> None:
    """Start a monitor, and let it make its first check."""
    await host.start("E3_Monitor", {**REQUEST, **changes}, instance_id)
    await host.idle()


async def _runtime_status(host: Host, instance_id: str) -> str:
    return str((await _status(host, instance_id))["runtimeStatus"])


async def _status(host: Host, instance_id: str) -> dict[str, Any]:
    status = await host.status(instance_id)
    assert status is not None
    return status


async def test_a_moved_monitor_alerts_once_from_its_new_host(source: Host, target: Host, sandbox: Sandbox) -> None:
    await _start(source, "one")
    await source.advance(600)
    before = await _status(source, "one")

    code, lines = await _move(source.url, target.url, "--go")
    sandbox.set_repository("octo/cat", open_issues=5)
    await source.advance(3600)
    await target.advance(120)

    after = await _status(target, "one")
    assert (code, lines[0]) == (0, f"one (octo/cat, N s left): moved to {target.url}")
    # The script takes its time.
    assert 2990 <= json.loads(after["input"])["expiry_seconds"] <= 3000
    assert (await _status(source, "one"))["runtimeStatus"] == "Terminated"
    assert before["customStatus"]["checks"] == 11
    assert after["output"]["outcome"] == "alerted"
    assert len(sandbox.sms) == 1


async def test_a_moved_monitor_keeps_its_request_but_for_the_time_that_has_passed(
    source: Host, target: Host
) -> None:
    await _start(source, "one", threshold=7, interval_seconds=120)
    # Beyond twelve checks, its input has a status beside the request.
    await source.advance(3590 - 1200)

    await _move(source.url, target.url, "--go")

    moved = json.loads((await _status(target, "one"))["input"])
    left = moved.pop("expiry_seconds")
    assert {**moved, "expiry_seconds": 3600} == {**REQUEST, "threshold": 7, "interval_seconds": 120}
    assert 1200 <= left <= 1210


async def test_without_go_nothing_is_done(source: Host, target: Host) -> None:
    await _start(source, "one")

    code, lines = await _move(source.url, target.url)

    assert code == 0
    assert lines == [
        f"one (octo/cat, N s left): would be moved to {target.url}",
        "1 found. Nothing was done: --go does it.",
    ]
    assert (await _status(source, "one"))["runtimeStatus"] == "Running"
    assert await target.status("one") is None


async def test_only_the_monitors_that_are_named_move(source: Host, target: Host) -> None:
    await _start(source, "one")
    await _start(source, "two")

    code, lines = await _move(source.url, target.url, "two", "three", "--go")

    assert code == 1
    assert lines[0] == f"three: no monitor of this id runs at {source.url}"
    assert await target.status("one") is None
    assert await _runtime_status(source, "one") == "Running"
    assert await _runtime_status(target, "two") == "Running"


async def test_all_pages_of_the_list_are_read(source: Host, target: Host) -> None:
    for number in range(101):
        await source.start("E3_Monitor", REQUEST, f"m{number}")
    await source.idle()

    _, lines = await _move(source.url, target.url)

    assert lines[-1] == "101 found. Nothing was done: --go does it."


async def test_a_monitor_whose_first_check_has_no_answer_yet_moves(
    source: Host, target: Host, sandbox: Sandbox
) -> None:
    sandbox.set_repository("octo/cat", status="hang")
    await source.start("E3_Monitor", REQUEST, "one")

    code, _ = await _move(source.url, target.url, "--go")

    assert code == 0
    assert await _runtime_status(source, "one") == "Terminated"
    assert await _runtime_status(target, "one") == "Running"


async def test_one_that_is_sending_its_alert_finishes_where_it_is(
    source: Host, target: Host, sandbox: Sandbox, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def twilio(_request: web.Request) -> web.Response:
        is_asked.set()
        await may_answer.wait()
        return web.json_response({"sid": "SM1"}, status=201)

    monkeypatch.setenv("TWILIO_API_URL", await serve(twilio))
    sandbox.set_repository("octo/cat", open_issues=5)
    await source.start("E3_Monitor", REQUEST, "one")
    await is_asked.wait()

    code, lines = await _move(source.url, target.url, "--go")
    may_answer.set()

    assert (code, lines[0]) == (0, "one (octo/cat, N s left): stays, it is sending its alert")
    assert (await source.wait("one"))["output"] == {"outcome": "alerted", "checks": 1, "message": "SM1"}
    assert await target.status("one") is None


async def test_one_whose_alert_was_not_sent_moves_and_sends_it_there(
    source: Host, target: Host, sandbox: Sandbox
) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)
    sandbox.set_twilio(status=429)
    await _start(source, "one")

    code, _ = await _move(source.url, target.url, "--go")
    await target.idle()
    sandbox.set_twilio(status=None)
    await source.advance(60)
    await target.advance(60)

    assert code == 0
    assert await _runtime_status(source, "one") == "Terminated"
    assert (await _status(target, "one"))["output"]["outcome"] == "alerted"
    assert len(sandbox.sms) == 1


async def test_one_that_the_target_refuses_goes_on_where_it_is(
    source: Host, target: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _start(source, "one")
    monkeypatch.setenv("AllowedPhoneNumbers", "+49*")

    code, lines = await _move(source.url, target.url, "--go")

    assert code == 1
    assert "answered 403 to its start: +1425*****00 is not among the app setting AllowedPhoneNumbers" in lines[0]
    assert await _runtime_status(source, "one") == "Running"
    assert await target.status("one") is None


async def test_an_id_that_is_in_use_at_the_target_stays(source: Host, target: Host) -> None:
    await _start(source, "one")
    await _start(target, "one", repo="octo/dog")

    code, lines = await _move(source.url, target.url, "--go")

    assert (code, lines[0]) == (
        1,
        f"one (octo/cat, N s left): stays, {target.url} runs another monitor of this id",
    )
    assert await _runtime_status(source, "one") == "Running"


async def test_an_id_that_has_ended_at_the_target_is_used_again(source: Host, target: Host) -> None:
    await _start(target, "one")
    await target.terminate("one", "an older one")
    await _start(source, "one")

    code, _ = await _move(source.url, target.url, "--go")

    assert code == 0
    assert await _runtime_status(target, "one") == "Running"


async def test_one_that_somebody_has_suspended_stays_suspended(source: Host, target: Host) -> None:
    await _start(source, "one")
    await source.suspend("one", "until Monday")
    await source.idle()

    code, lines = await _move(source.url, target.url, "--go")

    assert code == 1
    assert "stays, it is suspended (until Monday): resume it first, or end that move" in lines[0]
    assert await _runtime_status(source, "one") == "Suspended"


@pytest.mark.parametrize("fault", ["answer", "gateway"])
async def test_a_start_whose_answer_is_lost_is_not_made_twice(
    source: Host, target: Host, serve: Serve, fault: str
) -> None:
    proxy = Proxy(target.url)
    url = await serve(proxy.forward)
    proxy.breaks = lambda request: fault if request.method == "POST" else None
    await _start(source, "one")

    code, _ = await _move(source.url, url, "--go")
    await target.idle()

    assert code == 0
    assert await _runtime_status(source, "one") == "Terminated"
    assert await _runtime_status(target, "one") == "Running"


async def test_a_move_that_broke_off_after_the_start_is_finished_by_the_next_run(
    source: Host, target: Host, serve: Serve, sandbox: Sandbox
) -> None:
    proxy = Proxy(target.url)
    url = await serve(proxy.forward)
    is_started = []

    def breaks(request: web.Request) -> str | None:
        is_started.extend([True] * (request.method == "POST"))
        return "answer" if is_started else None

    proxy.breaks = breaks
    await _start(source, "one")

    broken_code, broken_lines = await _move(source.url, url, "--go")
    broken_status = await _runtime_status(source, "one")
    # By the time of the next run, it has alerted at the target, and must not be started there again.
    sandbox.set_repository("octo/cat", open_issues=5)
    await target.advance(60)
    proxy.breaks = lambda _: None
    code, _ = await _move(source.url, url, "--go")
    await target.idle()

    assert (broken_code, broken_status) == (1, "Suspended")
    assert "it may be suspended, run this again to go on" in broken_lines[0]
    assert code == 0
    assert await _runtime_status(source, "one") == "Terminated"
    assert (await _status(target, "one"))["output"]["outcome"] == "alerted"
    assert len(sandbox.sms) == 1


async def test_a_move_that_broke_off_before_the_start_is_made_by_the_next_run(
    source: Host, target: Host, serve: Serve
) -> None:
    proxy = Proxy(target.url)
    url = await serve(proxy.forward)
    proxy.breaks = lambda request: "request" if request.method == "POST" else None
    await _start(source, "one")

    broken_code, _ = await _move(source.url, url, "--go")
    broken_status = await _runtime_status(source, "one")
    proxy.breaks = lambda _: None
    code, _ = await _move(source.url, url, "--go")

    assert (broken_code, broken_status) == (1, "Suspended")
    assert code == 0
    assert await _runtime_status(source, "one") == "Terminated"
    assert await _runtime_status(target, "one") == "Running"


async def test_one_that_ran_out_of_time_during_a_broken_move_is_resumed(
    source: Host, target: Host, serve: Serve
) -> None:
    proxy = Proxy(target.url)
    url = await serve(proxy.forward)
    proxy.breaks = lambda request: "request" if request.method == "POST" else None
    await _start(source, "one")
    await _move(source.url, url, "--go")
    await source.advance(4000)
    proxy.breaks = lambda _: None

    code, lines = await _move(source.url, url, "--go")
    await source.idle()

    assert (code, lines[0]) == (0, "one (octo/cat, N s left): stays, it expires now")
    assert (await _status(source, "one"))["output"]["outcome"] == "expired"
    assert await target.status("one") is None


async def test_a_host_that_asks_for_a_key_gets_the_one_of_its_variable(sandbox: Sandbox, tmp_path: Path) -> None:
    async with (
        Host(ROOT, hub=tmp_path / "source.db", clock=RealClock(), address="0.0.0.0", in_process=True) as source,
        Host(ROOT, hub=tmp_path / "target.db", clock=RealClock(), address="0.0.0.0", in_process=True) as target,
    ):
        await _start(source, "one")

        without_code, without = await _move(source.url, target.url, "--go")
        keys = {"MOVE_FROM_KEY": source.hub.key, "MOVE_TO_KEY": target.hub.key}
        code, _ = await _move(source.url, target.url, "--go", **keys)

        assert without_code == 1
        assert without[0].endswith("it answered 401, set MOVE_FROM_KEY and MOVE_TO_KEY (--help)")
        assert code == 0
        assert await _runtime_status(target, "one") == "Running"


@needs_shell
async def test_the_recipe_by_hand_moves_one(source: Host, target: Host) -> None:
    await _start(source, "one")
    recipe = (ROOT / "docs" / "scale.md").read_text().split("By hand:\n\n```bash\n")[1].split("```")[0]
    for placeholder, value in (("/ID", "/one"), ("LEFT", "3000"), ('"repo": "..."', '"repo": "octo/cat"')):
        recipe = recipe.replace(placeholder, value)
    recipe = recipe.replace('"phone": "..."', f'"phone": "{REQUEST["phone"]}"')

    code, output = await run("bash", "-ec", recipe, env={"FROM": source.url, "TO": target.url})
    await source.idle()

    assert (code, '"statusQueryGetUri"' in output) == (0, True)
    assert await _runtime_status(source, "one") == "Terminated"
    assert await _runtime_status(target, "one") == "Running"


def test_a_request_without_an_expiry_has_the_apps_default() -> None:
    assert MonitoringRequest("octo/cat", "+14255550100").expiry_seconds == DEFAULT_EXPIRY_S
