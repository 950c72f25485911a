"""Hosts and peers as processes: started, looked at, killed.

Not here: what is sent to them (`client`).
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_MB = 1_000_000


@contextmanager
def running(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    folder: Path = ROOT,
    kept: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A process while the block lasts; it is killed at the end. Its output goes nowhere.

    Args:
        kept: descriptors that it has too.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=kept,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9, with what is in the process's group; a worker, which is not, ends when it sees its host gone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until_exists(file: Path, within_s: float = 30) -> None:
    """Return once the file is there. Raises: TimeoutError."""
    deadline = time.perf_counter() + within_s
    while not file.exists():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{file.name} is not there after {within_s} s.")
        time.sleep(0.01)


def output(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    timeout_s: float = 300,
    folder: Path = ROOT,
) -> str:
    """What a process prints.

    Raises: RuntimeError with the end of its error output when it fails.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
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


def tree(pid: int) -> list[int]:
    """A process, what it has started, what that has started, and so on: a host's worker is among them."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):  # It has ended since.
                children.setdefault(int(_stat(int(folder.name))[1]), []).append(int(folder.name))
    found = [pid]
    for each in found:  # It grows meanwhile.
        found += children.get(each, [])
    return found


def pss_mb(pid: int) -> float:
    """The memory of a process and of what it has started, in MB (10^6 bytes); what they share counts once."""
    return sum(_pss_kb(each) for each in tree(pid)) * 1024 / _MB


def cpu_s(pid: int) -> float:
    """The CPU time that a process and what it has started have taken, in seconds."""
    return sum(cpu_of_each_s(pid).values())


def cpu_of_each_s(pid: int) -> dict[int, float]:
    """The same of each of these processes."""
    stats = {each: _stat(each) for each in tree(pid)}
    return {each: (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND for each, fields in stats.items()}


def _pss_kb(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1])


def _stat(pid: int) -> list[str]:
    """What /proc/PID/stat says after the name: that stands in parentheses, and may hold blanks."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return stat.rpartition(")")[2].split()
