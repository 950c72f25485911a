"""Whether what many callers at once saw of one instance can be told as a story in which each call took no time.

Every call has taken effect at one instant between its beginning and its answer, and between those the host may
take messages from the instance's queue, one or several in an episode. The model is the engine's, as recorded.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

LIVE = ("Pending", "Running", "Suspended")
ENDED = ("Completed", "Terminated")


@dataclass(frozen=True, slots=True)
class Instance:
    """What the model knows of the one instance; no status is no instance.

    `queue` holds what waits: start, go (what the orchestrator waits for), terminate, suspend, resume. `is_held`
    says that a go came while it was suspended, `is_armed` that a timer will bring one.
    """

    status: str | None = None
    queue: tuple[str, ...] = ()
    is_held: bool = False
    is_armed: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """A call begins, or is answered. A status is answered by its code and runtimeStatus, all else by its code."""

    operation: str
    answer: str | None = None


def calls(state: Instance, operation: str, has_timer: bool) -> tuple[str, Instance]:
    """The answer to a call that takes effect now, and what the instance is then."""
    status = state.status
    is_live = status in LIVE
    # One that sleeps on a timer waits for no event.
    message = "nothing" if has_timer and operation == "go" else operation
    sent = replace(state, queue=(*state.queue, message))
    begun = Instance("Pending", ("start",), is_armed=has_timer)
    table: dict[str, tuple[str, str, str]] = {
        # To an unknown, a live, an ended one.
        "start": ("202", "409", "202"),
        "restart": ("400", "409", "202"),
        "purge": ("404", "412", "200"),
        "rewind": ("404", "412", "412"),
        "go": ("404", "202", "410"),
        "terminate": ("404", "202", "410"),
        "suspend": ("404", "500" if status == "Suspended" else "202", "410"),
        "resume": ("404", "202" if status == "Suspended" else "500", "410"),
        "status": ("404", f"202 {status}", f"200 {status}"),
    }
    answer = table[operation][0 if status is None else 1 if is_live else 2]
    if operation in ("start", "restart"):
        return answer, begun if answer == "202" else state
    if operation == "purge":
        return answer, Instance() if answer == "200" else state
    if operation in ("go", "terminate", "suspend", "resume"):
        return answer, sent if answer == "202" else state
    return answer, state


def steps(state: Instance) -> Iterator[Instance]:
    """What may become of the instance without a call."""
    if state.is_armed and state.status in ("Running", "Suspended"):
        yield replace(state, queue=(*state.queue, "go"), is_armed=False)
    for size in range(1, len(state.queue) + 1):
        batch, rest = state.queue[:size], state.queue[size:]
        yield _episode(replace(state, queue=rest), batch)
        if batch[0] == "start":
            break  # A generation's first episode is its start alone.


def _episode(state: Instance, batch: tuple[str, ...]) -> Instance:
    if "terminate" in batch:
        return Instance("Terminated")
    status, is_held = state.status, state.is_held
    for message in batch:
        match message:
            case "start" | "resume":
                status = "Running"
            case "suspend":
                status = "Suspended"
            case "go":
                is_held = True
        if is_held and status == "Running":
            return Instance("Completed")
    return replace(state, status=status, is_held=is_held)


def is_linearizable(story: Iterable[Moment], has_timer: bool = False) -> bool:
    """Whether some order of effects explains every answer.

    A configuration is a state, and the answers that calls in progress are to get, since they have taken effect.
    Calls of one kind are alike until they are answered, so their number is enough.
    """
    begun: Counter[str] = Counter()
    reachable: set[tuple[Instance, frozenset[tuple[str, str, int]]]] = {(Instance(), frozenset())}
    for moment in story:
        if moment.answer is None:
            begun[moment.operation] += 1
            continue
        after = set()
        for state, effects in _closure(reachable, begun, has_timer):
            counts = {(operation, answer): count for operation, answer, count in effects}
            if counts.get((moment.operation, moment.answer), 0):
                counts[moment.operation, moment.answer] -= 1
                after.add((state, _frozen(counts)))
        if not after:
            return False
        begun[moment.operation] -= 1
        reachable = after
    return True


def _closure(
    reachable: set[tuple[Instance, frozenset[tuple[str, str, int]]]], begun: Counter[str], has_timer: bool
) -> set[tuple[Instance, frozenset[tuple[str, str, int]]]]:
    seen, new = set(reachable), list(reachable)
    while new:
        state, effects = new.pop()
        counts = {(operation, answer): count for operation, answer, count in effects}
        following = [(next_state, effects) for next_state in steps(state)]
        for operation, number in begun.items():
            if sum(count for (each, _), count in counts.items() if each == operation) < number:
                answer, next_state = calls(state, operation, has_timer)
                key = operation, answer
                following.append((next_state, _frozen({**counts, key: counts.get(key, 0) + 1})))
        for each in following:
            if each not in seen:
                seen.add(each)
                new.append(each)
    return seen


def _frozen(counts: dict[tuple[str, str], int]) -> frozenset[tuple[str, str, int]]:
    return frozenset((operation, answer, count) for (operation, answer), count in counts.items() if count)
