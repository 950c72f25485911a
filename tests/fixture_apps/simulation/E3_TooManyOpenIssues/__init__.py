"""Asks the simulated GitHub, which takes its time."""

from tests.simulation.world import current


async def main(check: dict) -> bool | None:
    return await current().github.exceeds(check["repo"], check["threshold"])
