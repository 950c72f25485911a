"""The page as a whole: how often it asks, its contrast, a narrow screen, the keyboard, other hosts, its forms."""

import json
import re
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from durable_host import Host
from sandbox.server import Sandbox
from tests.browser.browsing import NARROW, Dashboard, Locator, Page, expect
from tests.browser.conftest import Open
from tests.conftest import Serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

VIEWS = ("", "instances/octo-cat?raw=1", "instances/octo-fox", "start", "start?by=Durable+HTTP+API", "sandbox")
MONITOR = {"repo": "octo/cat", "phone": "+14255550100"}
# When each request began that was no part of the page itself, in ms since the page's own.
REQUESTS = "performance.getEntriesByType('resource').filter((each) => !each.name.includes('/dashboard/'))"
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { get: () => isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
CONTRASTS = Path(__file__).with_name("contrasts.js").read_text(encoding="utf-8")
UNNAMED = """() => [...document.querySelectorAll("a, button, input, select, textarea")]
  .filter((each) => each.checkVisibility())
  .filter((each) => !(each.labels?.length || each.getAttribute("aria-label") || each.textContent.trim()))
  .map((each) => each.outerHTML)"""


async def have_some_of_each(host: Host, sandbox: Sandbox) -> None:
    """A monitor that waits, one that alerted, one that failed, and one that was ended."""
    sandbox.set_repository("octo/cow", open_issues=9)
    sandbox.set_repository("octo/fox", status=404)
    for name in ("cat", "cow", "fox", "dog", "owl"):
        await host.start("E3_Monitor", {**MONITOR, "repo": f"octo/{name}"}, f"octo-{name}")
    await host.wait("octo-cow")
    await host.wait("octo-fox")
    await host.terminate("octo-dog", "not needed")
    await host.suspend("octo-owl", "asleep")
    await host.idle()


def status(page: Page) -> Locator:
    """The custom status of the instance that is shown."""
    return page.locator(".values section", has=page.get_by_role("heading", name="Custom status"))


async def until(page: Page, condition: str) -> None:
    """Wait until a JavaScript expression holds. Playwright's own waiting is refused by the page's policy."""
    await page.evaluate(f"(async () => {{ while (!({condition})) await new Promise(requestAnimationFrame); }})()")


async def settled(page: Page) -> None:
    """Wait until nothing has been asked for a while longer than what moves is asked for."""
    await until(page, f"performance.now() - {REQUESTS}.at(-1)?.startTime > 700")


async def test_at_most_one_request_a_second_while_nothing_moves_and_none_in_a_hidden_tab(
    open_dashboard: Open, host: Host
) -> None:
    await host.start("E3_Monitor", MONITOR, "octo-cat")
    await host.idle()
    page = (await open_dashboard("instances/octo-cat")).page
    await expect(status(page)).to_contain_text("checks1")
    await settled(page)

    start = await page.evaluate("performance.now()")
    await until(page, f"performance.now() > {start} + 6000")
    asked = await page.evaluate(
        f"{REQUESTS}.filter((each) => each.startTime > {start}).map((each) => each.startTime)"
    )
    print(f"{len(asked)} requests in 6 s while nothing moved")
    assert 3 <= len(asked) <= 6

    await page.evaluate(HIDE, True)
    await settled(page)
    await host.skip()
    start = await page.evaluate("performance.now()")
    await until(page, f"performance.now() > {start} + 3000")
    assert await page.evaluate(f"{REQUESTS}.filter((each) => each.startTime > {start}).length") == 0

    await page.evaluate(HIDE, False)
    await expect(status(page)).to_contain_text("checks2")


async def test_a_timer_s_effect_is_seen_when_it_is_due(open_dashboard: Open, host: Host, sandbox: Sandbox) -> None:
    await host.start("E3_Monitor", {**MONITOR, "interval_seconds": 5}, "octo-cat")
    page = (await open_dashboard("instances/octo-cat")).page
    await expect(status(page)).to_contain_text("checks1")

    await page.evaluate(
        "new MutationObserver(() => (window.seen ||="
        " document.querySelector('.values').textContent.includes('checks2') && Date.now()))"
        ".observe(document.body, { subtree: true, childList: true })"
    )
    await until(page, "window.seen")

    checked_at = (await host.status("octo-cat") or {})["customStatus"]["lastCheck"]
    late_ms = await page.evaluate(f"window.seen - Date.parse({json.dumps(checked_at)})")
    print(f"shown {late_ms:.0f} ms after the check")
    assert late_ms < 1000


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_has_the_contrast_of_wcag_aa_and_every_control_a_name(
    open_dashboard: Open, host: Host, sandbox: Sandbox, scheme: str
) -> None:
    await have_some_of_each(host, sandbox)
    dashboard = await open_dashboard(color_scheme=scheme, reduced_motion="reduce")
    for view in VIEWS:
        await dashboard.open(view)
        await expect(dashboard.page.get_by_role("heading").first).to_be_visible()
        await expect(dashboard.page.locator("[aria-busy]")).to_have_count(0)
        await settled(dashboard.page)

        frames = dashboard.page.frames if view == "sandbox" else [dashboard.page.main_frame]
        texts = [text for frame in frames for text in await frame.evaluate(CONTRASTS)]

        assert len(texts) > 20
        assert [(text, round(contrast, 2)) for contrast, text in texts if contrast < 4.5] == [], view
        assert [await frame.evaluate(UNNAMED) for frame in frames] == [[]] * len(frames), view
    ground = await dashboard.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == {"light": "rgb(246, 244, 241)", "dark": "rgb(22, 20, 18)"}[scheme]


async def test_on_a_narrow_screen_nothing_is_cut_off(open_dashboard: Open, host: Host, sandbox: Sandbox) -> None:
    await have_some_of_each(host, sandbox)
    await host.start("E3_Monitor", MONITOR, "x" * 100)
    dashboard = await open_dashboard(viewport=NARROW, has_touch=True)
    page = dashboard.page
    for view in (*VIEWS, f"instances/{'x' * 100}"):
        await dashboard.open(view)
        await settled(page)

        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        await expect(page.get_by_role("link", name="Start an instance").first).to_be_in_viewport()

    await expect(page.get_by_role("link", name="Sandbox 1")).to_be_visible()
    await page.get_by_role("link", name="Sandbox").click()
    await expect(dashboard.sandbox.get_by_text("octo/cow has more than 3 open issues")).to_be_visible()
    await page.get_by_role("link", name="Instances", exact=True).click()
    await page.get_by_role("row", name="octo-cat").get_by_text("octo/cat").click(force=True)
    await dashboard.is_at("instances/octo-cat")


async def test_the_keyboard_gets_everywhere(open_dashboard: Open, host: Host) -> None:
    await host.start("E3_Monitor", MONITOR, "octo-cat")
    dashboard = await open_dashboard()
    page = dashboard.page
    await expect(page.get_by_role("row", name="octo-cat")).to_be_visible()

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await dashboard.is_at("")
    for _ in range(9):
        await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="octo-cat")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="octo-cat")).to_be_focused()
    await expect(page.get_by_role("button", name="Terminate")).to_be_visible()
    for _ in range(4):
        await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Terminate")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Reason")).to_be_focused()
    await page.keyboard.type("by hand")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Terminated")).to_be_visible()
    await expect(page.locator("[aria-live]")).to_have_text("octo-cat is Terminated.")


async def test_what_the_app_refuses_stands_at_its_field(open_dashboard: Open, host: Host) -> None:
    await host.start("E3_Monitor", MONITOR, "octo-cat")
    page = (await open_dashboard("start")).page
    repo, interval = page.get_by_label("repo"), page.get_by_label("interval_seconds")
    start = page.get_by_role("button", name="Start", exact=True)
    await expect(repo).to_have_value("octo/cat")

    await repo.fill("")
    await start.click()
    await expect(repo).to_have_accessible_description(re.compile(r"^repo is missing: "))
    await expect(repo).to_be_focused()
    await repo.fill("https://github.com/octo/cat")
    await start.click()
    await expect(page.get_by_text('repo must be "owner/name"')).to_be_visible()
    await repo.fill("octo/cat")
    await interval.fill("soon")
    await start.click()
    await expect(page.get_by_text("interval_seconds must be a whole number from 1 to 86400")).to_be_visible()
    await expect(interval).to_have_attribute("aria-invalid", "true")
    await expect(repo).not_to_have_attribute("aria-invalid", "true")
    await interval.fill("")
    await page.get_by_label("instanceId").fill("octo-cat")
    await start.click()
    await expect(page.get_by_text("a monitor of the id octo-cat is running")).to_be_visible()
    await expect(page.get_by_label("instanceId")).to_be_focused()


async def test_a_body_can_be_edited_as_json_and_back(open_dashboard: Open, host: Host) -> None:
    dashboard = await open_dashboard("start")
    page = dashboard.page
    await page.get_by_label("phone").fill("+14255550167")

    await page.get_by_role("button", name="Edit as JSON").click()
    body = page.get_by_label("Body")
    await expect(body).to_have_value(
        '{\n  "repo": "octo/cat",\n  "phone": "+14255550167",\n  "interval_seconds": 5\n}'
    )
    await body.fill('{"repo": ["octo/cat"]}')
    await expect(page.get_by_role("button", name="Edit as fields")).to_be_hidden()
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(body).to_have_accessible_description(re.compile(r'repo must be "owner/name"'))
    await body.fill(json.dumps({**MONITOR, "threshold": 7}))
    await page.get_by_role("button", name="Edit as fields").click()
    await expect(page.get_by_label("threshold")).to_have_value("7")
    await page.get_by_label("instanceId").fill("edited")
    await page.get_by_role("button", name="Start", exact=True).click()

    await dashboard.is_at("instances/edited")
    assert json.loads((await host.status("edited") or {})["input"])["threshold"] == 7


async def test_any_orchestrator_can_be_started_with_any_input(open_dashboard: Open, host: Host) -> None:
    dashboard = await open_dashboard("start")
    page = dashboard.page
    await page.get_by_role("link", name="Durable HTTP API").click()
    await dashboard.is_at(r"start\?by=Durable\+HTTP\+API")
    await expect(page.get_by_role("link", name="Durable HTTP API")).to_be_focused()

    await expect(page.get_by_label("functionName")).to_have_value("E3_Monitor")
    await page.get_by_label("instanceId").fill("bare/é +")
    await page.get_by_label("Body").fill("{")
    start = page.get_by_role("button", name="Start", exact=True)
    await start.click()
    await expect(page.get_by_label("Body")).to_be_focused()
    await expect(page.get_by_label("Body")).to_have_accessible_description(
        "JSON, the orchestrator's input; empty for none. "
        "Unexpected end of content while loading JSON. Path '', line 1, position 1."
    )
    await page.get_by_label("Body").fill(json.dumps({**MONITOR, "threshold": 7}))
    await start.click()

    await expect(page.get_by_role("heading", name="bare/é +")).to_be_visible()
    assert (await host.status("bare/é +") or {})["input"] == {**MONITOR, "threshold": 7}


async def test_the_clock_can_be_advanced(open_dashboard: Open, host: Host) -> None:
    await host.start("E3_Monitor", MONITOR, "octo-cat")
    page = (await open_dashboard("instances/octo-cat")).page
    time = page.get_by_role("region", name="Time", exact=True)
    await expect(time).to_contain_text("next timer in")

    await time.get_by_role("button", name="Advance by 1 hour").click()

    await expect(time).to_contain_text("no timer waits")
    await expect(time).to_contain_text(re.compile(r"(1 h|59 min 5\d s) ahead"))
    await expect(page.get_by_role("main")).to_contain_text("expired")
    await expect(time.get_by_role("button", name="Skip to next")).to_be_disabled()


async def test_a_host_on_another_origin_without_a_clock_is_enough(
    open_dashboard: Open, host: Host, serve_here: Serve
) -> None:
    """As `func start --cors` is: the API with CORS headers, 404 for all else of ours, and no header exposed."""

    async def answer(request: web.Request) -> web.Response:
        cors = {"Access-Control-Allow-Origin": host.url, "Access-Control-Allow-Headers": "*"}
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=cors)
        if request.path.startswith("/durable-host/"):
            return web.Response(status=404, headers=cors)
        headers = {name: value for name, value in request.headers.items() if name.lower() == "content-type"}
        async with (
            ClientSession() as session,
            session.request(
                request.method, f"{host.url}{request.raw_path}", data=await request.read(), headers=headers
            ) as reply,
        ):
            return web.Response(status=reply.status, body=await reply.read(), headers=cors)

    other = await serve_here(answer)
    dashboard: Dashboard = await open_dashboard("start", api=other)
    page = dashboard.page
    await page.get_by_label("instanceId").fill("far")

    await page.get_by_role("button", name="Start", exact=True).click()

    await expect(page.get_by_role("heading", name="far")).to_be_visible()
    await expect(page.get_by_role("region", name="Timeline")).to_contain_text("Activity E3_TooManyOpenIssues")
    await expect(page.get_by_role("region", name="Time", exact=True)).to_be_hidden()
    await expect(page.get_by_role("banner")).to_contain_text(other.removeprefix("http://"))
