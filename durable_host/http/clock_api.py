"""The clock over HTTP: what time it is for the instances, when the next timer is due, and moving on to it.

Not here: who may ask (`server`).
"""

import asyncio
import json
from datetime import MAXYEAR, timedelta

from durable_host.clock import Clock
from durable_host.dispatch.dispatcher import Dispatcher
from durable_host.hub.taskhub import TaskHub
from durable_host.values import JSON, stamp

_USAGE = 'Send {"skip": "next"}, or {"advance_seconds": N} with N of 0 to ten years.'
_REAL_TIME = "This host keeps real time. Start it with --sandbox or --skip-time to skip some of it."
_SKIP_TIMEOUT_S = 30
_LONGEST_ADVANCE_S = 10 * 366 * 86_400


class ClockApi:
    """Answers with a status and JSON: `{"now": ISO, "next": ISO or null, "skipped_seconds": 0.0}`, or an error.

    Args:
        may_skip: the clock may be moved.
    """

    def __init__(self, clock: Clock, hub: TaskHub, dispatcher: Dispatcher, may_skip: bool) -> None:
        self._clock = clock
        self._hub = hub
        self._dispatcher = dispatcher
        self._may_skip = may_skip

    def state(self) -> tuple[int, JSON]:
        """What the clock shows."""
        now = self._clock.now()
        due = self._hub.next_timer(now)
        return 200, {
            "now": stamp(now),
            "next": due and stamp(due),
            "skipped_seconds": self._clock.skipped.total_seconds(),
        }

    async def move(self, body: bytes) -> tuple[int, JSON]:
        """Do what a request says, and then what the clock shows; the error when it cannot be done."""
        if not self._may_skip:
            return 409, {"error": _REAL_TIME}
        wish = _wish(body)
        if wish is None:
            return 400, {"error": _USAGE}
        try:
            async with asyncio.timeout(_SKIP_TIMEOUT_S):
                if isinstance(wish, timedelta):
                    await self._dispatcher.advance(wish)
                elif await self._dispatcher.skip() is None:
                    return 409, {"error": "No timer is waiting, so there is nothing to skip to."}
        except OverflowError:
            return 400, {"error": f"{_USAGE} The clock ends with the year {MAXYEAR}."}
        except TimeoutError:
            text = f"Functions have been running for {_SKIP_TIMEOUT_S} s; time is skipped only when none is."
            return 409, {"error": text}
        return self.state()


def _wish(body: bytes) -> str | timedelta | None:
    """What a POST to the clock asks for: "next", or a span; None when it is neither."""
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match wish:
        case {"skip": "next", **rest} if not rest:
            return "next"
        case {"advance_seconds": int() | float() as seconds, **rest} if not rest and not isinstance(seconds, bool):
            return timedelta(seconds=seconds) if 0 <= seconds <= _LONGEST_ADVANCE_S else None
    return None
