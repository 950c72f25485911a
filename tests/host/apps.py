"""Function apps written for one test."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from durable_host.dispatch.workers import OUTPUTS, declared
from durable_host.functions.triggers import FunctionApp, read_app
from durable_host.worker.loading import AppCode, load
from tests.conftest import APPS

POISON_APP = APPS / "poison"
IMPORTS = (
    "import typing\nfrom typing import *\nimport azure.functions as func\nimport azure.durable_functions as df\n"
)
BUNDLE = {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}
ORCHESTRATOR = {"name": "context", "type": "orchestrationTrigger", "direction": "in"}
ACTIVITY = {"name": "value", "type": "activityTrigger", "direction": "in"}
HTTP = {"name": "req", "type": "httpTrigger", "direction": "in", "authLevel": "anonymous"}
RETURN = {"name": "$return", "type": "http", "direction": "out"}
STARTER = {"name": "starter", "type": "durableClient", "direction": "in"}
# An orchestrator.
SLEEP = """
from datetime import timedelta
import azure.durable_functions as df

def sleep(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    return "woke"

main = df.Orchestrator.create(sleep)
"""
SMS = {"name": "message", "type": "twilioSms", "direction": "out"}


def write_function(root: Path, name: str, code: str, *bindings: Mapping[str, Any], **more: Any) -> Path:
    """Write a function with `__init__.py`, and the app's host.json if there is none; the function's folder."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(code)
    (folder / "function.json").write_text(json.dumps({"bindings": bindings, **more}))
    if not (root / "host.json").exists():
        write_host_json(root)
    return folder


def write_host_json(root: Path, **more: Any) -> None:
    root.mkdir(exist_ok=True)
    (root / "host.json").write_text(json.dumps({"version": "2.0", "extensionBundle": BUNDLE, **more}))


@contextmanager
def loaded(root: Path) -> Iterator[FunctionApp]:
    """The app, with what a worker said of its functions; its code is unloaded afterwards."""
    app = read_app(root, OUTPUTS)
    code = AppCode(app.root)
    try:
        functions = [load(declared(each), code) for each in app.functions]
        yield app.with_errors({each.declared.name: each.error for each in functions if each.error is not None})
    finally:
        code.unload()


def load_error(root: Path, code: str, *bindings: dict[str, str], **more: str) -> str:
    """What each call of a function F with this code would fail with."""
    write_function(root, "F", IMPORTS + code, *bindings, **more)
    with loaded(root) as app:
        error = app.functions[0].load_error
        return "" if error is None else str(error)


def without_marks(stack: str) -> str:
    """A stack's lines without those of `^` and `~`, which Python 3.13 puts under more calls than 3.11."""
    return re.sub(r"^ *[~^]+\n", "", stack, flags=re.MULTILINE)


async def do(url: str, body: str, function: str = "Do") -> Any:
    """What the poison app's function returns that runs this body of a function; `AsyncDo` runs a coroutine's."""
    async with ClientSession() as client, client.post(f"{url}/{function}", data=body) as answer:
        assert answer.status == 200, answer.status
        return json.loads(await answer.text())


async def ended(pid: int) -> None:
    """Return once a process has ended that is no child of ours; where nobody reaps it, it is a zombie then."""
    stat = Path(f"/proc/{pid}/stat")
    async with asyncio.timeout(50):
        with suppress(FileNotFoundError, ProcessLookupError):
            while True:
                if (await asyncio.to_thread(stat.read_text)).rpartition(")")[2].split()[0] == "Z":
                    return
                await asyncio.sleep(0.02)  # noqa: TID251 - Another process's end cannot be awaited.
