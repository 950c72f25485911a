"""Installs the peers under bench/out/peers, each into its own environment, from PyPI and npm.

Not here: what they run.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_WITHIN_S = 300
_LISTS = ("requirements.txt", "package.json")


class PeerMissing(Exception):
    """A peer that cannot be installed here; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A peer's Python, and where its npm packages are."""

    python: Path
    node_modules: Path


def install(name: str, folder: Path) -> Environment:
    """Make the environment of one peer, unless it is there already: what bench/peers/NAME asks for.

    Raises: PeerMissing.
    """
    source = _HERE / name
    target = folder / name
    environment = Environment(target / "bin" / "python", target / "node_modules")
    wanted = "".join(file.read_text() for name in _LISTS if (file := source / name).is_file())
    mark = target / "installed.txt"
    if mark.is_file() and mark.read_text() == wanted:
        return environment
    shutil.rmtree(target, ignore_errors=True)
    _run(name, [sys.executable, "-m", "venv", target])
    pip: list[str | Path] = [environment.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run(name, [*pip, "-r", source / "requirements.txt"])
    if (source / "package.json").is_file():
        shutil.copy(source / "package.json", target)
        # Without the scripts: they report the installation to somebody.
        _run(
            name, ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", target]
        )
    mark.write_text(wanted)
    return environment


def _run(name: str, command: list[str | Path]) -> None:
    try:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"{name}: {command[0]} could not be run: {error}") from None
    if done.returncode != 0:
        tail = " ".join((done.stderr or done.stdout).split())[-200:]
        raise PeerMissing(f"{name} could not be installed: {tail}")
