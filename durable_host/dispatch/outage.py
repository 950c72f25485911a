"""A hub that cannot be written or read for a while: what callers and the console are told of it.

Not here: what waits meanwhile, and for how long (`dispatcher`).
"""

import logging
import sqlite3

from durable_host.errors import HubError

log = logging.getLogger(__name__)


class Outage:
    """Told of each batch's failure or success; the console hears of the first of each in a row.

    `problem` is what is wrong now, None when nothing is.
    """

    def __init__(self) -> None:
        self.problem: HubError | None = None

    def begin(self, error: sqlite3.Error | HubError) -> HubError:
        """The hub did not take a batch; returns what its callers are told."""
        problem = _explained(error)
        if self.problem is None:
            log.error("%s", problem)
        self.problem = problem
        return problem

    def end(self) -> None:
        """The hub took a batch."""
        if self.problem is not None:
            log.warning("The task hub can be written again.")
        self.problem = None


def _explained(error: sqlite3.Error | HubError) -> HubError:
    if isinstance(error, HubError):
        return error
    if isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error):
        return HubError(f"The task hub is damaged ({error}). Stop the host and put a good copy in its place.")
    return HubError(f"The task hub cannot be written ({error}). Nothing of it is lost; free the disk.")
