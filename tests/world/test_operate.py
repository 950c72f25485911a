"""`docs/operate.md`: the lines that it describes are those that a monitor writes, and its queries read them."""

import logging
import re

import pytest

from durable_host import Clock, Host, RealClock
from sandbox.server import Sandbox
from sandbox.twilio import TwilioStatus
from tests.conftest import ROOT

REQUEST = {"repo": "octo/cat", "phone": "+14255550100"}


def _page() -> str:
    return (ROOT / "docs" / "operate.md").read_text()


def _query_pattern() -> re.Pattern[str]:
    found = re.search(r'extract_all\(@"(.*)", message\)', _page())
    assert found is not None
    return re.compile(found[1])


@pytest.fixture
def clock() -> Clock:
    """Timers wait until a test moves the time."""
    return RealClock()


async def test_each_decision_is_one_line_that_the_query_reads(
    host: Host, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await host.start("E3_Monitor", REQUEST, "one")
    await host.idle()
    sandbox.set_repository("octo/cat", status=500)
    await host.skip()
    sandbox.set_repository("octo/cat", status=404)
    await host.skip()
    sandbox.set_repository("octo/cat", status=None, open_issues=5)
    await host.skip()

    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("one: ")]
    found = [_query_pattern().findall(line) for line in lines]
    assert [each[0][:4] for each in found] == [
        ("one", "", "1", "octo/cat"),
        ("one", "", "2", "octo/cat"),
        ("one", "", "3", "octo/cat"),
        ("one", "alerted", "4", "octo/cat"),
    ]
    assert [each[0][4] for each in found[:2]] == ["not too many", "unknown"]
    assert found[2][0][4].startswith("GitHub finds no repository octo/cat (404)")


@pytest.mark.parametrize(
    ("open_issues", "fault", "outcome"),
    [(2, None, "expired"), (5, "lost reply", "alert unconfirmed"), (5, 400, "alert refused"), (5, 429, "expired")],
)
async def test_the_last_line_of_a_monitor_has_its_outcome(
    host: Host,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    open_issues: int,
    fault: TwilioStatus | None,
    outcome: str,
) -> None:
    caplog.set_level(logging.INFO)
    sandbox.set_repository("octo/cat", open_issues=open_issues)
    sandbox.set_twilio(status=fault)
    await host.start("E3_Monitor", REQUEST, "one")
    await host.advance(300)

    last = [record.getMessage() for record in caplog.records if record.getMessage().startswith("one: ")][-1]
    assert _query_pattern().findall(last)[0][1] == outcome


def test_the_query_reads_every_line_of_the_table() -> None:
    lines = re.findall(r"^\| `(ID: .*?)` \|", _page(), re.MULTILINE)

    assert len(lines) == 8
    assert all(_query_pattern().match(line) for line in lines)


def test_the_other_queries_look_for_words_that_the_app_says() -> None:
    words = re.findall(r'message has "(.*?)"', _page())
    code = "".join((ROOT / path).read_text() for path in ("E3_TooManyOpenIssues/github.py", "E3_SendAlert/sms.py"))

    assert len(words) == 2
    assert all(each in code for each in words)
