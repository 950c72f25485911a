"""The table by which recordings of 3.14.1 are read: in `golden/replays` 3.19.0 answered their requests again.

Not here: our host (`test_golden`).
"""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.golden_replay import recording
from tests.golden_replay.binding import Binding
from tests.golden_replay.comparing import Difference
from tests.golden_replay.responses import Answer, compare_exchange
from tests.golden_replay.versions import OLD, ROWS, as_of_today, made_by

REPLAYS = sorted(path.stem for path in (recording.GOLDEN / "replays").glob("*.json"))
EPISODES = sorted(path.stem for path in (recording.GOLDEN / "episodes").glob("*.json"))
# What no response of a replay shows: contexts, and statuses of children.
OF_EPISODES = {"the context has sourceInstanceId", "a status has its parent's id"}


def differences(name: str, without: str = "") -> list[Difference]:
    """What 3.19.0 answered otherwise than the table says, but for the frames of .NET."""
    old = recording.read(name)
    as_of_today(old, without)
    new = _with_ids_of(old, recording.GOLDEN / "replays" / f"{name}.json")
    recorded = recording.made_of(name, old)
    binding = Binding(recorded, new["exchanges"][0]["request"]["port"])
    found: list[Difference] = []
    for i, exchange in enumerate(recorded.exchanges):
        response = new["exchanges"][i]["response"]
        headers = {key.lower(): value for key, value in response["headers"]}
        answer = Answer(response["status"], headers, response["body"] or "")
        found += compare_exchange(f"exchanges[{i}]", exchange, answer, binding, set())
    return [each for each in found if not each.path.endswith((".StackTrace", ".Source"))]


def _with_ids_of(old: dict[str, Any], replay: Path) -> dict[str, Any]:
    """The replay, with the names of the recording's instances and hub."""
    text = replay.read_text("utf-8")
    new = json.loads(text)
    # Each run has a tag of its own in its ids: ver-84b6.
    targets = [" ".join(exchange["request"]["target"] for exchange in data["exchanges"]) for data in (new, old)]
    ours, theirs = (re.findall(r"-([0-9a-f]{4})\b", target)[0] for target in targets)
    named: dict[str, Any] = json.loads(text.replace(ours, theirs).replace("RepNineteen", "TestHubName"))
    return named


@pytest.mark.parametrize("name", REPLAYS)
def test_a_recording_read_by_the_table_is_what_todays_extension_answered(name: str) -> None:
    assert [str(each) for each in differences(name)] == []


@pytest.mark.parametrize("row", sorted(ROWS.keys() - OF_EPISODES))
def test_each_row_is_needed(row: str) -> None:
    assert any(differences(name, without=row) for name in REPLAYS)


def test_every_context_of_todays_extension_has_the_source_and_none_of_the_older() -> None:
    seen = set()
    for name in EPISODES:
        raw = recording.read(name)
        for instance in raw["instances"]:
            for episode in instance["episodes"]:
                context = json.loads(episode["in"])
                if "self" not in context:  # An entity's.
                    seen.add((made_by(raw), "sourceInstanceId" in context))

    assert seen == {(OLD, False), ("3.19.0", True)}


def test_a_childs_status_has_its_parent_in_todays_extension_and_never_in_the_older() -> None:
    seen = set()
    for name in EPISODES:
        raw = recording.read(name)
        contexts = (json.loads(e["in"]) for instance in raw["instances"] for e in instance["episodes"])
        children = {c["instanceId"] for c in contexts if c.get("parentInstanceId")}
        for exchange in raw["exchanges"]:
            body = exchange["response"]["body"] or ""
            for child in children:
                if body.startswith('{"name"') and json.loads(body)["instanceId"] == child:
                    seen.add((made_by(raw), "parentInstanceId" in json.loads(body)))

    # Not every one of today's: an instance may become a child of a later start.
    assert ("3.19.0", True) in seen
    assert (OLD, True) not in seen


def test_a_recording_of_today_is_left_as_it_is() -> None:
    raw = recording.read("d_sub_status")
    before = copy.deepcopy(raw)

    as_of_today(raw)

    assert raw == before
