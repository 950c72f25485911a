"""Chromium under Playwright, and the dashboard in it; where either is missing, whoever imports this is skipped."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

pytest.importorskip(
    "playwright", reason="THE DASHBOARD IS NOT TESTED: no Playwright here; run `make test-browser`"
)

from playwright.async_api import Browser, FrameLocator, Locator, Page, async_playwright, expect

expect.set_options(timeout=30_000)  # A page on a busy machine is slow; Playwright waits 5 s.

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("THE DASHBOARD IS NOT TESTED: no Chromium here; run `make test-browser`", allow_module_level=True)

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WIDE, NARROW = {"width": 1380, "height": 800}, {"width": 390, "height": 844}

__all__ = ["NARROW", "WIDE", "Browser", "Dashboard", "Locator", "Page", "expect", "launched"]


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """Chromium, until the block ends."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@dataclass(slots=True)
class Dashboard:
    """The dashboard of a host in a page, with what went wrong in it and what it asked for."""

    page: Page
    url: str
    origins: tuple[str, ...]
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.problems.append(f"threw: {error}"))
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("dialog", lambda dialog: self.problems.append(f"a dialog opened: {dialog.message}"))

    def _heard(self, kind: str, text: str) -> None:
        # The browser itself reports each answer that is an error; the page shows those.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.problems.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((*self.origins, "blob:", "data:")):
            self.problems.append(f"asked for {url}")

    @property
    def sandbox(self) -> FrameLocator:
        """The sandbox's page in its frame."""
        return self.page.frame_locator("iframe[title=Sandbox]")

    async def open(self, path: str = "") -> None:
        """Go to the page, or to a view of it: `start`, `instances/ID`, `?status=Failed`."""
        await self.page.goto(f"{self.url}#/{path}")

    async def is_at(self, pattern: str) -> None:
        """Wait until the view's address is so."""
        await self.page.wait_for_url(re.compile(r"#/" + pattern + "$"))
