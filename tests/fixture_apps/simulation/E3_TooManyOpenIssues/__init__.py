"""Asks the simulated GitHub, which takes its time."""

from tests.simulation.world import current


async def main(check: dict) -> bool | dict[str, str] | None:
    return await current().github.exceeds(check["repo"], check["threshold"])
