"""Runs what it is given: the body of a coroutine, as Python."""

from textwrap import indent


async def main(what: str):
    names = {}
    exec(f"async def activity():\n{indent(what, '    ')}", names)
    return await names["activity"]()
