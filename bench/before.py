"""This project as it was at 50c8bb4, host and app in one process, measured by the benches of today.

Its tree is taken from this repository's history to bench/out/before, with a link to today's bench/ in it.
Not here: what is compared with it (`monitors`, `starts`, `fan_out`).
"""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from bench.peers.install import PeerMissing
from bench.processes import ROOT

COMMIT = "50c8bb4"
NAME = f"this project at {COMMIT}, one process"


def folder(out: Path) -> Path:
    """Where that tree is; it is made unless it is there.

    Raises: PeerMissing where this is not a git clone, or the clone has no such commit.
    """
    target = out / "before" / COMMIT
    if target.is_dir():
        return target
    command = ["git", "-C", str(ROOT), "archive", COMMIT, "durable_host"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise PeerMissing(f"{COMMIT}: git could not be run: {error}") from None
    if done.returncode != 0:
        raise PeerMissing(f"{COMMIT}: {' '.join(done.stderr.decode().split())[-200:]}")
    shutil.rmtree(target.parent, ignore_errors=True)
    new = target.with_suffix(".new")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(new, filter="data")
    (new / "bench").symlink_to(ROOT / "bench")
    new.rename(target)
    return target
