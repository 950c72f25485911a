"""The sandbox's page: what it may load and do, and that it offers what the API takes."""

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.server import Sandbox
from tests.conftest import ROOT

PAGE = ROOT / "sandbox" / "page"


class Page(HTMLParser):
    """The tags of a page, each with its attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


async def call(method: str, url: str, **options: Any) -> requests.Response:
    return await asyncio.to_thread(requests.request, method, url, timeout=30, **options)


async def test_the_page_and_all_it_loads_come_from_the_sandbox(sandbox: Sandbox) -> None:
    page = await call("GET", f"{sandbox.url}/")

    assert page.headers["Content-Type"].startswith("text/html")
    loaded = [
        value
        for _, attributes in Page(page.text).tags
        for name in ("src", "href")
        if (value := attributes.get(name))
    ]
    assert {Path(path).name for path in loaded} == {path.name for path in PAGE.iterdir()} - {"index.html"}
    for path in loaded:
        assert (await call("GET", f"{sandbox.url}/{path}")).status_code == 200, path


async def policy(sandbox: Sandbox) -> dict[str, str]:
    page = await call("GET", f"{sandbox.url}/")
    return dict(part.split(maxsplit=1) for part in page.headers["Content-Security-Policy"].split(";"))


async def test_the_policy_forbids_every_other_source_inline_code_and_framing(sandbox: Sandbox) -> None:
    page = await call("GET", f"{sandbox.url}/")

    directives = await policy(sandbox)
    assert directives["default-src"] == "'none'"
    assert set(directives.values()) == {"'none'", "'self'"}
    assert directives["frame-ancestors"] == directives["base-uri"] == directives["form-action"] == "'none'"
    assert page.headers["X-Content-Type-Options"] == "nosniff"


async def test_only_the_page_that_it_is_told_of_may_frame_it(sandbox: Sandbox) -> None:
    sandbox.allow_frame("http://localhost:7171")

    directives = await policy(sandbox)

    assert directives.pop("frame-ancestors") == "http://localhost:7171 http://127.0.0.1:7171"
    assert set(directives.values()) == {"'none'", "'self'"}


def test_nothing_in_the_page_needs_a_looser_policy() -> None:
    for tag, attributes in Page((PAGE / "index.html").read_text()).tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


def test_no_stored_text_can_become_html() -> None:
    script = (PAGE / "page.js").read_text()

    assert "textContent" in script
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|eval\(|new Function", script
    )


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_no_file_of_the_page_names_another_server(path: Path) -> None:
    text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")

    assert not re.search(r"https?://|//\w+\.\w|@import|url\(", text)


async def test_the_page_offers_each_fault_the_api_takes_and_no_other(sandbox: Sandbox) -> None:
    selects: list[list[str]] = []
    for tag, attributes in Page((PAGE / "index.html").read_text()).tags:
        if tag == "select":
            selects.append([])
        elif tag == "option":
            selects[-1].append(attributes["value"] or "")
    offered = {"twilio": selects[0], "github/repos/octo/cat": selects[1]}

    for path, values in offered.items():
        refusal = (await call("PUT", f"{sandbox.url}/{path}", data='{"status": "x"}')).json()["error"]["message"]
        taken = re.findall(r"\d{3}|(?<=\")[a-z ]+(?=\"[,;])", refusal)
        assert values == ["", *taken]
