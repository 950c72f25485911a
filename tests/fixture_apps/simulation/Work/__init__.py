"""Squares a number, after a while."""

from tests.simulation.world import current


async def main(number: int) -> int:
    await current().pause(longest_s=30)
    return number * number
