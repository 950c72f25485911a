"""An embedded host for Azure Durable Functions apps in Python: no storage account, no Core Tools, one SQLite file.

From an HTTP POST to the end of an instance, through the files:

1. `http/server` matches the route, `dispatch/workers` sends the request to the worker, a process of its own, and
   there `worker/invoke` runs the HTTP function.
2. The SDK calls back to the host; `http/webhooks` turns the URL into `hub/instances.start`; `hub/taskhub` holds
   one message.
3. `dispatch/dispatcher` takes the message and sends the episode; `worker/invoke` calls the orchestrator;
   `engine/actions` parses the answer, `engine/play` and `engine/episode` decide, and `hub/writer` commits:
   history, new messages and status in one transaction.
4. `dispatch/activities` sends the activity to the worker; its result is a message in the next transaction.
5. Steps 3-4 repeat until the orchestrator returns; the dashboard shows each of them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durable_host.clock import Clock, RealClock, SkipClock
    from durable_host.errors import HostError
    from durable_host.host import Host

__all__ = ["Clock", "Host", "HostError", "RealClock", "SkipClock"]
_MODULES = {"Clock": "clock", "Host": "host", "HostError": "errors", "RealClock": "clock", "SkipClock": "clock"}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: a worker needs none of them, and starts light."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
