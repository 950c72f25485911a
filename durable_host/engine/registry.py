"""What the engine knows of an app: the names that may be called, and host.json's options.

Not here: reading them (`functions`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

HTTP_SLEEP_MS = 30_000


@dataclass(frozen=True, slots=True)
class Options:
    """What host.json says of the engine, under extensions.durableTask.

    Args:
        default_version: of starts and sub-orchestrations that name none.
        http_sleep_ms: what the SDK is told to wait between polls of call_http.
        max_actions: how many actions an orchestrator may ask for in a generation.
        max_episodes: how many episodes may be with the worker at once.
        store_inputs: the history holds the inputs of activities and sub-orchestrations.
    """

    default_version: str | None = None
    http_sleep_ms: int = HTTP_SLEEP_MS
    max_actions: int = 100_000
    store_inputs: bool = False
    max_episodes: int = 64


@dataclass(frozen=True)
class Registry:
    """The names that an orchestrator may call, as the app spells them; letter case does not count in a call."""

    orchestrators: tuple[str, ...]
    activities: tuple[str, ...]
    options: Options = Options()

    @cached_property
    def has_orchestrator(self) -> Callable[[str], bool]:
        """Whether there is an orchestrator of a name in lower case."""
        return frozenset(map(str.lower, self.orchestrators)).__contains__

    @cached_property
    def has_activity(self) -> Callable[[str], bool]:
        """Whether there is an activity of a name in lower case."""
        return frozenset(map(str.lower, self.activities)).__contains__


def missing_function(name: str, kind: str, known: Iterable[str]) -> str:
    """The engine's text for a name that no function of this kind ("orchestrator", "activity") has.

    Source: recorded, start_extension_api. It serves activities too, where the engine would hang for ever.
    """
    names = ", ".join(f"'{each}'" for each in known)
    listing = f"The following are the known {kind} functions: {names}."
    return f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. Additional info: " + (
        listing if names else f"No {kind} functions are currently registered!"
    )
