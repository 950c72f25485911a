"""The machine that measured, in one line.

Not here: any figure.
"""

import importlib.metadata
import os
import platform
from pathlib import Path


def line() -> str:
    """Cores, processor, memory, system, Python, SDK, and how busy the machine was before the first measurement."""
    cpu = _field("/proc/cpuinfo", "model name") or platform.machine()
    memory_gb = int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) * 1024 / 1e9
    sdk = importlib.metadata.version("azure-functions-durable")
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {cpu}, {memory_gb:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, azure-functions-durable {sdk}; "
        f"load {os.getloadavg()[0]:.2f} before the first measurement"
    )


def _field(file: str, name: str) -> str | None:
    """The value of the first line `name : value`."""
    for text in Path(file).read_text(encoding="utf-8").splitlines():
        key, _, value = text.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
