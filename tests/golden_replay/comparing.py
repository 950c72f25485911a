"""Compares what was recorded with what is here, and says by path what differs.

JSON texts inside texts are compared as JSON. Histories are compared event by event where the batches are the same,
else between the points that both runs passed. Not here: which differences are known (`known`).
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.golden_replay.binding import Binding
from tests.golden_replay.recording import (
    JSON,
    ORCHESTRATOR_COMPLETED,
    ORCHESTRATOR_STARTED,
    Messages,
    instant,
    is_message,
    message_key,
    multiset,
)

ABSENT = "(absent)"
_COMPLETIONS = {5, 6, 8, 9, 11}
# How far apart a timer's due time may lie from the time that its code saw: `datetime.now` in user code moves it.
_DUE_TOLERANCE = timedelta(seconds=0.1)
_NET_STACK = re.compile(r"(?<=, StackTrace: )(?:(?:   at |--- )[^\n]*(?:\n(?=   at |--- ))?)*")
_RECORDED_PYTHON = (3, 11)
_LONG = 100_000  # Such a text binds nothing, and to look through it takes long.
# Other Pythons show the source below a frame in another way, and mark other parts of it.
_SOURCE_LINES = re.compile(r"""(  File "[^"\n]*", line \d+, in [^\n]*\n)(?:    [^\n]*\n)*""")
_STRING_OR_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+')


@dataclass(frozen=True)
class Difference:
    """One field that is not as recorded."""

    path: str
    recorded: JSON
    here: JSON

    def __str__(self) -> str:
        return f"{self.path}\n    recorded: {_shown(self.recorded)}\n    here:     {_shown(self.here)}"


def _shown(value: JSON) -> str:
    text = value if value == ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:300]} ... {text[-90:]}"


def compare(
    path: str, recorded: JSON, here: JSON, binding: Binding, *, ordered: bool = False
) -> Iterator[Difference]:
    """The differences of two JSON values; `ordered` compares the order of an object's keys as well."""
    if isinstance(recorded, dict) and isinstance(here, dict):
        for key in [*recorded, *(key for key in here if key not in recorded)]:
            there_value, here_value = recorded.get(key, ABSENT), here.get(key, ABSENT)
            yield from compare(f"{path}.{key}", there_value, here_value, binding, ordered=ordered)
        if ordered and recorded.keys() == here.keys() and list(recorded) != list(here):
            yield Difference(f"{path} (order of keys)", list(recorded), list(here))
    elif isinstance(recorded, list) and isinstance(here, list):
        if len(recorded) != len(here):
            yield Difference(f"{path} (length)", recorded, here)
        for i, (there_item, here_item) in enumerate(zip(recorded, here, strict=False)):
            yield from compare(f"{path}[{i}]", there_item, here_item, binding, ordered=ordered)
    elif isinstance(recorded, str) and isinstance(here, str):
        yield from _compare_texts(path, recorded, here, binding)
    elif type(recorded) is not type(here) or recorded != here:
        yield Difference(path, recorded, here)


def _compare_texts(path: str, recorded: str, here: str, binding: Binding) -> Iterator[Difference]:
    if recorded == here and len(here) > _LONG:
        return
    if sys.version_info[:2] != _RECORDED_PYTHON:
        recorded, here = (_SOURCE_LINES.sub(r"\1", text) for text in (recorded, here))
    if binding.copy().same(recorded, here):
        binding.same(recorded, here)
        return
    inner = ((_net_stack_within, _compare_stacks), (_json_within, _compare_documents))
    found = [(within(recorded), within(here), compare_inner) for within, compare_inner in inner]
    both = [(there, ours, compare_inner) for there, ours, compare_inner in found if there and ours]
    for there, ours, compare_inner in sorted(both, key=lambda parts: len(parts[0][0])):
        if binding.same(there[0], ours[0]):
            yield from compare_inner(path, there[1], ours[1], binding)
            yield from _compare_texts(path, there[2], ours[2], binding)
            return
    yield Difference(path, recorded, here)


def _compare_stacks(path: str, recorded: str, here: str, binding: Binding) -> Iterator[Difference]:
    if recorded != here:
        yield Difference(f"{path}.StackTrace", recorded, here)


def _compare_documents(path: str, recorded: str, here: str, binding: Binding) -> Iterator[Difference]:
    yield from compare(path + "{}", json.loads(recorded), json.loads(here), binding)
    if _layout(recorded) != _layout(here):
        yield Difference(f"{path} (layout of the JSON)", recorded, here)


def _net_stack_within(text: str) -> tuple[str, str, str] | None:
    """What stands before, in and after the .NET frames of a failure's details."""
    found = _NET_STACK.search(text)
    return found and (text[: found.start()], found[0], text[found.end() :])


def _json_within(text: str) -> tuple[str, str, str] | None:
    """What stands before, in and after the JSON object or array in a text, or the JSON string that it is."""
    start = 0 if text[:1] == '"' else min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
    while start >= 0:
        try:
            _, end = json.JSONDecoder().raw_decode(text, start)
        except ValueError:
            start = text.find("{", start + 1)
        else:
            return text[:start], text[start:end], text[end:]
    return None


def _layout(text: str) -> str:
    return _STRING_OR_WORD.sub("_", text)


def compare_histories(path: str, recorded: list[JSON], here: list[JSON], binding: Binding) -> Iterator[Difference]:
    """The differences of two histories that hold the same messages."""
    there_events, here_events = _prepared(recorded), _prepared(here)
    borders = _borders(there_events) & _borders(here_events)
    if _shape(there_events) != _shape(here_events):
        same = _borders(there_events) == _borders(here_events)
        there_events, here_events = (_rebatched(events, borders, same) for events in (there_events, here_events))
    if _shape(there_events) != _shape(here_events):
        yield Difference(f"{path} (events)", _shape(there_events), _shape(here_events))
        return
    for i, (there_event, here_event) in enumerate(zip(there_events, here_events, strict=True)):
        there_event, here_event = dict(there_event), dict(here_event)
        there_is_new, here_is_new = there_event.pop("isNew"), here_event.pop("isNew")
        if there_is_new != here_is_new:  # The one run got this message in its newest batch, the other before.
            here_event["IsPlayed"] = there_event["IsPlayed"]
        there_due, here_due = there_event.pop("due"), here_event.pop("due")
        if abs(there_due - here_due) > _DUE_TOLERANCE:
            yield Difference(f"{path}[{i}].FireAt (after the start of the episode)", str(there_due), str(here_due))
        yield from compare(f"{path}[{i}]", there_event, here_event, binding)


def _prepared(events: list[JSON]) -> list[dict[str, Any]]:
    """The events, with what their episode says of them: whether it is the newest, how far off a timer was."""
    newest = max(i for i, event in enumerate(events) if event["EventType"] == ORCHESTRATOR_STARTED)
    prepared, started_at = [], None
    for i, event in enumerate(events):
        if event["EventType"] == ORCHESTRATOR_STARTED:
            started_at = instant(event["Timestamp"])
        due = timedelta(0)
        if event["EventType"] == 10 and started_at is not None:
            due = instant(event["FireAt"]) - started_at
        prepared.append({**event, "isNew": i > newest, "due": due})
    return prepared


def _shape(events: list[dict[str, Any]]) -> list[str]:
    return [
        " ".join(map(str, message_key(event) if is_message(event) else [event["EventType"]])) for event in events
    ]


def _borders(events: list[dict[str, Any]]) -> set[Messages]:
    """What had been received at each episode's end."""
    ends = [i for i, event in enumerate(events) if event["EventType"] == ORCHESTRATOR_COMPLETED]
    return {multiset(events[:end]) for end in [*ends, len(events)]} - {frozenset()}


def _rebatched(events: list[dict[str, Any]], borders: set[Messages], keeps_borders: bool) -> list[dict[str, Any]]:
    """The events as if each of these borders, and no other, had ended an episode.

    Within such an episode completions are sorted: they came from work that ran side by side.
    """
    rebatched: list[dict[str, Any]] = []
    batch: list[dict[str, Any]] = []
    for i, event in enumerate(events):
        if event["EventType"] not in (ORCHESTRATOR_STARTED, ORCHESTRATOR_COMPLETED):
            batch.append(event)
        elif multiset(events[:i]) in borders:
            rebatched += _sorted_batch(batch) + [event] * keeps_borders
            batch = []
    return rebatched + _sorted_batch(batch)


def _sorted_batch(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def rank(event: dict[str, Any]) -> tuple[int, ...]:
        if not is_message(event):
            return (2, event["EventId"])
        if event["EventType"] in _COMPLETIONS:
            return (1, event["EventType"], message_key(event)[1])
        return (0,)

    return sorted(batch, key=rank)
