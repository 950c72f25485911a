"""What extension 3.19.0, the one to equal, does otherwise than 3.14.1, which made the first recordings.

A recording of 3.14.1 is read through this table. `test_golden_versions` proves each row by requests of the first
recordings that were sent again to 3.19.0. What else differs (the frames of .NET, the order of the known functions'
names, the new route restartWithOptions) no recording of 3.14.1 is compared by.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

JSON = Any
Raw = dict[str, JSON]  # The file in `http` under "exchanges", that in `episodes` under "instances".
OLD = "3.14.1"


def made_by(raw: Raw) -> str:
    """The version of the extension that made a recording."""
    return str(raw["engine"]["extension"].split()[1])


def _texts(pattern: str, replacement: str) -> Callable[[Raw], None]:
    """A row that replaces in every text, however often it is quoted."""
    found = re.compile(pattern)

    def change(value: JSON) -> JSON:
        if isinstance(value, str):
            return found.sub(replacement, value)
        if isinstance(value, list):
            return [change(each) for each in value]
        return {key: change(each) for key, each in value.items()} if isinstance(value, dict) else value

    def apply(raw: Raw) -> None:
        raw.update(change(raw))

    return apply


def _statuses(raw: Raw) -> Iterator[dict[str, JSON]]:
    """The statuses in the responses, to be changed in place."""
    for exchange in raw["exchanges"]:
        response = exchange["response"]
        try:
            body = json.loads(response["body"] or "null")
        except ValueError:
            continue
        statuses = [each for each in (body if isinstance(body, list) else [body]) if _is_status(each)]
        if statuses:
            yield from statuses
            response["body"] = json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _is_status(value: JSON) -> bool:
    return isinstance(value, dict) and "runtimeStatus" in value and "instanceId" in value


def _contexts(raw: Raw) -> Iterator[dict[str, JSON]]:
    for instance in raw["instances"]:
        for episode in instance["episodes"]:
            yield json.loads(episode["in"])


def _insert(status: dict[str, JSON], after: str, key: str, value: JSON) -> None:
    """Put a key behind another one: the order of keys is compared."""
    items = list(status.items())
    at = [name for name, _ in items].index(after) + 1
    status.clear()
    status.update([*items[:at], (key, value), *items[at:]])


def _show_version(raw: Raw) -> None:
    versions = {}
    for exchange in raw["exchanges"]:
        version = re.search(r"/orchestrators/[^?]*\?(?:.*&)?version=([^&]+)", exchange["request"]["target"])
        if version and exchange["response"]["status"] == 202:
            versions[json.loads(exchange["response"]["body"])["id"]] = version[1]
    for status in _statuses(raw):
        if status["instanceId"] in versions:
            _insert(status, "name", "version", versions[status["instanceId"]])


def _show_parent(raw: Raw) -> None:
    parents = {context["instanceId"]: context["parentInstanceId"] for context in _contexts(raw)}
    for status in _statuses(raw):
        if parents.get(status["instanceId"]) is not None:
            _insert(status, "instanceId", "parentInstanceId", parents[status["instanceId"]])


def _show_child(raw: Raw) -> None:
    created = {
        event["Timestamp"].removesuffix("Z"): event["InstanceId"]
        for context in _contexts(raw)
        for event in context["history"]
        if event["EventType"] == 7
    }
    for status in _statuses(raw):
        for event in status.get("historyEvents", []):
            if event["EventType"] in ("SubOrchestrationInstanceCompleted", "SubOrchestrationInstanceFailed"):
                _insert(
                    event, "FunctionName", "InstanceId", created[event["ScheduledTime"].removesuffix("+00:00")]
                )


def _refuse_a_done_state(raw: Raw) -> None:
    for instance in raw["instances"]:
        failure = instance["episodes"][-1].get("exception") if instance["episodes"] else None
        marker, state = (failure or {"message": ""})["message"].partition("$OutOfProcData$:")[1:]
        if failure is None or not marker or not state.startswith('{"isDone": true'):
            continue
        text = f"(Result: Failure\nException: {failure['message']}\nStack: {failure['stack']})"
        for status in _statuses(raw):
            if status["instanceId"] == instance["instanceId"] and status["runtimeStatus"] == "Failed":
                was = status["output"]
                status["output"] = f"{was.partition(': ')[0]}: One or more errors occurred. {text}"
                for event in status.get("historyEvents", []):
                    if event.get("Result") == was:
                        event["Result"] = status["output"]


def _name_the_source(raw: Raw) -> None:
    """Of each instance, the one that it restarts under another id."""
    sources = {}
    for exchange in raw["exchanges"]:
        restart = re.search(r"/instances/([^/?]+)/restart(\?|$)", exchange["request"]["target"])
        if restart and exchange["response"]["status"] == 202:
            sources[json.loads(exchange["response"]["body"])["id"]] = unquote_plus(restart[1])
    for instance in raw["instances"]:
        source = sources.get(instance["instanceId"])
        restarts = source not in (None, instance["instanceId"])
        for episode in instance["episodes"]:
            context = json.loads(episode["in"])
            context["sourceInstanceId"] = source if restarts else None
            for event in context["history"] if restarts else []:
                if event["EventType"] == 0:
                    event["Tags"] = {"MS_DurableFunctions_SourceInstanceId": source}
            episode["in"] = json.dumps(context, indent=2)


ROWS: dict[str, Callable[[Raw], None]] = {
    "an activity's failure has one blank before its message": _texts(
        r"(Activity function \\*'[^'\\]+\\*' failed: ) ", r"\1"
    ),
    "an activity's serialized exception begins with its message": _texts(
        r'(\\*"ClassName\\*":\\*"System\.Exception\\*",\\*"Message\\*":\\*") ', r"\1"
    ),
    "the context has sourceInstanceId": _name_the_source,
    "a status has its version": _show_version,
    "a status has its parent's id": _show_parent,
    "a sub-orchestration's completion has the child's id": _show_child,
    "a state that is done does not count in a failure": _refuse_a_done_state,
}


def as_of_today(raw: Raw, without: str = "") -> None:
    """Make a recording of 3.14.1 what 3.19.0 had answered; `without` leaves a row out."""
    if made_by(raw) == OLD:
        for name, apply in ROWS.items():
            if name != without:
                apply(raw)
