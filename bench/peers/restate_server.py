"""Monitors on Restate: a server from npm, the service on Python or Node, and a client that waits for each's end.

Not here: the monitor (`restate/service.py`, `restate/service.mjs`).
"""

import asyncio
import shutil
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.client import Client, post_many
from bench.peers.install import Environment
from bench.processes import cpu_s, free_port, running

_SERVICES = Path(__file__).parent / "restate"
_REQUEST = {"repo": "octo/cat"}


def python_service(environment: Environment) -> list[str | Path]:
    """The command that serves the monitor on Python; a port follows."""
    return [environment.python, _SERVICES / "service.py"]


def node_service(environment: Environment) -> list[str | Path]:
    """The command that serves the monitor on Node; a port follows."""
    # Node looks for packages beside the file.
    return ["node", shutil.copy(_SERVICES / "service.mjs", environment.node_modules.parent)]


def run_monitors(
    environment: Environment, service_command: list[str | Path], count: int, starters: int, out: Path
) -> dict[str, float]:
    """Monitors a second from POST to their end, and the CPU milliseconds of each in server and service."""
    (server,) = environment.node_modules.glob("@restatedev/restate-server-*/bin/restate-server")
    ingress, admin, node, service = (free_port() for _ in range(4))
    settings = {
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_BIND_PORT": str(node),
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "error",
    }
    with (
        TemporaryDirectory(dir=out) as data,
        running([server, "--base-dir", data, "--node-name", "bench"], settings) as engine,
        running([*service_command, str(service)]) as handler,
    ):
        to_admin = Client(admin)
        deployment = {"uri": f"http://127.0.0.1:{service}"}
        to_admin.until(201, "POST", "/deployments", deployment)
        to_admin.close()
        base = f"http://localhost:{ingress}/Monitor"
        # Its partitions have leaders only a moment after it answers: the first monitors wait for them.
        asyncio.run(
            post_many([f"{base}/{uuid.uuid4().hex}/run" for _ in range(starters)], _REQUEST, starters, 200)
        )
        before = cpu_s(engine.pid) + cpu_s(handler.pid)
        urls = [f"{base}/{uuid.uuid4().hex}/run" for _ in range(count)]
        load = asyncio.run(post_many(urls, _REQUEST, starters, 200))
        cpu_ms = (cpu_s(engine.pid) + cpu_s(handler.pid) - before) * 1000 / count
    return {"per_s": load.per_s, "cpu_ms": cpu_ms}
