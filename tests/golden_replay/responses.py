"""Compares a response of our host with the recorded one.

Not here: sending the request, and when (`replaying`).
"""

import json
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.golden_replay.binding import Binding
from tests.golden_replay.comparing import ABSENT, Difference, compare
from tests.golden_replay.recording import CUT, JSON, Exchange, Recording, instant

_HEADERS = ("content-type", "location", "retry-after", "x-ms-continuation-token")
# What changes while an instance goes on; a new generation has another input and creation time.
_STATE = {"runtimeStatus", "input", "output", "customStatus", "createdTime", "lastUpdatedTime", "historyEvents"}
_JSON_READER = "Newtonsoft.Json.JsonReaderException"
_STATUS_WORD = re.compile(r"\bstatus (Pending|Running|Suspended)\b|\bin the (Pending|Running|Suspended) state\b")


@dataclass(frozen=True)
class Answer:
    """A response of our host; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: str


def compare_exchange(
    path: str, exchange: Exchange, answer: Answer, binding: Binding, loose: Set[str]
) -> Iterator[Difference]:
    """The differences of two responses; for instances in `loose`, not in what shows how far they are."""
    is_loose = any(exchange.names(instance_id) for instance_id in loose)
    recording = binding.recording
    neighbours = _has_neighbours(exchange, recording)
    if not (is_loose and {exchange.status, answer.status} <= {200, 202}):
        yield from compare(f"{path}.status", exchange.status, answer.status, binding)
    for name in _HEADERS:
        if is_loose and name in ("location", "retry-after"):
            continue
        there, here = exchange.answer_headers.get(name) or ABSENT, answer.headers.get(name) or ABSENT
        if name != "x-ms-continuation-token":
            yield from compare(f"{path}.headers.{name}", there, here, binding)
        elif not neighbours and (there == ABSENT) != (here == ABSENT):
            yield Difference(f"{path}.headers.{name}", there, here)
        else:
            binding.here[there] = here  # Opaque: it only has to lead to the next page.
    there_body, here_body = _parsed(_restored(exchange.answer_body, answer.body)), _parsed(answer.body)
    if neighbours:
        if exchange.answer_headers.get("x-ms-continuation-token"):
            return  # A page that others fill.
        there_body = [status for status in there_body if status["instanceId"] in recording.own_ids]
    if isinstance(there_body, dict) and isinstance(here_body, dict):
        here_body = _aligned(there_body, here_body, binding)
    there_body, here_body = (_without_state(body, is_loose, loose, binding) for body in (there_body, here_body))
    for difference in compare(f"{path}.body", there_body, here_body, binding, ordered=True):
        yield _of_the_reader(difference, there_body)


def _of_the_reader(difference: Difference, there_body: JSON) -> Difference:
    """The texts of Newtonsoft's reader have a path of their own, so that one entry can list them all."""
    is_reader = isinstance(there_body, dict) and there_body.get("ExceptionType") == _JSON_READER
    if is_reader and difference.path.endswith(".ExceptionMessage"):
        return Difference(f"{difference.path} (of Newtonsoft's reader)", difference.recorded, difference.here)
    return difference


def _restored(recorded: str, here: str) -> str:
    """The recorded body, with what was cut from its file taken from ours."""
    cut = CUT.search(recorded)
    if cut is None:
        return recorded
    middle = here[cut.start() : cut.start() + int(cut["length"])]
    return recorded[: cut.start()] + middle + recorded[cut.end() :]


def _parsed(text: str) -> JSON:
    """The body's JSON; a text that is none stays itself, and an empty one is absent."""
    try:
        return json.loads(text) if text else ABSENT
    except ValueError:
        return text


def _has_neighbours(exchange: Exchange, recording: Recording) -> bool:
    """Whether a list shows instances of scenarios that were recorded before this one."""
    body = _parsed(exchange.answer_body)
    statuses = [item for item in body if isinstance(item, dict)] if isinstance(body, list) else []
    return any("instanceId" in s and s["instanceId"] not in recording.own_ids for s in statuses)


def _without_state(body: JSON, is_loose: bool, loose: Set[str], binding: Binding) -> JSON:
    if isinstance(body, list):
        ids = loose | {binding.translate(instance_id, timedelta(0)) for instance_id in loose}
        return [
            _without_state(b, isinstance(b, dict) and b.get("instanceId") in ids, loose, binding) for b in body
        ]
    if is_loose and isinstance(body, dict):
        return {k: _without_state(v, is_loose, loose, binding) for k, v in body.items() if k not in _STATE}
    return _STATUS_WORD.sub("(status)", body) if is_loose and isinstance(body, str) else body


def _aligned(recorded: dict[str, Any], here: dict[str, Any], binding: Binding) -> dict[str, Any]:
    """Our status, its completions of work that ran side by side in the recording's order."""
    there_events, here_events = recorded.get("historyEvents"), here.get("historyEvents")
    if not there_events or not here_events or len(there_events) != len(here_events):
        return here
    aligned: list[dict[str, Any]] = []
    while len(aligned) < len(there_events):
        start = len(aligned)
        end = start + 1
        while end < len(there_events) and _overlaps(there_events[start], there_events[end]):
            end += 1
        candidates = here_events[start:end]
        for event in there_events[start:end]:
            chosen = min(candidates, key=lambda c: len(list(compare("", event, c, binding.copy()))))
            candidates.remove(chosen)
            aligned.append(chosen)
    return {**here, "historyEvents": aligned}


def _overlaps(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether the second was under way when the first completed."""
    return (
        "ScheduledTime" in first
        and "ScheduledTime" in second
        and instant(second["ScheduledTime"]) < instant(first["Timestamp"])
    )
