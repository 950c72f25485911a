"""Always fails."""


def main(number: int) -> int:
    raise ValueError(f"{number} is refused")
