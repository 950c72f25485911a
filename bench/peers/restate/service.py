"""The monitor on Restate's Python SDK, served for a Restate server: `python service.py PORT`.

Runs in the peer's environment.
"""

import asyncio
import sys
from datetime import timedelta
from typing import Any

import restate  # type: ignore[import-not-found]
from hypercorn.asyncio import serve  # type: ignore[import-not-found]
from hypercorn.config import Config  # type: ignore[import-not-found]

_POLLS = 5
_INTERVAL = timedelta(milliseconds=1)


def check() -> bool:
    """Check one repository."""
    return False


async def run(context: Any, request: dict[str, Any]) -> dict[str, int]:
    """Check five times, a millisecond after each check."""
    for checks in range(1, _POLLS + 1):
        too_many = await context.run_typed("check", check)
        context.set("status", {"checks": checks, "tooMany": too_many})
        await context.sleep(_INTERVAL)
    return {"checks": _POLLS}


def main(port: int) -> None:
    """Serve until killed."""
    monitor = restate.Workflow("Monitor")
    monitor.main()(run)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    asyncio.run(serve(restate.app([monitor]), config))


if __name__ == "__main__":
    main(int(sys.argv[1]))
