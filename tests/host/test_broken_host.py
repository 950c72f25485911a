"""A bug of the host's own must not leave its callers waiting."""

import asyncio
from pathlib import Path

import pytest

from durable_host import Host, RealClock
from durable_host.errors import HostError

GOLDEN_APP = Path(__file__).parents[1] / "fixture_apps" / "golden"


def broken(*_: object) -> None:
    raise ZeroDivisionError("a bug")


async def test_whoever_waits_and_whoever_comes_is_told_that_the_host_has_stopped(tmp_path: Path) -> None:
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", on_episode=broken) as host:
        instance_id = await host.start("T_Wait")

        for call in (host.wait(instance_id), host.idle(), host.start("T_Wait"), host.run()):
            with pytest.raises((HostError, ZeroDivisionError), match="a bug"):
                await call


def test_one_clock_serves_hosts_in_two_event_loops(tmp_path: Path) -> None:
    clock = RealClock()

    async def serve(name: str) -> str:
        async with Host(GOLDEN_APP, hub=tmp_path / name, clock=clock) as host:
            return str((await host.wait(await host.start("T_Instant")))["runtimeStatus"])

    assert [asyncio.run(serve("one.db")), asyncio.run(serve("two.db"))] == ["Completed", "Completed"]
