"""The golden app, whose orchestrators do one small thing each, and the part of it that a test needs.

Each host that starts imports every function of its app; here these are 150, of which a test calls a few.
"""

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tests.conftest import APPS

TESTS = Path(__file__).parent
WHOLE = APPS / "golden"
FUNCTIONS = frozenset(file.parent.name for file in WHOLE.glob("*/function.json"))


def part_of_golden(text: str, folder: Path) -> Path:
    """Make an app, in a new folder, of the functions that the text names and those that they name."""
    names: set[str] = set()
    while found := (FUNCTIONS & set(re.findall(r"\w+", text))) - names:
        names |= found
        text = "\n".join((WHOLE / name / "__init__.py").read_text(encoding="utf-8") for name in found)
    folder.mkdir(parents=True)
    shutil.copy(WHOLE / "host.json", folder)
    for name in names or {"T_Instant"}:  # Without any function it would not be an app.
        (folder / name).symlink_to(WHOLE / name)
    return folder


@cache
def named_by(*files: Path) -> Path:
    """An app, in a folder of its own, of the functions that these tests name."""
    scratch = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, scratch)
    return part_of_golden("\n".join(file.read_text(encoding="utf-8") for file in files), Path(scratch) / "golden")


GOLDEN_APP = named_by(*(file for folder in ("host", "hostile") for file in (TESTS / folder).glob("**/*.py")))
