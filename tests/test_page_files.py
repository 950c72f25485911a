"""The files of the dashboard and of the sandbox's page: nothing in them makes markup or code of a text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import ROOT

DASHBOARD, SANDBOX = ROOT / "durable_host" / "http" / "dashboard", ROOT / "sandbox" / "page"
FILES = sorted([*DASHBOARD.iterdir(), *SANDBOX.iterdir()])
SCRIPTS = [file for file in FILES if file.suffix == ".js"]
MARKUP = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTML|srcdoc|\beval\b|"
    r"new Function|javascript:|setTimeout\(\s*['\"`]|\.setAttribute\(\s*['\"`]on"
)

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
each_script = pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: str(file.relative_to(ROOT)))
each_page = pytest.mark.parametrize("folder", [DASHBOARD, SANDBOX], ids=lambda folder: folder.name)


class Tags(HTMLParser):
    """The tags of a page, each with its attributes, in order."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@each_page
def test_no_code_or_style_stands_in_the_page(folder: Path) -> None:
    for tag, attributes in Tags(folder / "index.html").found:
        assert tag not in ("style", "base", "object")
        assert tag != "script" or attributes.get("src")
        assert tag != "iframe" or "src" not in attributes
        assert not [name for name in attributes if name in ("style", "action") or name.startswith("on")], tag


@each_file
def test_no_file_makes_markup_or_code_of_a_text_or_names_another_server(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")

    assert re.findall(MARKUP, text) == []
    assert re.findall(r"https?://(?!localhost:)\w|[\"'(]//|@import|url\(", text) == []


@each_page
def test_every_file_is_used(folder: Path) -> None:
    texts = [file.read_text(encoding="utf-8") for file in folder.iterdir()]
    for file in folder.iterdir():
        assert file.name == "index.html" or any(re.search(rf"[\"/]{file.name}\"", text) for text in texts), file


@each_script
def test_a_line_of_javascript_fits_115_columns(file: Path) -> None:
    assert [line for line in file.read_text(encoding="utf-8").splitlines() if len(line) > 115] == []


@each_script
def test_each_module_says_what_it_is_for(file: Path) -> None:
    assert re.match(r"// [A-Z].*[.:]\n", file.read_text(encoding="utf-8"))


def test_the_dashboard_weighs_less_than_100_kb_without_its_indentation() -> None:
    lines = [line for file in DASHBOARD.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]

    assert sum(len(f"{line.strip()}\n".encode()) for line in lines) < 100_000


def test_the_dashboard_does_not_know_the_app() -> None:
    names = [folder.parent.name for folder in ROOT.glob("*/function.json")]
    fields = json.loads((ROOT / "HttpStart" / "sample.dat").read_text()).keys() - {"phone"}  # Numbers are masked.
    words = "|".join([*names, *fields, "threshold", "openIssues", "nextCheck", "GitHub", "Twilio", "SMS"])
    texts = {file.name: file.read_text(encoding="utf-8") for file in DASHBOARD.iterdir()}

    assert [name for name, text in texts.items() if re.search(rf"\b({words})\b", text)] == []
