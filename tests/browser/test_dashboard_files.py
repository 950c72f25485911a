"""The dashboard's files: their weight, and that nothing in them needs a looser policy or another server."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "durable_host" / "http" / "dashboard"
FILES = sorted(FOLDER.iterdir())


class Page(HTMLParser):
    """The tags of index.html, each with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed((FOLDER / "index.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_weighs_less_than_100_kb_without_its_indentation() -> None:
    lines = [line for path in FILES for line in path.read_text(encoding="utf-8").splitlines()]

    assert sum(len(f"{line.strip()}\n".encode()) for line in lines) < 100_000


def test_no_file_knows_the_app() -> None:
    names = [folder.parent.name for folder in ROOT.glob("*/function.json")]
    fields = json.loads((ROOT / "HttpStart" / "sample.dat").read_text()).keys() - {"phone"}  # Numbers are masked.
    words = "|".join([*names, *fields, "threshold", "openIssues", "nextCheck", "GitHub", "Twilio", "SMS"])

    assert [path.name for path in FILES if re.search(rf"\b({words})\b", path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "path", [*FOLDER.glob("*.js"), *(ROOT / "sandbox" / "page").glob("*.js")], ids=lambda path: path.name
)
def test_a_line_of_javascript_fits_115_columns(path: Path) -> None:
    assert [line for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 115] == []


def test_every_file_is_used() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    for path in FILES:
        assert path.name == "index.html" or any(re.search(rf"[\"/]{path.name}\"", text) for text in texts), path


def test_no_code_or_style_stands_in_the_page() -> None:
    for tag, attributes in Page().tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_reads_markup_or_names_another_server(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|eval\(|new Function", text
    )
    assert not re.search(r"https?://(?!localhost:)\w|@import|url\(", text)


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_each_module_says_what_it_is_for(path: Path) -> None:
    assert re.match(r"// [A-Z].*[.:]\n", path.read_text(encoding="utf-8"))
