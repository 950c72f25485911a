"""The README's story in a browser, from the empty page to the SMS and the reasons; and its pictures."""

from pathlib import Path

import pytest

from durable_host import Host
from sandbox.server import Sandbox
from tests.browser.browsing import Dashboard, Page, expect
from tests.browser.conftest import Open
from tests.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def start_a_monitor(page: Page, repo: str, instance_id: str) -> None:
    """Start one with the page's form, at the app's own pace of a check a minute."""
    await page.get_by_role("link", name="Start an instance").first.click()
    await page.get_by_label("repo").fill(repo)
    await page.get_by_label("interval_seconds").fill("")
    await page.get_by_label("instanceId").fill(instance_id)
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("heading", name=instance_id)).to_be_focused()


async def take_pictures(dashboard: Dashboard, folder: Path | None) -> None:
    for scheme in ("light", "dark") if folder else ():
        await dashboard.page.emulate_media(color_scheme=scheme)
        await dashboard.page.screenshot(path=f"{folder}/dashboard-{scheme}.png", animations="disabled")


async def test_the_readme_s_story(
    open_dashboard: Open, sandbox: Sandbox, host: Host, pictures: Path | None
) -> None:
    dashboard = await open_dashboard(device_scale_factor=2 if pictures else 1)
    page = dashboard.page
    await expect(page.get_by_text("Nothing has been started yet.")).to_be_visible()
    sample = (ROOT / "HttpStart" / "sample.dat").read_text().strip()
    await expect(
        page.get_by_text(f"curl -X POST {host.url}/orchestrators/E3_Monitor -d '{sample}'")
    ).to_be_visible()
    await expect(dashboard.sandbox.get_by_text("No SMS yet.")).to_be_visible()

    # A monitor is started, and its first check seen.
    await start_a_monitor(page, "octo/cat", "octo-cat")
    status = page.locator(".values section", has=page.get_by_role("heading", name="Custom status"))
    await expect(status).to_contain_text("checks1")
    await expect(status).to_contain_text("not too many")
    await expect(status).to_contain_text("(in 5")
    await expect(page.get_by_role("region", name="Time", exact=True)).to_contain_text("next timer in")

    # Its next poll is skipped to: still two issues.
    await page.get_by_role("button", name="Skip to next").click()
    await expect(status).to_contain_text("checks2")

    # The repository gets three issues more, and the poll after that sends the SMS.
    for count in ("3", "4", "5"):
        await dashboard.sandbox.get_by_role("button", name="More open issues in octo/cat").click()
        await expect(dashboard.sandbox.get_by_label("open issues in octo/cat", exact=True)).to_have_value(count)
    await page.get_by_role("button", name="Skip to next").click()
    messages = dashboard.sandbox.get_by_role("list", name="Messages").get_by_role("listitem")
    await expect(messages).to_contain_text(["octo/cat has more than 3 open issues"])
    await expect(messages).to_contain_text(["to +1425*****00"])

    # The instance says how it came to that.
    view = page.get_by_role("main")
    await expect(view.get_by_text("Completed").first).to_be_visible()
    await expect(view.get_by_text("alerted")).to_be_visible()
    rows = view.get_by_role("region", name="Timeline").get_by_role("listitem")
    await expect(rows).to_contain_text(
        [
            *("Started", "Activity E3_TooManyOpenIssues", "Timer", "Activity E3_TooManyOpenIssues", "Timer"),
            *("Activity E3_TooManyOpenIssues", "Activity E3_SendAlert", "Completed"),
        ]
    )
    await expect(rows.nth(2)).to_contain_text("fired")
    await expect(rows.nth(3)).to_contain_text("false")
    await expect(rows.nth(5)).to_contain_text("true")
    await expect(rows.nth(6)).to_contain_text(sandbox.sms[0]["sid"])
    await take_pictures(dashboard, pictures)

    # Another is ended before its time.
    await start_a_monitor(page, "octo/dog", "octo-dog")
    await page.get_by_role("button", name="Terminate").click()
    dialog = page.get_by_role("dialog", name="Terminate")
    await dialog.get_by_label("Reason").fill("the dog is gone")
    await dialog.get_by_role("button", name="Terminate").click()
    await expect(page.get_by_role("main")).to_contain_text("Terminated")
    await expect(page.get_by_text("the dog is gone").first).to_be_visible()

    # A third fails, and says why.
    sandbox.set_repository("octo/fox", status=404)
    await start_a_monitor(page, "octo/fox", "octo-fox")
    reason = page.get_by_role("main").locator("section", has_text="Why it failed").first
    await expect(reason).to_contain_text("GitHub finds no repository octo/fox (404): check its name")

    # The list has all three, the newest first.
    await page.get_by_role("link", name="Instances", exact=True).click()
    lines = page.get_by_role("table", name="Instances").get_by_role("row")
    await expect(lines).to_contain_text(["Status", "", "", ""])
    text = "\n".join(await lines.all_inner_texts())
    assert all(word in text for word in ("Failed", "Terminated", "Completed", "outcome alerted · checks 3"))
    assert (await host.status("octo-dog") or {})["output"] == "the dog is gone"
    assert [message["to"] for message in sandbox.sms] == ["+14255550100"]
