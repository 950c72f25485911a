"""The host is killed at random moments while many clients start instances, again and again on the same hub."""

import asyncio
import itertools
import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from durable_host.hub.taskhub import TaskHub
from tests.conftest import rounds
from tests.crash.conftest import SandboxProcess
from tests.crash.scenario import INSTANCES, ORCHESTRATORS
from tests.crash.serving import Place, serve
from tests.processes import Running, running

CLIENTS = 8
LONGEST_LIFE_S = 0.3
FINISHED = ("Completed", "Failed", "Terminated")
ALERTED = {"outcome": "alerted", "checks": 1}
EXPIRED = {"outcome": "expired", "checks": 1}
OUTPUTS: dict[str, Any] = {"busy": ALERTED, "quiet": EXPIRED, "fan-out": [[1, 4], [9]]}


async def moment(seconds: float) -> None:
    await asyncio.sleep(seconds)  # noqa: TID251 - The host runs on real time, and dies at a moment of it.


@dataclass
class Load:
    """Clients that start instances one after the other, and keep what was acknowledged."""

    session: ClientSession
    acknowledged: list[str] = field(default_factory=list)
    is_over: bool = False

    async def run(self, client: int) -> None:
        for number in itertools.count():
            if self.is_over:
                return
            kind = list(OUTPUTS)[number % len(OUTPUTS)]
            await self._start(f"{kind}-{client}-{number}", kind)

    async def _start(self, instance_id: str, kind: str) -> None:
        """Start an instance; where an answer was lost, ask whether it is there before asking again."""
        while True:
            try:
                if await self.status(instance_id) is None:
                    await self._post(instance_id, kind)
                self.acknowledged.append(instance_id)
                return
            except (ClientError, TimeoutError):
                await moment(0.01)  # Until the next host is there.

    async def _post(self, instance_id: str, kind: str) -> None:
        if kind == "fan-out":
            path = f"{ORCHESTRATORS}/FanOut/{instance_id}"
            body: Any = "[[1, 2], [3]]"  # The SDK's orchestrators expect a string that holds JSON.
        else:
            path = f"/orchestrators/E3_Monitor/{instance_id}"
            # A busy one alerts at its first check, however long a slow machine takes to start the next host.
            expiry_s = 1 if kind == "quiet" else 300
            body = {"repo": f"octo/{kind}", "phone": phone(instance_id), "expiry_seconds": expiry_s}
        async with self.session.post(path, json=body) as response:
            assert response.status == 202, await response.text()

    async def status(self, instance_id: str) -> dict[str, Any] | None:
        async with self.session.get(f"{INSTANCES}/{instance_id}") as response:
            if response.status == 404:
                return None
            status: dict[str, Any] = await response.json()
            return status

    async def end(self, instance_id: str) -> dict[str, Any]:
        while True:
            status = await self.status(instance_id)
            assert status is not None, f"{instance_id} is gone"
            if status["runtimeStatus"] in FINISHED:
                return status
            await moment(0.05)


def phone(instance_id: str) -> str:
    _, client, number = instance_id.rsplit("-", 2)
    return f"+1425{client}{number:0>6}"


def inspect(hub: Path, acknowledged: list[str], scratch: Path) -> list[str]:
    """Look at a copy of what a dead host left: the instances whose alert the next host sends again."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for file in hub.parent.glob(f"{hub.name}*"):
        shutil.copy(file, scratch)
    copy = scratch / hub.name
    with TaskHub(copy) as left:
        lost = [instance_id for instance_id in acknowledged if left.record(instance_id) is None]
        again = [each.instance_id for each in left.activities() if each.name == "E3_SendAlert"]
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert lost == []
    return again


async def wait_for_end(process: BaseProcess) -> None:
    while process.is_alive():
        await moment(0.001)


@rounds(8, soak=200)
async def test_a_host_that_is_killed_under_load_loses_nothing_that_it_acknowledged(
    rounds: int,
    crash_app: Path,
    sandbox_process: SandboxProcess,
    processes: ForkServerContext,
    scratch: Path,
    unused_tcp_port: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = Place(crash_app, sandbox_process.settings, scratch / "hub" / "hub.db", unused_tcp_port)
    lives = random.Random(rounds)
    may_repeat: Counter[str] = Counter()

    async with ClientSession(f"http://localhost:{place.port}", timeout=ClientTimeout(30)) as session:
        load = Load(session)
        clients = [asyncio.create_task(load.run(client)) for client in range(CLIENTS)]
        for _ in range(rounds):
            process = processes.Process(target=serve, args=(place,))
            process.start()
            await moment(lives.uniform(0, LONGEST_LIFE_S))
            process.kill()
            await wait_for_end(process)
            assert process.exitcode == -signal.SIGKILL
            may_repeat.update(inspect(place.hub, load.acknowledged, scratch / "copy"))
        last = processes.Process(target=serve, args=(place,))
        last.start()
        load.is_over = True
        await asyncio.gather(*clients)
        ends = {instance_id: await load.end(instance_id) for instance_id in load.acknowledged}
        last.kill()
        await wait_for_end(last)

    with capsys.disabled():
        print(f"\n{rounds} kills, {len(ends)} acknowledged instances, {may_repeat.total()} alerts in flight")
    for instance_id, status in ends.items():
        kind = instance_id.rsplit("-", 2)[0]
        output = status["output"]
        if kind == "busy":
            sent = sandbox_process.sms_to(phone(instance_id))
            assert 1 <= sent <= 1 + may_repeat[instance_id], instance_id
            assert output.pop("message").startswith("SM")
        assert output == OUTPUTS[kind], instance_id


# Real monitors, with the app in a process of its own.


def worker_of(host: Running) -> int:
    """The process that runs the app of a host."""
    [pid] = Path(f"/proc/{host.process.pid}/task/{host.process.pid}/children").read_text().split()
    return int(pid)


async def start_monitor(session: ClientSession, instance_id: str, interval_s: int) -> None:
    body = {"repo": "octo/later", "phone": phone(instance_id), "interval_seconds": interval_s}
    async with session.post(f"/orchestrators/E3_Monitor/{instance_id}", json=body) as response:
        assert response.status == 202, await response.text()


@pytest.mark.parametrize(
    ("monitors", "kills"),
    [(20, 2), pytest.param(300, 5, marks=[pytest.mark.soak, pytest.mark.timeout(600)])],
)
async def test_monitors_end_with_their_sms_though_host_worker_and_both_are_killed(
    monitors: int,
    kills: int,
    crash_app: Path,
    sandbox_process: SandboxProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub = tmp_path / "hub" / "hub.db"
    arguments = ("--script-root", crash_app, "--hub", hub)
    chance = random.Random(monitors)
    may_repeat: Counter[str] = Counter()
    ids = [f"monitor-0-{number}" for number in range(monitors)]

    for kill in range(kills):
        async with running(*arguments, env=sandbox_process.settings) as host:
            if kill == 0:
                async with ClientSession(host.url) as session:
                    await asyncio.gather(*(start_monitor(session, each, 1 + monitors // 60) for each in ids))
            await moment(chance.uniform(0, 1))
            if kill < kills // 2:
                # Checks that are out fail, and the monitors look again.
                os.kill(worker_of(host), signal.SIGKILL)
                await host.until("The worker has ended")
                await moment(chance.uniform(0, 1))
            else:
                sandbox_process.set_open_issues("octo/later", 5)
                await moment(chance.uniform(0, 1))
            worker = worker_of(host) if kill % 2 else None
            assert await host.end(signal.SIGKILL) == -signal.SIGKILL
            if worker is not None:
                with suppress(ProcessLookupError):  # It ends with its host.
                    os.kill(worker, signal.SIGKILL)
        may_repeat.update(inspect(hub, ids, tmp_path / "copy"))
    async with running(*arguments, env=sandbox_process.settings) as host:
        async with asyncio.timeout(500):
            ends = {each: (await host.ended(each))["output"] for each in ids}

    sent = sandbox_process.sms()
    with capsys.disabled():
        print(f"\n{monitors} monitors, {kills} kills, {may_repeat.total()} alerts in flight, {sent.total()} SMS")
    assert {output["outcome"] for output in ends.values()} == {"alerted"}
    for instance_id in ids:
        assert 1 <= sent.pop(phone(instance_id)) <= 1 + may_repeat[instance_id], instance_id
    assert sent == {}
