"""The list of a hub of 100,000 instances."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from durable_host.engine.events import Status
from durable_host.hub.records import Record
from durable_host.hub.taskhub import TaskHub
from tests.browser.browsing import expect
from tests.browser.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MANY = 100_000
BATCH = 10_000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def fill(path: Path, count: int) -> None:
    """A hub of so many instances, m-00000 and on; every tenth failed, the others are completed."""
    with TaskHub(path) as hub:
        for first in range(0, count, BATCH):
            with hub.batch():
                for number in range(first, min(first + BATCH, count)):
                    hub.put_instance(finished(number))


def finished(number: int) -> Record:
    is_failed = number % 10 == 0
    return Record(
        id=f"m-{number:05}",
        name="E3_Monitor",
        execution_id=f"{number:032x}",
        status=Status.Failed if is_failed else Status.Completed,
        input_text=json.dumps({"repo": f"octo/repo-{number}", "phone": "+14255550100"}),
        output="it broke" if is_failed else '{"outcome":"expired","checks":5}',
        custom_status=None,
        version=None,
        parent=None,
        generation=0,
        created_at=EPOCH + timedelta(seconds=number),
        updated_at=EPOCH + timedelta(seconds=number + 300),
    )


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    path = tmp_path / "many.db"
    fill(path, MANY)
    return path


async def test_100_000_instances_are_paged_and_filtered_without_a_stall(open_dashboard: Open) -> None:
    page = (await open_dashboard()).page
    lines = page.locator("tbody").get_by_role("row")
    await expect(lines).to_have_count(50)
    shown_ms = await page.evaluate("performance.now()")
    await expect(page.get_by_text("50 instances, in the order of their ids.")).to_be_visible()
    await page.get_by_role("link", name="Next").click()
    await expect(lines.first).to_contain_text("m-00050")
    await page.reload()
    await expect(lines.first).to_contain_text("m-00050")
    await page.evaluate(
        "new PerformanceObserver((list) => (window.longest = Math.max(window.longest ?? 0,"
        " ...list.getEntries().map((each) => each.duration)))).observe({ type: 'longtask', buffered: true })"
    )

    await page.get_by_role("link", name="Next").click()
    await expect(lines.first).to_contain_text("m-00100")
    await page.get_by_role("link", name="Previous").click()
    await expect(lines.first).to_contain_text("m-00050")
    await page.get_by_role("link", name="First").click()
    await expect(lines.first).to_contain_text("m-00000")
    await page.get_by_label("Id begins with").fill("m-9999")
    await expect(lines).to_have_count(10)
    await page.get_by_role("button", name="Failed").click()
    await expect(lines).to_contain_text(["m-99990"])

    longest_ms = await page.evaluate("window.longest ?? 0")
    print(f"first page after {shown_ms:.0f} ms, longest task {longest_ms:.0f} ms")
    assert longest_ms < 200
    assert shown_ms < 5000
