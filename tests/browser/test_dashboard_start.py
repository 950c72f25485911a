"""The start form, for apps of every make: what it asks for, what it sends, what it does with the answer."""

from pathlib import Path

import pytest

from durable_host import Host
from tests.browser.apps import write_app
from tests.browser.browsing import Page, expect
from tests.browser.conftest import Open
from tests.host.apps import HTTP, RETURN, STARTER, write_function

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ROUTE = {**HTTP, "route": "{workflow}/Begin/{*rest}", "methods": ["put"]}
BEGIN = """\
import json


def main(req, starter):
    return json.dumps([dict(req.route_params), req.get_json()]) + " call +14255550123"
"""
SAMPLE = '{"isIt": true, "id": 12345678901234567890, "no": null, "text": "5"}'


@pytest.fixture
def has_starter() -> bool:
    """Whether the app has an HTTP function with a durable client."""
    return True


@pytest.fixture
def app(tmp_path: Path, has_starter: bool) -> Path:
    root = write_app(tmp_path / "app")
    if has_starter:
        folder = write_function(root, "Begin", BEGIN, ROUTE, RETURN, STARTER)
        (folder / "sample.dat").write_text(SAMPLE)
    return root


async def start(page: Page) -> None:
    await page.get_by_role("button", name="Start", exact=True).click()


async def test_what_a_function_answers_that_names_no_instance_is_shown(open_dashboard: Open) -> None:
    page = (await open_dashboard("start")).page
    await expect(page.get_by_text("PUT /api/{workflow}/Begin/{*rest}")).to_be_visible()
    await page.get_by_label("workflow").select_option("Nap")
    await page.get_by_label("rest").fill("a b/c")
    await page.get_by_label("isIt").uncheck()

    await start(page)

    await expect(page.locator("#start-answer")).to_have_text(
        '[{"workflow": "Nap", "rest": "a b/c"}, {"isIt": false, "id": 12345678901234567890, "text": "5"}]'
        " call +1425*****23"
    )


async def test_what_fails_in_a_function_is_told_below_the_form(open_dashboard: Open) -> None:
    page = (await open_dashboard("start")).page
    await page.get_by_role("button", name="Edit as JSON").click()
    await page.get_by_label("Body").fill("{")

    await start(page)

    await expect(page.locator("#start-problem")).to_have_text(
        "The host answered 500 without a reason. Its console has one."
    )


async def test_what_was_typed_stays_while_the_functions_are_asked_for_again(open_dashboard: Open) -> None:
    page = (await open_dashboard("start")).page
    await page.get_by_label("text").fill("typed")

    async with page.expect_response("**/admin/functions", timeout=20_000):
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    await expect(page.get_by_label("text")).to_have_value("typed")


@pytest.mark.parametrize("has_starter", [False])
async def test_an_app_without_such_a_function_is_started_by_the_durable_http_api(open_dashboard: Open) -> None:
    dashboard = await open_dashboard("start")
    page = dashboard.page
    await page.get_by_label("functionName").select_option("Wait")
    await expect(page.get_by_role("navigation", name="By what")).to_be_hidden()
    await page.get_by_label("instanceId").fill("waiting")
    await page.get_by_label("Body").fill('{"state": "quiet"}')

    await start(page)

    await dashboard.is_at("instances/waiting")
    await expect(page.get_by_role("main")).to_contain_text("statequiet")


async def test_a_host_without_a_sandbox_says_how_it_gets_one(
    open_dashboard: Open, app: Path, tmp_path: Path
) -> None:
    async with Host(app, hub=tmp_path / "other.db", in_process=True) as other:
        page = (await open_dashboard("sandbox", at=other.url)).page

        await expect(page.get_by_text("This host runs no stand-ins")).to_be_visible()
        await expect(page.get_by_role("link", name="Sandbox")).to_be_hidden()
