"""Watches a GitHub repository, and sends one SMS when it has too many open issues.

Differs from the sample of this name: threshold, interval and expiry come with the request, checks are due on a
grid, and the history stays short however long the monitor runs.
"""

import logging
from collections.abc import Generator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df

from E3_Monitor.monitoring_request import MonitoringRequest, parse_input

_CHECKS_PER_GENERATION = 12
_UNSENT_AGAIN = timedelta(minutes=1)

logger = logging.getLogger(__name__)


def orchestrator_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any] | None]:
    """Run a monitor until its alert ends it or it expires."""
    # 1. Get the request: which repository to watch, and whom to text.
    request, progress = parse_input(context.get_input())

    # 2. Determine when the monitor expires; after continue_as_new, its last custom status says so.
    checks, due_at, error = 0, context.current_utc_datetime, None
    expires_at = due_at + timedelta(seconds=request.expiry_seconds)
    if progress is not None:
        checks, error = progress["checks"], progress.get("lastError")
        due_at, expires_at = (datetime.fromisoformat(progress[at]) for at in ("nextCheck", "expires"))
        context.set_custom_status(progress)  # An episode that sets none takes the last one away.

    while max(due_at, context.current_utc_datetime) < expires_at:
        # 3. Ask whether the repository has too many open issues.
        check = {"repo": request.repo, "threshold": request.threshold}
        too_many, error = yield from _call(context, "E3_TooManyOpenIssues", check)
        checks += 1
        if isinstance(too_many, dict):
            error, too_many = too_many["refused"], None
            if checks == 1:
                raise RuntimeError(error)

        # 4. If it has, send the alert and be done, unless it certainly was not sent.
        if too_many and context.current_utc_datetime < expires_at:
            sent, _ = yield from _call(context, "E3_SendAlert", {"phone": request.phone, **check})
            error = sent and sent.get("unsent")
            if error is None:
                return _end(context, request.repo, checks, **_outcome(sent))
        now = context.current_utc_datetime
        if now >= expires_at:
            break

        # 5. Otherwise say so, and sleep until the next check is due or the monitor expires.
        due_at = _next_due(request, expires_at, max(due_at, now))
        if too_many:
            due_at = min(due_at, now + _UNSENT_AGAIN)
        progress = {
            "checks": checks,
            "lastCheck": now.isoformat(),
            "openIssues": {True: "too many", False: "not too many", None: "unknown"}[too_many],
            "nextCheck": due_at.isoformat(),
            "expires": expires_at.isoformat(),
            **({"lastError": error} if error else {}),
        }
        context.set_custom_status(progress)
        _log(context, "check %d of %s: %s", checks, request.repo, error or progress["openIssues"])
        yield context.create_timer(due_at)

        if checks % _CHECKS_PER_GENERATION == 0:
            context.continue_as_new({"request": asdict(request), "progress": progress})
            return None

    # 6. The monitor has expired without an alert.
    return _end(context, request.repo, checks, "expired", **({"lastError": error} if error else {}))


def _call(context: df.DurableOrchestrationContext, name: str, given: object) -> Generator[Any, Any, Any]:
    """Call an activity: what it returned and None, or None and why it raised in one line."""
    try:
        return (yield context.call_activity(name, given)), None
    except Exception as failure:  # noqa: BLE001  The SDK raises plain Exception.
        # The SDK appends a serialized .NET exception. Source: 1.7.0, TaskOrchestrationExecutor.set_task_value.
        return None, " ".join(str(failure).partition(" \n ")[0].split())[:500]  # A custom status may have 16 KB.


def _outcome(sent: dict[str, Any] | None) -> dict[str, Any]:
    """How E3_SendAlert's answer ends a monitor; None: its worker died, perhaps after Twilio took the message."""
    if sent and "refused" in sent:
        return {"outcome": "alert refused", "reason": sent["refused"]}
    sid = sent and sent["message"]
    return {"outcome": "alerted", "message": sid} if sid else {"outcome": "alert unconfirmed"}


def _next_due(request: MonitoringRequest, expires_at: datetime, after: datetime) -> datetime:
    """The next point of the grid after that, so those that a slow check let pass are left out; or the expiry."""
    interval = timedelta(seconds=request.interval_seconds)
    started_at = expires_at - timedelta(seconds=request.expiry_seconds)
    return min(started_at + ((after - started_at) // interval + 1) * interval, expires_at)


def _end(
    context: df.DurableOrchestrationContext, repo: str, checks: int, outcome: str, **more: str
) -> dict[str, Any]:
    _log(context, "%s after check %d of %s", outcome, checks, repo)
    return {"outcome": outcome, "checks": checks, **more}


def _log(context: df.DurableOrchestrationContext, message: str, *args: object) -> None:
    if not context.is_replaying:
        logger.info(f"%s: {message}", context.instance_id, *args)


main = df.Orchestrator.create(orchestrator_function)
