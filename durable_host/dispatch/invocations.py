"""One call of a function, as the console tells of it: Executing, and then Executed with what came of it.

Not here: the call itself (`bindings`), and which functions have been running for long (`watchdog`).
"""

import logging
import uuid
from datetime import timedelta

from durable_host.clock import Clock

log = logging.getLogger(__name__)


class Invocation:
    """A call that begins now; `id` is what the function is told.

    Args:
        reason: why it is called; the console's word for a trigger of the durable extension is (null).
    """

    def __init__(self, name: str, clock: Clock, reason: str = "(null)") -> None:
        self.id = str(uuid.uuid4())
        self._name = name
        self._clock = clock
        log.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", name, reason, self.id)
        self._begun_at = clock.now()

    def end(self, problem: str | None = None) -> None:
        """Tell that it is over, and the problem if it has failed; an empty one has been told elsewhere."""
        took_ms = (self._clock.now() - self._begun_at) // timedelta(milliseconds=1)
        if problem is None:
            log.info("Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)", self._name, self.id, took_ms)
        else:
            more = problem and f"\n{problem}"
            log.error(
                "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)%s", self._name, self.id, took_ms, more
            )
