"""What the command line prints: the functions as `func start` lists them, and each log line with its time.

Not here: what is logged.
Source: azure-functions-core-tools 4.14.0, DisplayFunctionsInfoUtilities and ColoredConsoleLogger.
"""

import logging
import os
import queue
import re
import threading
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import TextIO

from durable_host.errors import one_line
from durable_host.functions.triggers import FunctionApp

_COLOURS = {logging.DEBUG: "32", logging.INFO: "36", logging.WARNING: "33", logging.ERROR: "31"}
_MOST = 10_000  # Records.
_LAST_S = 1.0
# Libraries that speak of each request.
_QUIET = ("asyncio", "aiohttp")


class Console:
    """The logs of the app and the host on a stream, from Information up, with `is_verbose` from Debug up.

    A thread writes them, so that a stream that nobody reads holds up nothing: what it does not take is dropped.
    """

    def __init__(self, stream: TextIO, is_verbose: bool) -> None:
        shown = logging.StreamHandler(stream)
        is_coloured = stream.isatty() and "NO_COLOR" not in os.environ
        shown.setFormatter(_Lines(is_coloured))
        records: queue.Queue[logging.LogRecord] = queue.Queue(_MOST)
        queued = _Queued(records)
        logging.basicConfig(handlers=[queued], level=logging.DEBUG if is_verbose else logging.INFO, force=True)
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._listener = QueueListener(records, shown)
        self._listener.start()

    def close(self) -> None:
        """Write what has been logged, as far as the stream takes it within a second."""
        ending = threading.Thread(target=self._listener.stop, daemon=True)
        ending.start()
        ending.join(_LAST_S)


class _Queued(QueueHandler):
    """Hands records to the thread that writes them."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """As it is: the thread formats it."""
        record.msg, record.args = record.getMessage(), None  # Now, as what it names may change.
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Drop it when the stream has not taken thousands before it."""
        with suppress(queue.Full):
            self.queue.put_nowait(record)


def functions_text(app: FunctionApp, url: str, verbose: bool) -> str:
    """The list of functions: HTTP ones with their URLs, then the others with their triggers.

    Those in error stand at the end with their reason, as the host logs them.
    """
    lines = ["", "Functions:", ""]
    for function in app.functions:
        if function.http is not None:
            methods = f"[{','.join(function.http.methods)}]" if function.http.methods is not None else ""
            lines += [f"\t{function.name}: {methods} {url}/{function.http.route.template}", ""]
    for function in app.functions:
        if function.http is None:
            lines += [f"\t{function.name}: {function.trigger.type}", ""]
    lines += [f"Function {function.name} is disabled." for function in app.functions if function.is_disabled]
    lines += [one_line(f"The '{name}' function is in error: {reason}") for name, reason in app.index_errors]
    for function in app.functions:
        if function.load_error is not None:
            lines += [f"Worker failed to load function: '{function.name}'.", f"\t{function.load_error}"]
            lines += [f"\t{line}" for line in function.load_error.stack.splitlines()]
    lines += [one_line(warning) for warning in app.warnings]
    if not verbose:
        lines.append("For detailed output, run with --verbose.")
    # Names and routes may hold anything, but the app's own tracebacks keep their lines.
    return "\n".join(one_line(line) for each in lines for line in each.split("\n"))


def sample_calls(app: FunctionApp, url: str) -> list[str]:
    """A curl command for each HTTP function with a sample.dat in its folder, the body that the portal tests with.

    A route parameter {functionName} stands for the app's orchestrator when it has just one; optional ones are left
    out, and a function whose route still has parameters then has no command.
    """
    calls = []
    for function in app.functions:
        sample = function.folder / "sample.dat"
        if function.http is None or not sample.is_file():
            continue
        route = re.sub(r"/?\{[^{}]*\?\}", "", function.http.route.template)
        if len(app.orchestrators) == 1:
            route = route.replace("{functionName}", app.orchestrators[0].name)
        if "{" not in route:
            body = sample.read_text(encoding="utf-8", errors="replace").strip().replace("'", "'\\''")
            calls.append(f"curl -X POST {url}/{route} -d '{body}'")
    return calls


class _Lines(logging.Formatter):
    """Each line of a message with its own time, in UTC to the millisecond."""

    def __init__(self, is_coloured: bool) -> None:
        super().__init__()
        self._is_coloured = is_coloured

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines."""
        at = datetime.fromtimestamp(record.created, UTC)
        time = f"[{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z]"
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        start, end = "", ""
        if self._is_coloured:
            start, end = f"\033[{_COLOURS.get(record.levelno, '31')}m", "\033[0m"
            time = f"\033[90m{time}\033[0m"
        return "\n".join(f"{time} {start}{line}{end}" for line in text.splitlines() or [""])
