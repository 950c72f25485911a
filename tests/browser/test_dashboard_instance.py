"""The page of one instance: what it shows of each kind of past, and what one can do to the instance."""

import json
from pathlib import Path

import pytest

from durable_host import Host
from tests.browser.apps import write_app
from tests.browser.browsing import Locator, Page, expect
from tests.browser.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app")


def rows(page: Page) -> Locator:
    return page.get_by_role("region", name="Timeline").get_by_role("listitem")


async def act(page: Page, action: str, **fields: str) -> Locator:
    """Open an action's dialog, fill it in, and confirm; the dialog."""
    await page.get_by_role("group", name="Actions").get_by_role("button", name=action).click()
    dialog = page.get_by_role("dialog", name=action)
    for label, text in fields.items():
        await dialog.get_by_label(label.replace("_", " ")).fill(text)
    await dialog.get_by_role("button", name=action).click()
    return dialog


async def test_a_running_activity_is_told_from_a_timer_that_waits(
    open_dashboard: Open, host: Host, tmp_path: Path
) -> None:
    until = tmp_path / "done"
    await host.start("Hold", {"until": str(until)}, "hold")
    await host.start("Nap", None, "nap")

    page = (await open_dashboard("instances/hold")).page
    await expect(rows(page)).to_contain_text(["Started", "Activity Holding"])
    await expect(rows(page).nth(1)).to_contain_text("running, called")
    until.touch()
    await expect(rows(page).nth(1)).to_contain_text("held")
    await expect(page.get_by_role("main")).to_contain_text("Completed")

    await page.goto(page.url.replace("hold", "nap"))
    await expect(rows(page)).to_contain_text(["Started", "Timer"])
    await expect(rows(page).nth(1)).to_contain_text("waits until")
    await host.skip()
    await expect(rows(page).nth(1)).to_contain_text("fired")
    await expect(rows(page).nth(2)).to_contain_text("waits until")


async def test_activities_that_were_called_together_are_one_episode_s(open_dashboard: Open, host: Host) -> None:
    await host.start("FanOut", {"many": 3}, "fan")
    await host.wait("fan")

    page = (await open_dashboard("instances/fan")).page
    await expect(rows(page)).to_contain_text(["Started", "Double", "Double", "Double", "Completed"])

    numbers = await rows(page).locator(".episode").all_text_contents()
    assert numbers[:4] == ["Episode 1", "", "", ""]
    assert numbers[4] > "Episode 1"


async def test_a_failed_activity_s_line_holds_its_python_stack(open_dashboard: Open, host: Host) -> None:
    await host.start("Break", None, "break")
    await host.wait("break")

    page = (await open_dashboard("instances/break")).page

    why = page.locator("section", has=page.get_by_role("heading", name="Why it failed"))
    await expect(why.locator(".message")).to_have_text(
        "Orchestrator function 'Break' failed: Activity function 'Breaking' failed: ValueError: the glass broke"
    )
    await expect(why.get_by_label("Where it was raised")).to_contain_text("raise ValueError(")
    await expect(rows(page).nth(1).locator("summary").first).to_have_text("ValueError: the glass broke")


async def test_an_instance_that_waits_for_nothing_else_waits_for_an_event_and_gets_it(
    open_dashboard: Open, host: Host
) -> None:
    await host.start("Wait", {"state": "waiting"}, "wait")
    page = (await open_dashboard("instances/wait")).page
    await expect(page.get_by_text("it waits for an external event")).to_be_visible()

    dialog = await act(page, "Raise event", Event_name="go", Data="{no json")
    await expect(dialog.get_by_role("alert").last).to_contain_text("character encountered while parsing")
    await dialog.get_by_label("Data").fill('{"go": [1, 2]}')
    await dialog.get_by_role("button", name="Raise event").click()

    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("main")).to_contain_text("Completed")
    await expect(rows(page)).to_contain_text(["Started", "External event go", "Completed"])
    assert (await host.wait("wait"))["output"] == {"go": [1, 2]}


async def test_what_the_api_refuses_it_says_in_the_dialog(open_dashboard: Open, host: Host) -> None:
    await host.start("Wait", {}, "wait")
    page = (await open_dashboard("instances/wait")).page
    await page.get_by_role("button", name="Suspend").click()
    dialog = page.get_by_role("dialog", name="Suspend")
    await host.suspend("wait", "somebody was faster")
    await host.idle()

    await dialog.get_by_role("button", name="Suspend").click()

    await expect(dialog.get_by_role("alert").last).to_have_text(
        "Cannot suspend the orchestration instance wait because instance is in the Suspended state."
    )
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("somebody was faster").first).to_be_visible()


async def test_suspend_resume_restart_and_purge_do_what_they_say(open_dashboard: Open, host: Host) -> None:
    await host.start("Wait", {"n": 1}, "wait")
    dashboard = await open_dashboard("instances/wait")
    page = dashboard.page

    await act(page, "Suspend", Reason="for the night")
    await expect(page.get_by_role("heading", name="Suspended")).to_be_visible()
    await expect(rows(page).nth(1)).to_contain_text("for the night")
    await act(page, "Resume", Reason="good morning")
    await expect(rows(page)).to_contain_text(["Started", "Suspended", "Resumed"])
    await act(page, "Restart")
    await expect(page.get_by_role("heading", level=1)).not_to_have_text("wait")
    new_id = await page.get_by_role("heading", level=1).inner_text()
    assert (await host.status(new_id) or {})["input"] == '{"n": 1}'
    await act(page, "Terminate", Reason="enough")
    await expect(page.get_by_role("heading", name="Terminated")).to_be_visible()
    await act(page, "Purge")

    await dashboard.is_at("")
    assert await host.status(new_id) is None
    await page.go_back()
    await expect(page.get_by_text("There is no such instance.")).to_be_visible()


async def test_a_later_generation_says_that_it_was_continued(open_dashboard: Open, host: Host) -> None:
    await host.start("Again", {"turn": 1}, "again")
    page = (await open_dashboard("instances/again")).page
    await expect(rows(page).first).to_contain_text("Started")

    await host.skip()

    await expect(rows(page).first).to_contain_text("Continued as new")
    await expect(page.get_by_role("main").locator("dl")).to_contain_text("turn2")


async def test_the_raw_events_are_there_to_copy_and_download(
    open_dashboard: Open, host: Host, tmp_path: Path
) -> None:
    await host.start("Wait", {"call": "+14255550123"}, "wait")
    dashboard = await open_dashboard("instances/wait", permissions=["clipboard-read", "clipboard-write"])
    page = dashboard.page

    await page.get_by_text("Raw events").click()
    await dashboard.is_at(r"instances/wait\?raw=1")
    raw = page.get_by_label("Raw events", exact=True)
    await expect(raw).to_contain_text('"EventType": "ExecutionStarted"')
    await page.get_by_role("button", name="Copy the raw events").click()
    await expect(page.get_by_role("button", name="Copy the raw events")).to_have_text("Copied")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download").click()

    copied = await page.evaluate("navigator.clipboard.readText()")
    await (await download.value).save_as(tmp_path / "saved.json")
    assert json.loads(copied)[0]["FunctionName"] == "Wait"
    assert (tmp_path / "saved.json").read_text() == copied
    assert "+14255550123" not in copied
    assert (await download.value).suggested_filename == "wait.history.json"


async def test_phone_numbers_are_masked_until_they_are_clicked(open_dashboard: Open, host: Host) -> None:
    await host.start("Wait", {"phone": "+14255550123", "note": "or +442079460958, at night"}, "wait")
    page = (await open_dashboard("instances/wait?raw=1")).page
    main = page.get_by_role("main")
    await expect(main).to_contain_text("+1425*****23")
    assert "4255550123" not in await page.content()
    assert "2079460958" not in await page.content()

    await main.get_by_role("button", name="+1425*****23").first.click()

    await expect(main.get_by_role("button", name="+14255550123")).to_have_count(3)
    assert "2079460958" not in await page.content()
    await main.get_by_role("button", name="+14255550123").first.click()
    assert "4255550123" not in await page.content()


ATTACK = "<img src=x onerror=window.attacked=1>"


async def test_markup_from_outside_stays_text(open_dashboard: Open, host: Host) -> None:
    attack = {"repo": ATTACK, ATTACK: ATTACK, "checks": 1, "nextCheck": ATTACK, "outcome": ATTACK}
    await host.start("Wait", attack, f"id {ATTACK}")
    await host.start("Wait", attack, "event")
    await host.start(ATTACK, None, "name")
    await host.wait("name")
    page = (await open_dashboard()).page
    line = page.get_by_role("row", name="id <img")
    await expect(line).to_contain_text(ATTACK[:30])
    await expect(page.get_by_role("row", name="name")).to_contain_text(f"The function '{ATTACK}' doesn't exist")

    await line.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"id {ATTACK}")
    await expect(page.get_by_role("main").locator("dl").first).to_contain_text(ATTACK)
    await act(page, "Terminate", Reason=ATTACK)
    await expect(page.locator(".why")).to_contain_text(ATTACK)

    await page.goto(page.url.partition("#")[0] + "#/instances/event?raw=1")
    await act(page, "Raise event", Event_name=ATTACK, Data=json.dumps(ATTACK))
    await expect(rows(page).nth(1)).to_contain_text(ATTACK)
    await act(page, "Raise event", Event_name="go", Data=json.dumps({"outcome": ATTACK, "checks": 1}))
    await expect(page.get_by_role("main")).to_contain_text("Completed")
    await expect(page.get_by_label("Raw events", exact=True)).to_contain_text(ATTACK)

    await page.goto(page.url.partition("#")[0] + f"#/?prefix={ATTACK}")
    await expect(page.get_by_text("No instance is like that.")).to_be_visible()
    assert await page.evaluate("[window.attacked ?? null, document.querySelectorAll('img[src=x]').length]") == [
        None,
        0,
    ]


async def test_numbers_are_shown_as_they_were_written(open_dashboard: Open, host: Host) -> None:
    await host.instances.start("Wait", '{"id": 12345678901234567890, "one": 1.0}', "exact")

    page = (await open_dashboard("instances/exact")).page

    await expect(page.get_by_role("main").locator("dl").first).to_contain_text("12345678901234567890")
    await expect(page.get_by_role("main").locator("dl").first).to_contain_text("1.0")


async def test_of_a_long_history_the_end_is_shown_and_the_rest_on_request(
    open_dashboard: Open, host: Host
) -> None:
    await host.start("FanOut", {"many": 300}, "many")
    await host.wait("many", 20)
    dashboard = await open_dashboard("instances/many")
    await expect(rows(dashboard.page)).to_have_count(200)

    await dashboard.page.get_by_role("link", name="Show the 102 earlier ones too").click()

    await expect(rows(dashboard.page)).to_have_count(302)
    await dashboard.page.reload()
    await expect(rows(dashboard.page)).to_have_count(302)
