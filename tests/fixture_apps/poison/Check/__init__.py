"""A check that finds nothing."""


def main(what: str) -> bool:
    return False
