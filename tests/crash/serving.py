"""A host in a process of its own, on real time, until somebody kills it."""

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from durable_host import Host


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host runs: the app and its settings, the hub's file, and the port."""

    app: Path
    settings: Mapping[str, str]
    hub: Path
    port: int


def serve(place: Place) -> None:
    """Run a host until the process is killed."""
    logging.disable()
    os.environ.update(place.settings)
    asyncio.run(_serve(place))


async def _serve(place: Place) -> None:
    async with Host(place.app, hub=place.hub, port=place.port, in_process=True) as host:
        await host.run()
