"""Starts a worker's process. Imports little, so that the worker loads while the host still imports its own.

Not here: speaking to it (`drivers`).
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from durable_host.errors import HostError

_SCRIPT = Path(__file__).parents[1] / "worker" / "__main__.py"
_PIPE_BYTES = 1 << 20
_NEW_GROUP = 0x200  # subprocess.CREATE_NEW_PROCESS_GROUP, which is on Windows alone.


def spawn(root: Path, python: str | None = None) -> "subprocess.Popen[bytes]":
    """A worker that waits for its first message; it ends when its standard input does.

    Args:
        root: the app's folder, its current directory.
        python: the interpreter, which has the app's requirements; by default the one that runs the host.

    Raises: HostError when it cannot be started.
    """
    command = [python or sys.executable, "-P", str(_SCRIPT)]
    try:
        process = subprocess.Popen(
            command,
            bufsize=0,
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A group of its own: a Ctrl+C at the terminal is the host's.
            start_new_session=sys.platform != "win32",
            creationflags=_NEW_GROUP if sys.platform == "win32" else 0,
        )
    except OSError as error:
        raise HostError(f"{command[0]} cannot be started ({error.strerror}). {advice(root)}") from None
    _widen(process)
    return process


def advice(root: Path) -> str:
    """What to do when an interpreter does not suit the app; it names a virtual environment in the app's folder."""
    found = root / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    return f"Name the app's own Python with --python{f', such as {found}' if found.exists() else ''}."


def _widen(process: "subprocess.Popen[bytes]") -> None:
    """On Linux, let the pipes hold more than their 64 kB, so that neither side waits for the other so often."""
    if sys.platform == "linux":
        import fcntl

        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(OSError):  # A user may have only so much of it.
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
