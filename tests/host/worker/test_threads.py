import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest

from durable_host.worker.threads import OneByOne, pool

GUARD_S = 50


class Idle:
    """Counts how often it is told that no call waits, and lets a test wait for that."""

    def __init__(self) -> None:
        self.times = threading.Semaphore(0)

    def __call__(self) -> None:
        self.times.release()


@pytest.fixture
def idle() -> Idle:
    return Idle()


@pytest.fixture
def one_by_one(idle: Idle) -> Iterator[OneByOne]:
    executor = OneByOne(idle)
    yield executor
    executor.shutdown()


def test_calls_run_one_at_a_time_in_their_order_in_one_thread(one_by_one: OneByOne) -> None:
    running, ran, threads = threading.Lock(), [], set()

    def call(number: int) -> None:
        assert running.acquire(blocking=False)
        ran.append(number)
        threads.add(threading.current_thread())
        running.release()

    futures = [one_by_one.submit(call, number) for number in range(100)]
    wait(futures, GUARD_S)

    assert [future.exception() for future in futures] == [None] * 100
    assert ran == list(range(100))
    assert [thread.daemon for thread in threads] == [True]


def test_what_a_call_returns_or_raises_is_its_futures_and_the_next_one_runs(one_by_one: OneByOne) -> None:
    def leave() -> None:
        raise SystemExit(3)

    left = one_by_one.submit(leave)

    assert one_by_one.submit(divmod, 7, 2).result(GUARD_S) == (3, 1)
    assert isinstance(left.exception(GUARD_S), SystemExit)


def test_a_call_that_runs_for_over_a_second_lets_the_others_start(one_by_one: OneByOne, idle: Idle) -> None:
    end = threading.Event()
    stuck = [one_by_one.submit(end.wait, GUARD_S) for _ in range(2)]

    # Each of the two holds the one after it up for a while.
    assert one_by_one.submit(threading.get_ident).result(GUARD_S) != threading.get_ident()
    assert [future.done() for future in stuck] == [False, False]
    end.set()
    assert [future.result(GUARD_S) for future in stuck] == [True, True]
    # The thread of one that had been overtaken ends: calls run one at a time again.
    first = one_by_one.submit(threading.get_ident).result(GUARD_S)
    assert {one_by_one.submit(threading.get_ident).result(GUARD_S) for _ in range(20)} == {first}


def test_it_says_when_no_call_waits(one_by_one: OneByOne, idle: Idle) -> None:
    go = threading.Event()
    futures: list[Future[object]] = [
        one_by_one.submit(go.wait, GUARD_S),
        *(one_by_one.submit(int) for _ in range(9)),
    ]
    go.set()
    wait(futures, GUARD_S)

    assert idle.times.acquire(timeout=GUARD_S)


def test_it_says_so_too_while_a_call_runs_for_long(one_by_one: OneByOne, idle: Idle) -> None:
    end = threading.Event()
    stuck = one_by_one.submit(end.wait, GUARD_S)

    assert idle.times.acquire(timeout=GUARD_S)

    assert not stuck.done()
    end.set()


def test_it_says_so_too_when_a_call_ends_that_others_have_overtaken(one_by_one: OneByOne, idle: Idle) -> None:
    end = threading.Event()
    stuck = one_by_one.submit(end.wait, GUARD_S)
    assert one_by_one.submit(int).result(GUARD_S) == 0
    # For the stuck one, and for the one that has ended.
    for _ in range(2):
        assert idle.times.acquire(timeout=GUARD_S)
    assert not stuck.done()

    end.set()

    assert idle.times.acquire(timeout=GUARD_S)


def test_after_a_shutdown_what_runs_goes_on(idle: Idle) -> None:
    executor = OneByOne(idle)
    begun, end = threading.Event(), threading.Event()

    def call() -> str:
        begun.set()
        end.wait(GUARD_S)
        return "ended"

    running = executor.submit(call)
    assert begun.wait(GUARD_S)
    executor.shutdown()
    end.set()

    assert running.result(GUARD_S) == "ended"


@pytest.mark.parametrize(
    ("setting", "most"), [(None, 40), ("7", 7), ("007", 7), ("0", 40), ("-1", 40), ("many", 40), ("", 40)]
)
def test_the_pool_makes_as_many_threads_as_are_needed_and_the_setting_allows(
    setting: str | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHON_THREADPOOL_THREAD_COUNT", raising=False)
    if setting is not None:
        monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", setting)
    all_are_there = threading.Event()

    def call() -> int:
        all_are_there.wait(GUARD_S)
        return threading.get_ident()

    with pool() as made:
        futures = [made.submit(call) for _ in range(40)]
        all_are_there.set()

        threads = {future.result(GUARD_S) for future in futures}
    assert len(threads) == most
