"""docs/differences.md is the one list of what differs from Azure: each row is shown, and nothing else is known."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.golden_replay import known, recording

PAGE = (ROOT / "docs" / "differences.md").read_text("utf-8")
LINES = [line for line in PAGE.splitlines() if line.startswith("| ")]
CELLS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in LINES]
ROWS = {cells[0].strip(): cells for cells in CELLS if cells[0].strip() != "asked"}
KNOWN = known.load(recording.GOLDEN / "known_differences.json").entries
OF_THE_RECORDING = "recording: "


def shown_by(row: str) -> list[str]:
    return [each.strip() for each in ROWS[row][4].split(",")]


@pytest.mark.parametrize("row", sorted(ROWS))
def test_each_difference_is_shown_by_a_recording_or_a_test(row: str) -> None:
    names = shown_by(row)

    assert len(ROWS[row]) == 5
    for name in names:
        file, is_test, test = name.partition("::")
        if is_test:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / "tests" / file).read_text("utf-8"), re.MULTILINE)
        else:
            files = {each.file for each in KNOWN if each.why == row}
            assert files & {f"http/{name}.json", f"episodes/{name}.json"}, f"no recording {name} shows it"


def test_each_known_difference_is_a_row_of_the_page_or_of_its_recording() -> None:
    unexplained = {each.why for each in KNOWN if not each.why.startswith(OF_THE_RECORDING)} - ROWS.keys()

    assert unexplained == set()


def test_a_row_names_all_recordings_that_show_it() -> None:
    for each in KNOWN:
        if each.why in ROWS and each.file != "*":
            assert Path(each.file).stem in shown_by(each.why), each
