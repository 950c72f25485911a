"""What a recording holds: the exchanges, episodes and client calls of one scenario, as dataclasses.

Files lie in `tests/golden/http` and `tests/golden/episodes` under the scenario's name; each says in `engine` what
made it, and one of an older extension is read as today's would have answered (`versions`).
Not here: what is made of them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from tests.golden_replay.versions import as_of_today

GOLDEN = Path(__file__).parent.parent / "golden"

JSON = Any
Messages = frozenset[tuple[tuple[Any, ...], int]]
ORCHESTRATOR_STARTED, ORCHESTRATOR_COMPLETED = 12, 13
# A long text, most of which was left out of the file.
CUT = re.compile(r" …\[(?P<length>[0-9]+) characters cut\]… ")
_HUBS = ("TestHubName", "SampleHubVS")


def instant(text: str) -> datetime:
    """An ISO time, with 0 to 7 digits of a second, as an aware instant cut to microseconds."""
    return datetime.fromisoformat(text).astimezone(UTC)


def is_message(event: dict[str, JSON]) -> bool:
    """Whether the event came to the orchestrator, and is not one of its decisions or an episode's border."""
    return event["EventId"] == -1 and event["EventType"] not in (ORCHESTRATOR_STARTED, ORCHESTRATOR_COMPLETED)


def message_key(event: dict[str, JSON]) -> tuple[Any, ...]:
    """Which message an event is, in any run: a completion by what it completes, an external event by its name."""
    completes = event.get("TaskScheduledId", event.get("TimerId"))
    return event["EventType"], event["Name"] if event["EventType"] == 15 else completes


def multiset(events: list[dict[str, JSON]]) -> Messages:
    """The messages among `events`, whatever their order."""
    return frozenset(Counter(message_key(event) for event in events if is_message(event)).items())


def beyond(messages: Messages, others: Messages) -> list[tuple[Any, ...]]:
    """The keys of messages that `others` has not, or not so often."""
    return list(Counter(dict(messages)) - Counter(dict(others)))


@dataclass(frozen=True)
class Exchange:
    """One request and its response; `at` is None in a recording without instants."""

    at: datetime | None
    lasted_s: float
    call: str | None
    method: str
    target: str
    port: int
    headers: dict[str, str]
    body: str | None
    status: int
    answer_headers: dict[str, str]
    answer_body: str

    def names(self, instance_id: str) -> bool:
        """Whether the request's path names this instance."""
        path = self.target.partition("?")[0]
        return instance_id in (unquote_plus(unquote_plus(part)) for part in path.split("/"))


@dataclass(frozen=True)
class Episode:
    """One call of an orchestrator: the context it got and what it answered (`out`) or raised (`exception`)."""

    function: str
    context: dict[str, JSON]
    outcome: dict[str, JSON]

    @property
    def history(self) -> list[dict[str, JSON]]:
        """The events that the orchestrator was handed."""
        events: list[dict[str, JSON]] = self.context["history"]
        return events

    @property
    def execution_id(self) -> str:
        """Which generation of the instance this is."""
        started = next(event for event in self.history if event["EventType"] == 0)
        return str(started["OrchestrationInstance"]["ExecutionId"])

    @cached_property
    def started_at(self) -> datetime:
        """When the episode began: the newest OrchestratorStarted."""
        return instant([e for e in self.history if e["EventType"] == ORCHESTRATOR_STARTED][-1]["Timestamp"])

    @cached_property
    def messages(self) -> Messages:
        """What this generation had received by then."""
        return multiset(self.history)

    def fired_early(self) -> bool:
        """Whether the newest batch holds a timer that fired before it was due."""
        border = max(i for i, e in enumerate(self.history) if e["EventType"] == ORCHESTRATOR_STARTED)
        return any(e["EventType"] == 11 and instant(e["FireAt"]) > self.started_at for e in self.history[border:])


def listed(episode: Episode) -> list[str]:
    """What the generation had received by then, to be read."""
    keys = [message_key(event) for event in episode.history if is_message(event)]
    return [" ".join(str(part) for part in key if part is not None) for key in keys]


def generations(episodes: list[Episode]) -> list[list[Episode]]:
    """An instance's episodes, by generation, in order."""
    by_execution: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_execution.setdefault(episode.execution_id, []).append(episode)
    return list(by_execution.values())


def received(episodes: list[Episode]) -> int:
    """How many messages an instance has received in all its generations."""
    return sum(sum(count for _, count in of_one[-1].messages) for of_one in generations(episodes))


@dataclass(frozen=True)
class Recording:
    """One scenario.

    Args:
        calls: what an SDK client returned or raised.
        options: what stood under `extensions.durableTask` of host.json.
        server: what a loopback HTTP server received, for call_http.
        is_cut: of an instance that never rests only the first and the last episodes were kept.
    """

    name: str
    exchanges: list[Exchange]
    instances: dict[str, list[Episode]]
    calls: list[dict[str, JSON]]
    began_at: datetime
    options: dict[str, JSON] = field(default_factory=dict)
    server: list[dict[str, JSON]] = field(default_factory=list)
    is_cut: bool = False

    @property
    def lacks(self) -> str | None:
        """What the host does not have yet and this scenario is about; None when it has all."""
        answers = (e.outcome.get("out", {}) for episodes in self.instances.values() for e in episodes)
        actions = {kind for answer in answers for kind in _action_types(answer.get("actions", []))}
        if self.server or 8 in actions:
            return "call_http"
        if actions & {7, 9, 10} or any("self" in e.context for each in self.instances.values() for e in each):
            return "entities"
        return None

    @cached_property
    def own_ids(self) -> set[str]:
        """The instances of this scenario; a list may hold those of others that were recorded before it."""
        ids = set(self.instances)
        for exchange in self.exchanges:
            if exchange.status == 202 and exchange.answer_body.startswith("{"):
                body = json.loads(exchange.answer_body)
                ids.add(body.get("id", body.get("instanceId")))
        return ids

    @cached_property
    def ended_together(self) -> list[list[int]]:
        """The activities by the batches in which they ended, each by its number in the order of scheduling.

        Empty but where it matters: one failed, in an instance that was the only one, and there were others.
        """
        histories = {(i, e.execution_id): e.history for i, episodes in self.instances.items() for e in episodes}
        if len(histories) != 1 or "/runtime/webhooks/" not in self.exchanges[0].target:
            return []
        (history,) = histories.values()
        if not {4, 6} <= {event["EventType"] for event in history} or any(e["EventType"] == 17 for e in history):
            return []
        scheduled = [event["EventId"] for event in history if event["EventType"] == 4]
        batches: list[list[dict[str, JSON]]] = []
        for event in history:
            if event["EventType"] == ORCHESTRATOR_STARTED:
                batches.append([])
            elif event["EventType"] in (5, 6):
                batches[-1].append(event)
        return [[scheduled.index(event["TaskScheduledId"]) for event in batch] for batch in batches if batch]

    @property
    def tells_dates(self) -> bool:
        """Whether requests hold dates in forms that cannot be moved to another day."""
        return any("createdTimeTo=" in exchange.target for exchange in self.exchanges)

    @cached_property
    def ports(self) -> set[str]:
        """Where the recorded host listened, for the public and for the app."""
        return {"7071", "17071", "17072", *(str(exchange.port) for exchange in self.exchanges)}

    def is_of(self, at: datetime) -> bool:
        """Whether an instant belongs to the recording, rather than to what the app or the request made up."""
        return abs(at - self.began_at) < timedelta(days=10)


def _episode(data: dict[str, JSON]) -> Episode:
    outcome = {"out": json.loads(data["out"])} if "out" in data else {"exception": data["exception"]}
    return Episode(data["function"], json.loads(data["in"]), outcome)


def _restored(text: str | None) -> str | None:
    """A body that was cut: what is left out is more of the character before it."""
    found = None if text is None else CUT.search(text)
    if text is None or found is None:
        return text
    return text[: found.start()] + text[found.start() - 1] * int(found["length"]) + text[found.end() :]


def _exchange(data: dict[str, JSON]) -> Exchange:
    request, response = data["request"], data["response"]
    return Exchange(
        at=instant(data["at"]) if "at" in data else None,
        lasted_s=data.get("elapsed_ms", 0) / 1000,
        call=data.get("call"),
        method=request["method"],
        target=request["target"],
        port=request["port"],
        headers=request["headers"],
        body=_restored(request["body"]),
        status=response["status"],
        answer_headers={name.lower(): value for name, value in response["headers"]},
        answer_body=response["body"] or "",
    )


def _action_types(actions: list[JSON]) -> Iterator[int]:
    for action in actions:
        if isinstance(action, list):
            yield from _action_types(action)
        else:
            yield action["actionType"]
            yield from _action_types(action.get("compoundActions", []))


def read(name: str, folder: Path = GOLDEN) -> dict[str, JSON]:
    """The scenario's files as one JSON object: that in `http`, with the `instances` of that in `episodes`."""
    raw: dict[str, JSON] = json.loads((folder / "http" / f"{name}.json").read_text("utf-8"))
    episodes = folder / "episodes" / f"{name}.json"
    return {**raw, **(json.loads(episodes.read_text("utf-8")) if episodes.exists() else {"instances": []})}


def load(name: str) -> Recording:
    """The scenario, as extension 3.19.0 answers it."""
    raw = read(name)
    as_of_today(raw)
    return made_of(name, raw)


def _options(raw: dict[str, JSON]) -> dict[str, JSON]:
    """The options, the hub's name among them when it is another than the app's."""
    found = re.search(r"taskHub=(\w+)&", raw["exchanges"][0]["response"]["body"] or "")
    other = {"hubName": found[1]} if found and found[1] not in _HUBS else {}
    return {**other, **raw.get("options", {})}


def made_of(name: str, raw: dict[str, JSON]) -> Recording:
    """The scenario that the files' JSON holds."""
    exchanges = [_exchange(data) for data in raw["exchanges"]]
    return Recording(
        name=name,
        exchanges=exchanges,
        instances={
            i["instanceId"]: [_episode(data) for data in i["episodes"]] for i in raw["instances"] if i["episodes"]
        },
        calls=raw.get("calls", []),
        began_at=exchanges[0].at or parsedate_to_datetime(exchanges[0].answer_headers["date"]),
        options=_options(raw),
        server=raw.get("server", []),
        is_cut="cut" in raw,
    )
