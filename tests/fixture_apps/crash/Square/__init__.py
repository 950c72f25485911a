"""Squares a number."""


def main(value: int) -> int:
    return value * value
