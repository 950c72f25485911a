"""Always fails."""


def main(value: int) -> int:
    raise RuntimeError(f"{value} is refused")
