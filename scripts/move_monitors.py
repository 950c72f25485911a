"""Moves running monitors to another host: each is started there with its id and what is left of its time.

    python scripts/move_monitors.py http://localhost:7071 https://APP.azurewebsites.net        what would be done
    python scripts/move_monitors.py http://localhost:7071 https://APP.azurewebsites.net --go   do it

A monitor is suspended here, then started there, and only then terminated here: no two ever run, and none is lost.
Whatever breaks in between, the same command run again goes on where it stopped. One that is sending its alert is
left alone. Needs nothing but Python. Not its business: hosts, task hubs, and monitors that have ended.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

ORCHESTRATOR = "E3_Monitor"
ALERT = "E3_SendAlert"
LIVE = ("Pending", "Running", "ContinuedAsNew", "Suspended")
DEFAULT_EXPIRY_S = 300
WAIT_S = 60
TIMEOUT_S = 30

EPILOG = """\
keys, by environment variable (a host on this machine needs none):
  MOVE_FROM_KEY   the app key durabletask_extension of FROM, or its _master key
  MOVE_TO_KEY     the _master key of TO, where monitors are started as well as looked at
"""


class Stays(Exception):
    """A monitor goes on where it is; the text says why.

    Args:
        is_error: somebody has to do something about it.
    """

    def __init__(self, reason: str, *, is_error: bool = True) -> None:
        super().__init__(reason)
        self.is_error = is_error


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host answered; `body` is parsed JSON, None for what is none."""

    status: int
    headers: Mapping[str, str]
    body: Any


class App:
    """The monitor's app on a host: its URL, and a key for its function and the durable HTTP API."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._key = key

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request. Raises: OSError when there is no answer."""
        data = json.dumps(body).encode() if body else b"" if method == "POST" else None
        request = Request(f"{self.url}{path}?{urlencode(query or {})}", data, dict(headers or {}), method=method)
        request.add_header("Content-Type", "application/json")
        if self._key:
            request.add_header("x-functions-key", self._key)
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:
                return _answer(response)
        except HTTPError as error:
            return _answer(error)

    def instance(self, instance_id: str) -> dict[str, Any] | None:
        """An instance's status with its history, None when there is none. Raises: Stays for any other answer."""
        answer = self.call("GET", _instances(instance_id), query={"showHistory": "true"})
        if answer.status == 404:
            return None
        if answer.status not in (200, 202) or not isinstance(answer.body, dict):
            raise Stays(f"{self.url} answered {answer.status}{_key_hint(answer)}")
        return answer.body

    def monitors(self) -> Iterator[dict[str, Any]]:
        """The status of each monitor that has not ended. Raises: Stays when the host does not list them."""
        token: str | None = ""
        while token is not None:
            headers = {"x-ms-continuation-token": token} if token else {}
            query = {"runtimeStatus": ",".join(LIVE), "top": "100"}
            answer = self.call("GET", _instances(), query=query, headers=headers)
            if answer.status != 200 or not isinstance(answer.body, list):
                raise Stays(
                    f"{self.url} does not list its instances: it answered {answer.status}{_key_hint(answer)}"
                )
            yield from (each for each in answer.body if str(each["name"]).lower() == ORCHESTRATOR.lower())
            token = answer.headers.get("x-ms-continuation-token")

    def send(self, instance_id: str, verb: str, reason: str) -> None:
        """Suspend, resume or terminate an instance, if there is still something to do it to. Raises: Stays."""
        answer = self.call("POST", f"{_instances(instance_id)}/{verb}", query={"reason": reason})
        if answer.status not in (202, 404, 410):
            raise Stays(f"{self.url} answered {answer.status} to {verb}")

    def now(self) -> datetime:
        """The host's time: the embedded host may have skipped some, and says so."""
        answer = self.call("GET", "/durable-host/clock")
        if answer.status == 200 and isinstance(answer.body, dict):
            return datetime.fromisoformat(answer.body["now"])
        return parsedate_to_datetime(answer.headers["Date"])


def _answer(response: Any) -> Answer:
    try:
        body = json.loads(response.read())
    except ValueError:
        body = None
    return Answer(response.status, response.headers, body)


def _instances(instance_id: str | None = None) -> str:
    path = "/runtime/webhooks/durabletask/instances"
    return path if instance_id is None else f"{path}/{quote(instance_id, safe='')}"


def _key_hint(answer: Answer) -> str:
    return ", set MOVE_FROM_KEY and MOVE_TO_KEY (--help)" if answer.status in (401, 403) else ""


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor at the host that it leaves.

    Args:
        request: the monitoring request it was started with.
        mark: the reason for which an earlier move has suspended it; None: it is not suspended.
    """

    instance_id: str
    request: dict[str, Any]
    expires_at: datetime
    mark: str | None

    @classmethod
    def read(cls, status: Mapping[str, Any]) -> Self:
        """Read a monitor's status. Raises: Stays when it was started with no monitoring request."""
        # What the SDK starts has its input as text. After continue_as_new the last custom status is beside the
        # request, or within it when an earlier version of the app wrote it.
        given = status["input"]
        try:
            request = dict(json.loads(given) if isinstance(given, str) else given)
        except (TypeError, ValueError):
            raise Stays("its input is no monitoring request") from None
        if "progress" in request:
            request = request["request"]
        request.pop("status", None)
        custom = status["customStatus"]
        if isinstance(custom, dict) and "expires" in custom:
            expires_at = datetime.fromisoformat(custom["expires"])
        else:
            lifetime = timedelta(seconds=request.get("expiry_seconds", DEFAULT_EXPIRY_S))
            expires_at = datetime.fromisoformat(status["createdTime"]) + lifetime
        mark = str(status["output"]) if status["runtimeStatus"] == "Suspended" else None
        return cls(status["instanceId"], request, expires_at, mark)

    def seconds_left(self, now: datetime) -> int:
        """Whole seconds until it expires, rounded up; 0 when it has, or is about to."""
        return max(0, math.ceil((self.expires_at - now).total_seconds()))


def there_before(target: App, monitor: Monitor) -> str:
    """When the instance was created that had this id at the target before the move began, or "none".

    Raises: Stays when one of this id runs there, or when something else than a move there suspended the monitor.
    """
    if monitor.mark is not None:
        if not monitor.mark.startswith(_mark(target, "")):
            raise Stays(f"it is suspended ({monitor.mark}): resume it first, or end that move")
        return monitor.mark.removeprefix(_mark(target, ""))
    there = target.instance(monitor.instance_id)
    if there is not None and there["runtimeStatus"] in LIVE:
        raise Stays(f"{target.url} runs another monitor of this id")
    return _created(there)


def move(source: App, target: App, monitor: Monitor, before: str) -> None:
    """Move one monitor; `before` is what `there_before` says.

    Raises: Stays when it goes on at the source; OSError when that is not certain, and it has to be tried again.
    """
    if monitor.mark is None:
        source.send(monitor.instance_id, "suspend", _mark(target, before))
    try:
        _wait_until_suspended(source, monitor.instance_id)
        if _created(target.instance(monitor.instance_id)) == before:
            _start(source, target, monitor, before)
    except Stays:
        source.send(monitor.instance_id, "resume", f"not moved to {target.url}")
        raise
    source.send(monitor.instance_id, "terminate", f"moved to {target.url}")


def _mark(target: App, before: str) -> str:
    # Kept by the source as the reason of the suspension: by it, another run knows whether it was started there.
    return f"moving to {target.url}, where of this id there was: {before}"


def _created(instance: Mapping[str, Any] | None) -> str:
    return "none" if instance is None else str(instance["createdTime"])


def _wait_until_suspended(source: App, instance_id: str) -> None:
    """Return once nothing new can begin. Raises: Stays when it has ended, or begun to send its alert."""
    deadline = time.monotonic() + WAIT_S  # noqa: TID251  The host elsewhere takes its time, in real seconds.
    while True:
        status = source.instance(instance_id)
        if status is None or status["runtimeStatus"] not in LIVE:
            raise Stays("it has ended by itself", is_error=False)
        if status["runtimeStatus"] == "Suspended":
            break
        if time.monotonic() > deadline:  # noqa: TID251  As above.
            raise TimeoutError(f"it is still not suspended after {WAIT_S} s")
        time.sleep(0.2)  # noqa: TID251  As above.
    # A call that has its answer is shown as TaskCompleted: an alert that has one and ended nothing was not sent.
    events = status["historyEvents"]
    if any(event["EventType"] == "TaskScheduled" and event["Name"] == ALERT for event in events):
        raise Stays("it is sending its alert", is_error=False)


def _start(source: App, target: App, monitor: Monitor, before: str) -> None:
    """Start a monitor at the target. Raises: Stays when it certainly was not; OSError when that is not certain."""
    left = monitor.seconds_left(source.now())
    if not left:
        raise Stays("it expires now", is_error=False)
    request = {**monitor.request, "expiry_seconds": left}
    path = f"/orchestrators/{ORCHESTRATOR}/{quote(monitor.instance_id, safe='')}"
    try:
        answer = target.call("POST", path, request)
    except OSError as error:
        problem = str(error)
    else:
        if answer.status == 202:
            return
        problem = f"{target.url} answered {answer.status} to its start"
        # HttpStart says itself why it has not started one; these others come from the host in front of it.
        if isinstance(answer.body, dict) and "error" in answer.body:
            raise Stays(f"{problem}: {answer.body['error']['message']}")
        if answer.status in (401, 403, 404):
            raise Stays(f"{problem}{_key_hint(answer)}")
    try:
        is_started = _created(target.instance(monitor.instance_id)) != before
    except Stays as reason:
        raise OSError(str(reason)) from None
    if not is_started:
        raise OSError(problem)


def main() -> int:
    """Move the monitors, or say what would be done; 1 when one of them needs attention."""
    parser = argparse.ArgumentParser(
        prog="python scripts/move_monitors.py",
        description="Moves running monitors from one host to another. Says what it would do, unless told --go.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="FROM", help="URL of the host that they run on")
    parser.add_argument("target", metavar="TO", help="URL of the host that they are to run on")
    parser.add_argument("ids", metavar="ID", nargs="*", help="only these")
    parser.add_argument("--go", action="store_true", help="do it")
    options = parser.parse_args()
    source = App(options.source, os.environ.get("MOVE_FROM_KEY", ""))
    target = App(options.target, os.environ.get("MOVE_TO_KEY", ""))
    if source.url == target.url:
        parser.error("FROM and TO are the same")
    try:
        found = [each for each in source.monitors() if not options.ids or each["instanceId"] in options.ids]
    except (Stays, OSError) as error:
        sys.exit(f"No list of monitors: {_reason(error)}")
    missing = sorted(set(options.ids) - {each["instanceId"] for each in found})
    for instance_id in missing:
        print(f"{instance_id}: no monitor of this id runs at {source.url}")
    done = [_one(source, target, each, go=options.go) for each in found]
    print(f"{len(found)} found." + ("" if options.go else " Nothing was done: --go does it."))
    return 0 if all(done) and not missing else 1


def _one(source: App, target: App, status: Mapping[str, Any], *, go: bool) -> bool:
    """Move one monitor, or say what would be done; False when it needs attention."""
    label = str(status["instanceId"])
    try:
        monitor = Monitor.read(status)
        left = monitor.seconds_left(source.now())
        label += f" ({monitor.request.get('repo')}, {left} s left)"
        before = there_before(target, monitor)
        if not left and monitor.mark is None:
            raise Stays("it expires now", is_error=False)
        if go:
            move(source, target, monitor, before)
        print(f"{label}: {'moved' if go else 'would be moved'} to {target.url}", flush=True)
        return True
    except Stays as reason:
        print(f"{label}: stays, {reason}", flush=True)
        return not reason.is_error
    except OSError as error:
        advice = "it may be suspended, run this again to go on: " if go else ""
        print(f"{label}: {advice}{_reason(error)}", flush=True)
        return False


def _reason(error: Exception) -> str:
    return str(error.reason if isinstance(error, URLError) else error)


if __name__ == "__main__":
    sys.exit(main())
