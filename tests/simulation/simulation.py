"""One seed's run: clients, crashes and restarts on one hub, until all has ended; and many seeds, each by itself.

Not here: the world (`world`), the clients (`clients`), and what must hold (`invariants`).
"""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from durable_host import Host, HostError
from durable_host.dispatch.drivers import AtOnce
from durable_host.engine.events import Status
from durable_host.errors import HubError, InstanceFinished, NotAllowed
from durable_host.hub.records import Filter
from durable_host.hub.taskhub import TaskHub
from tests.conftest import APPS, ROOT
from tests.simulation.clients import Client, Ledger
from tests.simulation.invariants import Invariants
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Report:
    """What a seed came to: the broken invariants, and a line for each thing that happened."""

    seed: int
    violations: tuple[str, ...]
    log: tuple[str, ...]

    def __str__(self) -> str:
        problems = "".join(f"\n    {each}" for each in self.violations) or " holds"
        return f"seed {self.seed}:{problems}"


@contextmanager
def simulated_app() -> Iterator[tuple[Path, Path]]:
    """The app of the simulation, with the real E3_Monitor, and the hub's file; in memory where that can be."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        app = Path(folder) / "app"
        shutil.copytree(APPS / "simulation", app)
        shutil.copytree(ROOT / "E3_Monitor", app / "E3_Monitor")
        yield app, Path(folder) / "hub.db"


def simulate(seed: int, app: Path, hub: Path) -> Report:
    """Play a seed on a new hub."""
    for file in hub.parent.glob(f"{hub.name}*"):
        file.unlink()
    logging.disable()  # The host reports the disk's bad moments.
    try:
        world = asyncio.run(_simulate(seed, app, hub))
    finally:
        logging.disable(logging.NOTSET)
    return Report(seed, tuple(world.violations), tuple(world.log))


async def _simulate(seed: int, app: Path, hub: Path) -> World:
    world, ledger = World(seed), Ledger()
    world.new_life()
    clients = [Client(name, world, ledger) for name in "ABC"]
    invariants = Invariants(world, ledger)
    try:
        while not await _live(app, hub, world, clients, invariants):
            world.note("the host died")
            with TaskHub(hub) as left:
                invariants.check_hub(left)
                alerts = [each.input_text or "" for each in left.activities() if each.name == "E3_SendAlert"]
            if world.violations:
                break
            world.twilio.host_died(alerts)
            world.downtime()
            world.new_life()
    except HostError as error:
        world.violated(str(error))
    return world


async def _live(app: Path, hub: Path, world: World, clients: list[Client], invariants: Invariants) -> bool:
    """Run a host until it dies, or all has come to its end: whether it has."""
    clock = world.clock
    host = Host(app, hub=hub, clock=clock, executor=AtOnce(), on_episode=invariants.on_episode)
    async with host:
        host.hub.trace(world.disk.statement)
        death = asyncio.create_task(clock.died.wait())
        life = asyncio.create_task(host.run())  # It ends when the host breaks.
        work = asyncio.create_task(_work(host, world, clients))
        tasks = (death, life, work)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if clock.died.is_set():
                return False
            if life.done():
                world.violated(f"the host broke: {life.exception()!r}")
                return True
            await work
        finally:
            host.hub.trace(None)
            world.disk.mend()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await invariants.check_end(host)
    return True


async def _work(host: Host, world: World, clients: list[Client]) -> None:
    """Have the clients ask for all they want, and wait until everything has ended."""
    await asyncio.gather(*(client.run(host) for client in clients))
    while live := [each for each in host.instances.page(Filter(), "", 1000) if not each.status.is_terminal]:
        for record in live:
            if record.status is Status.Suspended:
                with suppress(HubError, InstanceFinished, NotAllowed):
                    await host.resume(record.id)
        await world.pause(longest_s=100)
    await host.idle()
