"""Starts every monitor of a file that is not running: by cron or a timer, repositories stay watched for months.

    python scripts/keep_watching.py monitors.json
    python scripts/keep_watching.py monitors.json --url https://APP.azurewebsites.net --key MASTER_KEY

The file has a monitoring request for each id; `again_after` is how many seconds after an alert it starts again:
    {"octo-cat": {"repo": "octo/cat", "phone": "+14255550100", "expiry_seconds": 2592000, "again_after": 86400}}
Needs nothing but Python. Not its business: ending monitors that were taken out of the file.
"""

import argparse
import json
import os
import sys
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

AGAIN_AFTER_S = 86_400
TIMEOUT_S = 30


def call(url: str, key: str, body: object = None) -> tuple[int, Any, datetime]:
    """Send a GET, or a POST of `body`: status, JSON and time of the answer. Raises: OSError, HTTPException."""
    request = Request(url, None if body is None else json.dumps(body).encode())
    if key:
        request.add_header("x-functions-key", key)
    try:
        response = urlopen(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        response = error
    with response:
        text = response.read() or b"null"
        is_json = response.headers.get_content_type() == "application/json"
        answered_at = parsedate_to_datetime(response.headers["Date"])
        return response.status, json.loads(text) if is_json else None, answered_at


def keep(url: str, key: str, instance_id: str, request: dict[str, Any]) -> str:
    """Start a monitor unless it runs or has alerted lately; what was done. Raises: also ValueError."""
    path = quote(instance_id, safe="")
    pause = timedelta(seconds=request.pop("again_after", AGAIN_AFTER_S))
    status, instance, now = call(f"{url}/runtime/webhooks/durabletask/instances/{path}", key)
    if status not in (200, 202, 404):
        raise ValueError(f"{url} answered {status} to the question whether it runs")
    output = instance["output"] if status == 200 else None
    if isinstance(output, dict) and str(output.get("outcome")).startswith("alert"):
        again_at = datetime.fromisoformat(instance["lastUpdatedTime"]) + pause
        if now < again_at:
            return f"{output['outcome']}, started again after {again_at:%Y-%m-%d %H:%M} UTC"
    status, answer, _ = call(f"{url}/orchestrators/E3_Monitor/{path}", key, request)
    if status not in (202, 409):
        told = answer["error"]["message"] if isinstance(answer, dict) and "error" in answer else ""
        raise ValueError(f"{url} answered {status} to its start: {told or 'is the key right, and the host up?'}")
    return "started" if status == 202 else "running"


def main() -> int:
    """Keep each monitor of the file; 1 when one of them could not be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="keep_watching.py"
    )
    parser.add_argument("file", type=Path, help="JSON: a monitoring request for each id")
    parser.add_argument("--url", default="http://localhost:7071", help="the host (default: %(default)s)")
    parser.add_argument(
        "--key", default=os.environ.get("MONITOR_KEY", ""), help="the app's _master key (default: $MONITOR_KEY)"
    )
    options = parser.parse_args()
    try:
        monitors = {str(name): dict(request) for name, request in json.loads(options.file.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        sys.exit(f"{options.file}: expected a JSON object with a monitoring request for each id ({error})")
    is_kept = True
    for instance_id, request in monitors.items():
        try:
            print(f"{instance_id}: {keep(options.url.rstrip('/'), options.key, instance_id, request)}", flush=True)
        except (HTTPException, OSError, TypeError, ValueError) as error:
            is_kept = False
            print(f"{instance_id}: not started: {error}", file=sys.stderr, flush=True)
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
