"""The list of instances: its lines, its filters, and the addresses that they have."""

import re
from pathlib import Path

import pytest

from durable_host import Host
from tests.browser.apps import write_app
from tests.browser.browsing import Locator, Page, expect
from tests.browser.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def lines(page: Page) -> Locator:
    """The rows of the table, its head left out."""
    return page.locator("tbody").get_by_role("row")


async def line(page: Page, instance_id: str) -> tuple[str, str, str]:
    """Status, orchestrator and the line about an instance, without a countdown's number and its input."""
    row = lines(page).filter(has=page.get_by_role("link", name=instance_id, exact=True))
    status, name, _, says, *_ = await row.get_by_role("cell").all_inner_texts()
    return status, name, re.sub(r"(?<=next in )[^·]*(?= ·)", "", says.partition("\n")[0])


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app")


async def test_each_line_says_what_its_instance_waits_for_or_how_it_ended(
    open_dashboard: Open, host: Host
) -> None:
    status = {"done": 3, "next": "2999-01-01T00:00:00+00:00", "since": "2020-01-01T00:00:00Z", "state": "quiet"}
    await host.start("Wait", status, "flat")
    await host.start("Wait", {"of": {"what": {"id": 12345678901234567890}}, "list": [1, None]}, "nested")
    await host.start("Wait", {"text": "call +14255550123"}, "other")
    await host.start("Wait", {f"k{number}": number for number in range(100)}, "long")
    await host.start("Break", None, "broken")
    await host.start("Wait", {}, "held")
    await host.suspend("held", "until Monday")
    await host.wait("broken")
    await host.idle()

    page = (await open_dashboard()).page

    await expect(lines(page)).to_have_count(6)
    name, says = (await line(page, "flat"))[1:]
    assert re.fullmatch(r"done 3 · next in  · since \d+ d ago · state quiet", says), says
    assert name == "Wait"
    assert (await line(page, "nested"))[2] == "id 12345678901234567890 · list [1,null]"
    assert await line(page, "other") == ("Running", "Wait", "text call +1425*****23")
    assert (await line(page, "long"))[2].endswith("k11 11 …")
    assert await line(page, "broken") == ("Failed", "Break", "ValueError: the glass broke")
    assert await line(page, "held") == ("Suspended", "Wait", "until Monday")


async def test_below_the_line_stands_what_the_instance_was_started_with(open_dashboard: Open, host: Host) -> None:
    await host.start("Again", {"turn": 1, "of": {"call": "+14255550123"}}, "again")

    page = (await open_dashboard()).page

    await expect(page.get_by_role("row", name="again")).to_contain_text("turn 1 · call +1425*****23")


async def test_it_follows_what_happens_and_the_focus_stays(open_dashboard: Open, host: Host) -> None:
    await host.start("Wait", {}, "first")
    page = (await open_dashboard()).page
    await page.get_by_role("link", name="first").focus()

    await host.start("Wait", {}, "second")
    await host.terminate("first", "that is it")

    await expect(lines(page)).to_have_count(2)
    await expect(page.get_by_role("row", name="first")).to_contain_text("Terminated")
    await expect(page.get_by_role("link", name="first")).to_be_focused()


async def test_filters_are_in_the_address_so_back_reload_and_a_pasted_link_show_the_same(
    open_dashboard: Open, host: Host
) -> None:
    for name in ("a-1", "a-2", "b-1"):
        await host.start("Wait", {}, name)
    await host.terminate("a-2")
    await host.idle()
    dashboard = await open_dashboard()
    page = dashboard.page

    await page.get_by_label("Id begins with").fill("a-")
    await dashboard.is_at(r"\?prefix=a-")
    await expect(lines(page)).to_have_count(2)
    await page.get_by_role("button", name="Running").click()
    await page.get_by_role("button", name="Terminated").click()
    await dashboard.is_at(r"\?prefix=a-&status=Running%2CTerminated")
    await page.get_by_role("button", name="Running").click()
    await expect(lines(page)).to_contain_text(["a-2"])
    await expect(lines(page)).to_have_count(1)

    await page.reload()
    await expect(lines(page)).to_contain_text(["a-2"])
    await expect(page.get_by_role("button", name="Terminated")).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_label("Id begins with")).to_have_value("a-")
    pasted = (await open_dashboard(page.url.partition("#/")[2])).page
    await expect(lines(pasted)).to_contain_text(["a-2"])
    await page.go_back()
    await expect(lines(page)).to_have_count(2)
    await page.go_back()
    await expect(lines(page)).to_contain_text(["a-1"])
    await expect(page.get_by_role("button", name="Terminated")).to_have_attribute("aria-pressed", "false")


async def test_what_nothing_matches_can_be_left(open_dashboard: Open, host: Host) -> None:
    await host.start("Wait", {}, "one")
    page = (await open_dashboard("?status=Failed&since=1h")).page
    await expect(page.get_by_text("No instance is like that.")).to_be_visible()

    await page.get_by_role("link", name="Show all instances").click()

    await expect(lines(page)).to_have_count(1)


async def test_a_host_that_went_away_is_missed_and_found_again(
    open_dashboard: Open, tmp_path: Path, app: Path
) -> None:
    async with Host(app, hub=tmp_path / "other.db", in_process=True) as other:
        page = (await open_dashboard(at=other.url)).page
        await expect(page.get_by_text("Nothing has been started yet.")).to_be_visible()
        port = int(other.url.rpartition(":")[2])
    await expect(page.get_by_role("alert").first).to_contain_text(f"{other.url} does not answer.")

    async with Host(app, hub=tmp_path / "other.db", port=port, in_process=True) as other:
        await other.start("Wait", {}, "later")

        await expect(lines(page)).to_contain_text(["later"])
        await expect(page.get_by_text("does not answer.")).to_be_hidden()
