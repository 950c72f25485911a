"""An embedded host for Azure Durable Functions apps in Python: no storage account, no Core Tools, one SQLite file.

From an HTTP POST to the end of an instance, through the files:

1. `server` matches the route, `bindings` builds the request and the starter, and the app's HTTP function runs.
2. The SDK posts back to the host; `webhooks` turns the URL into `instances.start`; `taskhub` holds one message.
3. `dispatcher` fetches the orchestrator work item, `bindings` calls the orchestrator, `actions` parses the
   answer, `play` and `episode` decide, `taskhub` commits: history, new messages and status in one transaction.
4. `activities` runs the activity work item beside it, `bindings` calls the activity in one of the `threads`; its
   result comes back through the `inbox`, and is a message.
5. Steps 3-4 repeat until the orchestrator returns; the dashboard shows each of them.
"""

from durable_host.clock import Clock, RealClock, SkipClock
from durable_host.errors import HostError
from durable_host.host import Host

__all__ = ["Clock", "Host", "HostError", "RealClock", "SkipClock"]
