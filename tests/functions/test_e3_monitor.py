import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from E3_Monitor import main
from E3_Monitor.monitoring_request import InvalidRequest, MonitoringRequest

START = datetime(2026, 11, 24, 11, 0, 0, 123456, UTC)
PHONE = "+14255550167"
REQUEST = {"repo": "octo/cat", "phone": PHONE}
DOT_NET = '{"$type":"System.Exception, System.Private.CoreLib","Message":" RuntimeError: no"}'


class Monitor:
    """One generation of an instance, which the SDK replays over the history that a test writes.

    A test says what each activity and timer comes to, and when the instance wakes to it: early and late, too.
    """

    def __init__(self, given: Any, at: datetime = START) -> None:
        self.now = at
        self._input = json.dumps(given)
        self._history: list[dict[str, Any]] = []
        self._scheduled = 0
        self._episode({"EventType": 0, "Name": "E3_Monitor", "Version": None}, at)

    def completed(self, result: Any, after_s: float = 0) -> None:
        """The activity that was called last returned."""
        event = {"EventType": 5, "TaskScheduledId": self._scheduled - 1, "Result": json.dumps(result)}
        self._episode(event, self.now + timedelta(seconds=after_s))

    def failed(self, text: str, after_s: float = 0) -> None:
        """The activity that was called last raised."""
        reason = f"Activity function '{self.called}' failed:  {text}"
        event = {"EventType": 6, "TaskScheduledId": self._scheduled - 1, "Reason": reason, "Details": DOT_NET}
        self._episode(event, self.now + timedelta(seconds=after_s))

    def fired(self, late_s: float = 0) -> None:
        """The timer that was created last fired; early when `late_s` is negative."""
        event = {"EventType": 11, "TimerId": self._scheduled - 1, "FireAt": self.action["fireAt"]}
        self._episode(event, self.timer_at + timedelta(seconds=late_s))

    @property
    def action(self) -> dict[str, Any]:
        """What the orchestrator asked for last."""
        last: dict[str, Any] = self.answer["actions"][0][-1]
        return last

    @property
    def timer_at(self) -> datetime:
        assert self.action["actionType"] == 5
        return datetime.fromisoformat(self.action["fireAt"])

    @property
    def called(self) -> str | None:
        """The activity that it waits for."""
        name: str | None = self.action.get("functionName")
        return name

    @property
    def status(self) -> Any:
        return self.answer.get("customStatus")

    @property
    def output(self) -> Any:
        assert self.answer["isDone"]
        return self.answer["output"]

    def _episode(self, event: dict[str, Any], at: datetime) -> None:
        self.now = at
        for earlier in self._history:
            earlier["IsPlayed"] = earlier["EventType"] in (0, 5, 6, 11)
        self._add({"EventType": 12})
        self._add(event)
        context = {
            "history": self._history,
            "input": self._input,
            "instanceId": "a-monitor",
            "isReplaying": self._history[1]["IsPlayed"],
            "parentInstanceId": None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 3,
            "longRunningTimerIntervalDuration": "3.00:00:00",
            "maximumShortTimerDuration": "6.00:00:00",
        }
        self.answer = json.loads(main(json.dumps(context)))
        for _ in self.answer["actions"][0][self._scheduled :]:
            self._scheduled += 1
        self._add({"EventType": 13})

    def _add(self, event: dict[str, Any]) -> None:
        timestamp = f"{self.now:%Y-%m-%dT%H:%M:%S.%fZ}"
        self._history.append({"EventId": -1, "IsPlayed": False, "Timestamp": timestamp, **event})


def offsets(*instants: datetime) -> list[float]:
    return [(instant - START).total_seconds() for instant in instants]


def run_quietly(monitor: Monitor, late_s: float = 0, check_s: float = 0) -> tuple[list[float], list[float]]:
    """Answer every check with False until the end; when it checked and what it slept until, in seconds."""
    checked_at, slept_until = [], []
    while not monitor.answer["isDone"]:
        checked_at.append(monitor.now)
        monitor.completed(False, after_s=check_s)
        if not monitor.answer["isDone"]:
            slept_until.append(monitor.timer_at)
            monitor.fired(late_s)
    return offsets(*checked_at), offsets(*slept_until)


def test_it_asks_about_the_repository_and_the_threshold_of_the_request() -> None:
    monitor = Monitor({**REQUEST, "threshold": 7})

    assert monitor.called == "E3_TooManyOpenIssues"
    assert json.loads(monitor.action["input"]) == {"repo": "octo/cat", "threshold": 7}
    assert monitor.status is None


@pytest.mark.parametrize(
    ("times", "checks", "sleeps"),
    [
        ({}, [0, 60, 120, 180, 240], [60, 120, 180, 240, 300]),
        ({"interval_seconds": 60, "expiry_seconds": 90}, [0, 60], [60, 90]),
        ({"interval_seconds": 86_400, "expiry_seconds": 1}, [0], [1]),
    ],
)
def test_it_checks_at_each_interval_and_expires(
    times: dict[str, int], checks: list[int], sleeps: list[int]
) -> None:
    monitor = Monitor({**REQUEST, **times})

    checked, slept_until = run_quietly(monitor)

    assert (checked, slept_until) == (checks, sleeps)
    assert offsets(monitor.now) == sleeps[-1:]
    assert monitor.output == {"outcome": "expired", "checks": len(checks)}


@pytest.mark.parametrize("late_s", [-0.99, -0.001, 0.2, 29.9])
@pytest.mark.parametrize("check_s", [0, 0.4, 20])
def test_early_and_late_timers_and_slow_checks_change_no_due_time(late_s: float, check_s: float) -> None:
    monitor = Monitor(REQUEST)

    checked, slept_until = run_quietly(monitor, late_s, check_s)

    assert slept_until == [60, 120, 180, 240, 300]
    assert checked == pytest.approx([0, *(due + late_s for due in (60, 120, 180, 240))])
    assert monitor.output == {"outcome": "expired", "checks": 5}


@pytest.mark.parametrize(("check_s", "due"), [(59.9, 60), (60, 120), (60.1, 120), (130, 180), (239, 240)])
def test_due_times_that_a_slow_check_let_pass_are_skipped(check_s: float, due: float) -> None:
    monitor = Monitor(REQUEST)

    monitor.completed(False, after_s=check_s)

    assert offsets(monitor.timer_at) == [due]


def test_a_month_of_downtime_is_one_step() -> None:
    monitor = Monitor({**REQUEST, "interval_seconds": 1, "expiry_seconds": 2_592_000})
    monitor.completed(False)

    monitor.fired(late_s=2_500_000.5)
    monitor.completed(False)

    assert offsets(monitor.timer_at) == [2_500_002]
    assert monitor.status["checks"] == 2


@pytest.mark.parametrize("late_s", [240, 2_592_000])
def test_a_wake_at_or_after_the_expiry_checks_nothing(late_s: float) -> None:
    monitor = Monitor(REQUEST)
    monitor.completed(False)

    monitor.fired(late_s)

    assert monitor.output == {"outcome": "expired", "checks": 1}


@pytest.mark.parametrize("after_s", [300, 2_592_000])
def test_an_answer_at_or_after_the_expiry_sends_no_sms(after_s: float) -> None:
    monitor = Monitor(REQUEST)

    monitor.completed(True, after_s)

    assert monitor.output == {"outcome": "expired", "checks": 1}


def test_a_quiet_check_is_told_in_the_custom_status() -> None:
    monitor = Monitor(REQUEST)

    monitor.completed(False, after_s=2)

    assert monitor.status == {
        "checks": 1,
        "lastCheck": "2026-11-24T11:00:02.123456+00:00",
        "openIssues": "not too many",
        "nextCheck": "2026-11-24T11:01:00.123456+00:00",
        "expires": "2026-11-24T11:05:00.123456+00:00",
    }


def test_a_check_without_an_answer_is_quiet() -> None:
    monitor = Monitor(REQUEST)

    monitor.completed(None)

    assert (monitor.status["checks"], monitor.status["openIssues"]) == (1, "unknown")
    assert "lastError" not in monitor.status
    assert offsets(monitor.timer_at) == [60]


def test_a_first_check_that_is_refused_fails_the_monitor_in_one_line() -> None:
    monitor = Monitor(REQUEST)

    with pytest.raises(Exception, match="GitHub finds no") as failed:
        monitor.completed({"refused": "GitHub finds no repository octo/cat (404)"})

    assert state_of(failed)["error"] == "GitHub finds no repository octo/cat (404)"
    assert PHONE not in str(failed.value)


def test_a_first_check_that_raises_is_unknown() -> None:
    monitor = Monitor(REQUEST)

    monitor.failed("RuntimeError: its worker\ndied")

    assert (monitor.status["checks"], monitor.status["openIssues"]) == (1, "unknown")
    assert monitor.status["lastError"] == (
        "Activity function 'E3_TooManyOpenIssues' failed: RuntimeError: its worker died"
    )
    monitor.fired()
    monitor.completed({"refused": "no"})
    assert (monitor.status["checks"], monitor.status["lastError"]) == (2, "no")


def test_a_later_check_that_is_refused_is_unknown_and_says_why_until_the_next() -> None:
    monitor = Monitor(REQUEST)
    monitor.completed(None)
    monitor.fired()

    monitor.completed({"refused": "GitHub finds no repository octo/cat (404)"})

    assert (monitor.status["checks"], monitor.status["openIssues"]) == (2, "unknown")
    assert monitor.status["lastError"] == "GitHub finds no repository octo/cat (404)"
    assert offsets(monitor.timer_at) == [120]
    monitor.fired()
    monitor.completed(False)
    assert "lastError" not in monitor.status


def test_an_endless_error_leaves_room_in_the_custom_status() -> None:
    monitor = Monitor(REQUEST)
    monitor.completed(False)
    monitor.fired()

    monitor.failed("RuntimeError: " + "no " * 10_000)

    assert len(json.dumps(monitor.status)) < 1_000


def test_a_monitor_that_expires_after_a_failed_check_says_why() -> None:
    monitor = Monitor({**REQUEST, "expiry_seconds": 60})

    monitor.failed("RuntimeError: no")
    monitor.fired()

    assert monitor.output == {
        "outcome": "expired",
        "checks": 1,
        "lastError": "Activity function 'E3_TooManyOpenIssues' failed: RuntimeError: no",
    }


def test_an_error_that_has_passed_is_not_told_at_the_end() -> None:
    monitor = Monitor({**REQUEST, "expiry_seconds": 120})
    monitor.failed("RuntimeError: no")
    monitor.fired()

    monitor.completed(False)
    monitor.fired()

    assert monitor.output == {"outcome": "expired", "checks": 2}


def test_too_many_issues_call_for_one_alert() -> None:
    monitor = Monitor({**REQUEST, "threshold": 0})
    monitor.completed(False)
    monitor.fired()
    monitor.completed(True)

    assert monitor.called == "E3_SendAlert"
    assert json.loads(monitor.action["input"]) == {"phone": PHONE, "repo": "octo/cat", "threshold": 0}
    monitor.completed({"message": "SM1"})
    assert monitor.output == {"outcome": "alerted", "checks": 2, "message": "SM1"}


@pytest.mark.parametrize(
    ("result", "end"),
    [
        ({"message": None}, {"outcome": "alert unconfirmed"}),
        ({"refused": "Twilio: no"}, {"outcome": "alert refused", "reason": "Twilio: no"}),
    ],
)
def test_an_alert_that_may_have_been_sent_or_that_twilio_refuses_ends_the_monitor_too(
    result: dict[str, Any], end: dict[str, Any]
) -> None:
    monitor = Monitor(REQUEST)
    monitor.completed(True)

    monitor.completed(result)

    assert monitor.output == {**end, "checks": 1}


def test_an_alert_under_which_a_worker_died_may_have_been_sent() -> None:
    monitor = Monitor(REQUEST)
    monitor.completed(True)

    monitor.failed("Exception: python exited with code 3 (0x3)")

    assert monitor.output == {"outcome": "alert unconfirmed", "checks": 1}


def test_an_alert_that_was_not_sent_is_tried_again_after_a_minute_and_the_grid_stays() -> None:
    monitor = Monitor({**REQUEST, "interval_seconds": 3_600, "expiry_seconds": 86_400})
    monitor.completed(True, after_s=2)

    monitor.completed({"unsent": "no connection to Twilio"}, after_s=3)

    assert (monitor.status["openIssues"], monitor.status["lastError"]) == ("too many", "no connection to Twilio")
    assert offsets(monitor.timer_at) == [65]
    monitor.fired(late_s=1)
    assert monitor.called == "E3_TooManyOpenIssues"
    monitor.completed(False)
    assert offsets(monitor.timer_at) == [3_600]
    assert "lastError" not in monitor.status


@pytest.mark.parametrize(("interval_s", "due"), [(10, 10), (60, 60), (65, 60), (7_200, 60)])
def test_an_alert_that_was_not_sent_never_waits_longer_than_the_next_check(interval_s: int, due: float) -> None:
    monitor = Monitor({**REQUEST, "interval_seconds": interval_s, "expiry_seconds": 7_200})
    monitor.completed(True)

    monitor.completed({"unsent": "no"})

    assert offsets(monitor.timer_at) == [due]


def test_an_alert_that_was_not_sent_until_the_expiry_is_told_at_the_end() -> None:
    monitor = Monitor({**REQUEST, "interval_seconds": 60, "expiry_seconds": 90})
    for _ in range(2):
        monitor.completed(True)
        monitor.completed({"unsent": "no connection to Twilio"})
        monitor.fired()

    assert monitor.output == {"outcome": "expired", "checks": 2, "lastError": "no connection to Twilio"}


def test_an_alert_that_is_still_not_sent_at_the_expiry_is_not_waited_for() -> None:
    monitor = Monitor(REQUEST)
    monitor.completed(True)

    monitor.completed({"unsent": "no"}, after_s=300)

    assert monitor.output == {"outcome": "expired", "checks": 1, "lastError": "no"}


def checked_twelve_times(given: dict[str, Any], first: int = 1, at: datetime = START) -> Monitor:
    monitor = Monitor(given, at)
    for check in range(first, first + 12):
        assert monitor.called == "E3_TooManyOpenIssues"
        monitor.completed(False)
        assert monitor.status["checks"] == check
        monitor.fired()
    return monitor


def test_after_every_twelfth_check_s_timer_it_continues_as_new() -> None:
    given = {**REQUEST, "expiry_seconds": 86_400}
    monitor = checked_twelve_times(given)

    assert monitor.action["actionType"] == 4
    carried = json.loads(monitor.action["input"])
    status = carried["progress"]
    assert carried.keys() == {"request", "progress"}
    assert MonitoringRequest.parse(carried["request"]) == MonitoringRequest.parse(given)
    assert status["checks"] == 12
    assert status["nextCheck"] == "2026-11-24T11:12:00.123456+00:00"
    assert status["expires"] == "2026-11-25T11:00:00.123456+00:00"

    again = checked_twelve_times(carried, first=13, at=monitor.now)
    assert again.action["actionType"] == 4
    assert json.loads(again.action["input"])["progress"]["nextCheck"] == "2026-11-24T11:24:00.123456+00:00"


def test_a_new_generation_reports_the_last_status_and_keeps_to_the_grid() -> None:
    carried = json.loads(checked_twelve_times({**REQUEST, "expiry_seconds": 86_400}).action["input"])

    monitor = Monitor(carried, START + timedelta(seconds=719.2))
    assert monitor.status == carried["progress"]
    monitor.completed(False)

    assert offsets(monitor.timer_at) == [780]
    assert monitor.status["expires"] == carried["progress"]["expires"]


def test_what_an_earlier_version_handed_over_goes_on_and_is_handed_over_anew() -> None:
    carried = json.loads(checked_twelve_times({**REQUEST, "expiry_seconds": 86_400}).action["input"])
    earlier = {**carried["request"], "status": carried["progress"]}

    monitor = checked_twelve_times(earlier, first=13, at=START + timedelta(seconds=720))

    handed = json.loads(monitor.action["input"])
    assert handed["request"] == carried["request"]
    assert handed["progress"]["checks"] == 24
    assert handed["progress"]["expires"] == carried["progress"]["expires"]


def test_a_retry_off_the_grid_is_handed_over_without_moving_it() -> None:
    monitor = Monitor({**REQUEST, "interval_seconds": 3_600, "expiry_seconds": 86_400})
    for _ in range(12):
        monitor.completed(True)
        monitor.completed({"unsent": "no"})
        monitor.fired()

    again = Monitor(json.loads(monitor.action["input"]), monitor.now)
    again.completed(False)

    assert offsets(monitor.now) == [720]
    assert offsets(again.timer_at) == [3_600]


def test_an_error_outlives_continue_as_new() -> None:
    monitor = Monitor({**REQUEST, "expiry_seconds": 720})
    for _ in range(12):
        monitor.failed("RuntimeError: no")
        monitor.fired()

    monitor = Monitor(json.loads(monitor.action["input"]), monitor.now)

    assert monitor.output["lastError"].endswith("RuntimeError: no")


def test_a_check_of_a_later_generation_that_fails_ends_nothing() -> None:
    monitor = Monitor(json.loads(checked_twelve_times({**REQUEST, "expiry_seconds": 86_400}).action["input"]))

    monitor.completed({"refused": "no"})

    assert monitor.status["openIssues"] == "unknown"


def test_a_monitor_that_is_started_again_with_a_carried_input_has_expired() -> None:
    carried = json.loads(checked_twelve_times({**REQUEST, "expiry_seconds": 1_000}).action["input"])

    monitor = Monitor(carried, START + timedelta(days=1))

    assert monitor.output == {"outcome": "expired", "checks": 12}
    assert monitor.status == carried["progress"]


def test_a_monitor_whose_last_check_is_its_twelfth_expires_after_it() -> None:
    monitor = checked_twelve_times({**REQUEST, "expiry_seconds": 720})

    monitor = Monitor(json.loads(monitor.action["input"]), monitor.now)

    assert monitor.output == {"outcome": "expired", "checks": 12}


@pytest.mark.parametrize(
    "given",
    [
        {},
        [1, 2],
        {"repo": "octo/cat"},
        {"repo": "octo/cat", "phone": "4255550167"},
        {**REQUEST, "treshold": 5},
        {**REQUEST, "interval_seconds": 0},
        {**REQUEST, "status": "new"},
        {"request": REQUEST},
        {"request": REQUEST, "progress": {}},
    ],
)
def test_a_bad_request_fails_with_what_http_start_would_have_said(given: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        MonitoringRequest.parse(given)

    with pytest.raises(Exception, match="OutOfProcData") as failed:
        Monitor(given)

    assert state_of(failed)["error"] == str(refused.value)
    assert PHONE not in str(failed.value)


def state_of(failed: pytest.ExceptionInfo[Exception]) -> Any:
    """What the SDK tells the host when an orchestrator raises."""
    return json.loads(str(failed.value).partition("$OutOfProcData$:")[2])


def alerted() -> None:
    monitor = Monitor(REQUEST)
    monitor.completed(False)
    monitor.fired()
    monitor.completed(True)
    monitor.completed({"message": "SM1"})


def refused() -> None:
    monitor = Monitor(REQUEST)
    monitor.completed(True)
    monitor.completed({"unsent": "no connection"})
    monitor.fired()
    monitor.completed(True)
    monitor.completed({"refused": "no"})


def expired() -> None:
    run_quietly(Monitor({**REQUEST, "interval_seconds": 60, "expiry_seconds": 60}))


@pytest.mark.parametrize(
    ("story", "lines"),
    [
        (alerted, ["check 1 of octo/cat: not too many", "alerted after check 2 of octo/cat"]),
        (refused, ["check 1 of octo/cat: no connection", "alert refused after check 2 of octo/cat"]),
        (expired, ["check 1 of octo/cat: not too many", "expired after check 1 of octo/cat"]),
    ],
)
def test_each_step_is_logged_once_however_often_it_is_replayed(
    caplog: pytest.LogCaptureFixture, story: Callable[[], None], lines: list[str]
) -> None:
    caplog.set_level(logging.INFO)

    story()

    assert [record.getMessage() for record in caplog.records] == [f"a-monitor: {line}" for line in lines]
