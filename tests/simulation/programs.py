"""Random programs for the orchestrator `Program`, and what each must come to, whatever breaks on the way."""

import random
from collections.abc import Callable
from typing import Any

Step = tuple[str, Any]

_LONGEST_SLEEP_S = 600


def program(chance: random.Random, name: str, depth: int = 1) -> list[Step]:
    """Up to five steps; `name` tells its flaky activities from those of other programs."""
    make: dict[str, Callable[[int], Any]] = {
        "work": lambda _: chance.randrange(100),
        "all": lambda _: [chance.randrange(100) for _ in range(chance.randint(1, 4))],
        "flaky": lambda place: f"{name}.{place}",
        "refused": lambda _: chance.randrange(100),
        "sleep": lambda _: chance.randint(1, _LONGEST_SLEEP_S),
        "race": lambda _: chance.randint(1, _LONGEST_SLEEP_S),
        "again": lambda _: None,
        "child": lambda place: program(chance, f"{name}.{place}", depth - 1),
    }
    kinds = list(make) if depth else list(make)[:-2]
    return [(kind, make[kind](place)) for place, kind in enumerate(chance.choices(kinds, k=chance.randint(1, 5)))]


def expected(steps: list[Step]) -> list[Any]:
    """The output of a program that was left to run to its end."""
    return [_result(kind, argument) for kind, argument in steps if kind != "again"]


def _result(kind: str, argument: Any) -> Any:
    match kind:
        case "work":
            return argument**2
        case "all":
            return [number**2 for number in argument]
        case "flaky":
            return argument
        case "child":
            return expected(argument)
        case _:
            return {"sleep": "slept", "race": "raced", "refused": "refused"}[kind]
