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

from E3_Monitor.monitoring_request import MonitoringRequest, parse_status, quiet_status

_CHECKS_PER_GENERATION = 12
# Azure Storage lets timers fire up to a second early, and those under a second at once.
_SEND_ALERT_RETRIES = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=3)
_ERROR_LENGTH = 500  # A custom status has room for 16 KB of UTF-16.

logger = logging.getLogger(__name__)


def orchestrator_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any] | None]:
    """Run a monitor until it has sent its alert or expires."""
    # 1. Get the request: which repository to watch, and whom to text.
    given = context.get_input()
    status = given.pop("status", None) if isinstance(given, dict) else None
    request = MonitoringRequest.parse(given)

    # 2. Determine when the monitor expires; after continue_as_new, its status says so.
    if status is None:
        checks, due_at = 0, context.current_utc_datetime
        expires_at = due_at + timedelta(seconds=request.expiry_seconds)
    else:
        checks, due_at, expires_at = parse_status(status)
        # An episode that reports no status takes the last one away.
        context.set_custom_status(status)

    while max(due_at, context.current_utc_datetime) < expires_at:
        # 3. Ask whether the repository has too many open issues; only a first check may fail the monitor.
        check, error = {"repo": request.repo, "threshold": request.threshold}, None
        try:
            too_many = yield context.call_activity("E3_TooManyOpenIssues", check)
        except Exception as failure:  # noqa: BLE001  The SDK raises plain Exception.
            too_many, error = None, _one_line(failure)
            if checks == 0:
                raise RuntimeError(error) from None
        checks += 1
        checked_at = context.current_utc_datetime
        if checked_at >= expires_at:
            break  # The answer comes too late to be acted upon.

        # 4. If it has, send the alert and be done.
        if too_many:
            return (yield from _alert(context, request, checks))

        # 5. Otherwise say so, and sleep until the next check is due or the monitor expires.
        due_at = min(_next_due(due_at, checked_at, timedelta(seconds=request.interval_seconds)), expires_at)
        status = quiet_status(checks, checked_at, too_many, error, due_at, expires_at)
        context.set_custom_status(status)
        _log(context, "check %d of %s: %s", checks, request.repo, error or status["openIssues"])
        yield context.create_timer(due_at)

        if checks % _CHECKS_PER_GENERATION == 0:
            context.continue_as_new({**asdict(request), "status": status})
            return None

    # 6. The monitor has expired without an alert.
    _log(context, "expired after check %d of %s", checks, request.repo)
    return {"outcome": "expired", "checks": checks}


def _alert(
    context: df.DurableOrchestrationContext, request: MonitoringRequest, checks: int
) -> Generator[Any, Any, dict[str, Any]]:
    """Call E3_SendAlert, which raises only when another attempt cannot make it two messages."""
    alert = {"phone": request.phone, "repo": request.repo, "threshold": request.threshold}
    try:
        sent = yield context.call_activity_with_retry("E3_SendAlert", _SEND_ALERT_RETRIES, alert)
    except Exception as failure:  # noqa: BLE001  The SDK raises plain Exception.
        raise RuntimeError(_one_line(failure)) from None
    if sent["message"] is None:
        outcome = {"outcome": "alert unconfirmed", "checks": checks}
    else:
        outcome = {"outcome": "alerted", "checks": checks, "message": sent["message"]}
    _log(context, "%s after check %d of %s", outcome["outcome"], checks, request.repo)
    return outcome


def _next_due(due_at: datetime, now: datetime, interval: timedelta) -> datetime:
    """The next point of the grid after both; those that a slow check let pass are left out."""
    return due_at + max(1, (now - due_at) // interval + 1) * interval


def _one_line(failure: Exception) -> str:
    """What an activity said, without the serialized .NET exception that the engine appends to it.

    Source: TaskOrchestrationExecutor.set_task_value, azure-functions-durable 1.7.0.
    """
    return " ".join(str(failure).partition(" \n ")[0].split())[:_ERROR_LENGTH]


def _log(context: df.DurableOrchestrationContext, message: str, *args: object) -> None:
    if not context.is_replaying:
        logger.info(f"%s: {message}", context.instance_id, *args)


main = df.Orchestrator.create(orchestrator_function)
