"""Runs what it is given: the body of a function, as Python."""

from textwrap import indent


def main(what: str):
    names = {}
    exec(f"def activity():\n{indent(what, '    ')}", names)
    return names["activity"]()
