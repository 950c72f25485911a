"""Hosts and peers as processes: started, looked at, killed.

Not here: what is sent to them (`client`).
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_MB = 1_000_000


@contextmanager
def running(
    command: Sequence[str | Path], env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process while the block lasts; it is killed at the end. Its output goes nowhere."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9, with whatever the process has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def output(command: Sequence[str | Path], env: Mapping[str, str] | None = None, timeout_s: float = 300) -> str:
    """What a process prints.

    Raises: RuntimeError with the end of its error output when it fails.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode != 0:
        tail = " ".join(done.stderr.split())[-300:]
        raise RuntimeError(f"{' '.join(map(str, command[:4]))} ended with {done.returncode}: {tail}")
    return done.stdout


def python(module: str, *arguments: str | Path) -> list[str | Path]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]


def command_line(port: int, hub: Path) -> list[str | Path]:
    """The command that starts the app as a user does, with the sandbox. Console lines are on."""
    return python("durable_host", "--sandbox", "0", "--port", str(port), "--hub", hub)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def rss_mb(pid: int) -> float:
    """The memory that a process holds, in MB (10^6 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / _MB


def cpu_s(pid: int) -> float:
    """The CPU time that a process has taken, in seconds."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    # The second field is the name in parentheses, and may hold blanks.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
