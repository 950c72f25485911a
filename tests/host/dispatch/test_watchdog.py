"""Functions that run for long are named, once each."""

import logging
import threading

import pytest

from durable_host.dispatch.watchdog import Watchdog


class Named(logging.Handler):
    """Keeps what is logged, and lets a test wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self.came.set()


@pytest.fixture
def named() -> Named:
    handler = Named()
    logging.getLogger("durable_host.dispatch.watchdog").addHandler(handler)
    return handler


def test_a_function_that_runs_for_long_is_named_once(named: Named) -> None:
    with Watchdog(limit_s=0.05) as watchdog:
        with watchdog.watching("Quick"):
            pass
        with watchdog.watching("Slow"):
            assert named.came.wait(5)
            named.came.clear()
            with watchdog.watching("Slow too"):
                assert named.came.wait(5)

    assert named.texts == [
        "Function 'Slow' has been running for 0 s.",
        "Function 'Slow too' has been running for 0 s.",
    ]


def test_an_ended_watchdog_ends_its_thread() -> None:
    with Watchdog(limit_s=0.05):
        thread = next(thread for thread in threading.enumerate() if thread.name == "watchdog")

    thread.join(5)

    assert not thread.is_alive()


def test_by_itself_it_names_what_has_run_for_30_seconds(named: Named) -> None:
    now_s = 0.0
    watchdog = Watchdog(stopwatch_s=lambda: now_s)
    with watchdog.watching("Slow"):
        now_s = 29.9
        watchdog.look()
        assert named.texts == []

        now_s = 30
        watchdog.look()
        watchdog.look()

    assert named.texts == ["Function 'Slow' has been running for 30 s."]
