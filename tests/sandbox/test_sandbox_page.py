"""The sandbox's page: what it may load and do, and that it offers what the API takes."""

import asyncio
import re
from pathlib import Path
from typing import Any

import requests

from sandbox.server import Sandbox
from tests.conftest import ROOT

PAGE = ROOT / "sandbox" / "page"


async def call(method: str, url: str, **options: Any) -> requests.Response:
    return await asyncio.to_thread(requests.request, method, url, timeout=30, **options)


async def test_the_page_and_all_it_loads_come_from_the_sandbox(sandbox: Sandbox) -> None:
    page = await call("GET", f"{sandbox.url}/")

    assert page.headers["Content-Type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="(.+?)"', page.text)
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


async def test_the_page_offers_each_fault_the_api_takes_and_no_other(sandbox: Sandbox) -> None:
    page = (PAGE / "index.html").read_text()
    selects = [re.findall(r'<option value="(.*?)"', each) for each in page.split("<select")[1:]]
    offered = {"twilio": selects[0], "github/repos/octo/cat": selects[1]}

    for path, values in offered.items():
        refusal = (await call("PUT", f"{sandbox.url}/{path}", data='{"status": "x"}')).json()["error"]["message"]
        taken = re.findall(r"\d{3}|(?<=\")[a-z ]+(?=\"[,;])", refusal)
        assert values == ["", *taken]
