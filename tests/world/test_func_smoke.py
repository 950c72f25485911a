"""`scripts/func-smoke.sh`: it says when there are no Core Tools, and its story holds, on the embedded host."""

import os
import socket
import sys
from pathlib import Path

from tests.conftest import ROOT, needs_shell
from tests.processes import run

SCRIPT = ROOT / "scripts" / "func-smoke.sh"


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


async def test_without_core_tools_it_says_that_nothing_was_tested() -> None:
    code, printed = await run(SCRIPT, env={"PATH": "/usr/bin:/bin"})

    assert code == 77
    assert printed == (
        "func-smoke: nothing was tested: func is not here (npm install -g azure-functions-core-tools@4)\n"
    )


@needs_shell
async def test_its_story_holds_on_a_host_that_is_started_as_func_is(tmp_path: Path) -> None:
    func = tmp_path / "func"
    func.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m durable_host --port "$3"\n')
    func.chmod(0o755)
    # Something has to stand for Azurite: with a listener there, it is not started.
    with socket.create_server(("127.0.0.1", 0)) as storage:
        env = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "FUNC_PORT": _free_port(),
            "SANDBOX_PORT": _free_port(),
            "BLOB_PORT": str(storage.getsockname()[1]),
        }
        code, printed = await run(SCRIPT, env=env)

    assert code == 0, printed
    assert "\nSMS: octo/cat has more than 3 open issues: https://github.com/octo/cat/issues\n" in printed
    assert printed.endswith("\nfunc-smoke: it works\n")
