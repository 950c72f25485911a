"""Calls to a worker, and what becomes of them when it dies."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Host, HostError, RealClock
from durable_host.dispatch.drivers import OnEnd, OnMessage
from durable_host.dispatch.workers import OUTPUTS, Worker
from durable_host.errors import FunctionFailed, WorkerDied
from durable_host.functions.function_json import Function
from durable_host.functions.triggers import read_app
from durable_host.hub.taskhub import TaskHub
from durable_host.worker.protocol import (
    Activity,
    ClientCall,
    Failure,
    Init,
    NotReady,
    Orchestrator,
    Ready,
    Reply,
    Result,
    ToWorker,
)
from tests.conftest import Gate
from tests.host.apps import POISON_APP, do

GET = "import requests\nreturn requests.get({url!r}).text"
SLEEPS = (
    "from datetime import timedelta\n"
    "yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))\nreturn 'healthy'"
)
PID = "import os; return os.getpid()"
DIES = "durable_host.dispatch.workers"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """The app that runs what it is sent, in a process of its own."""
    async with Host(POISON_APP, hub=tmp_path / "hub.db") as host:
        yield host


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the keeper of workers has logged as an error, but for the ends of calls."""
    records = [record for record in caplog.records if (record.name, record.levelno) == (DIES, logging.ERROR)]
    return [text for text in map(logging.LogRecord.getMessage, records) if not text.startswith("Executed")]


def reason(status: dict[str, Any]) -> str:
    """Why an instance failed, without the serialized exception that follows."""
    assert status["runtimeStatus"] == "Failed"
    first: str = status["output"].partition(" \n ")[0]
    return first


# A process that dies.


async def test_a_worker_that_is_killed_fails_its_activities_and_nothing_else(
    host: Host, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    pid = await do(host.url, PID)
    await host.start("Call", ["Act", GET.format(url=f"{gate.url}/?activity")], "activity")
    await host.start("Run", GET.format(url=f"{gate.url}/?episode"), "episode")
    await host.start("Run", SLEEPS, "healthy")
    async with ClientSession() as client:
        caller = asyncio.create_task(client.post(f"{host.url}/Do", data=GET.format(url=f"{gate.url}/?http")))
        for _ in range(3):
            await gate.came.acquire()

        os.kill(pid, signal.SIGKILL)
        failed = await host.wait("activity", 60)
        gate.opened.set()

        assert (await caller).status == 500
    assert reason(failed).endswith(f"Activity function 'Act' failed: {sys.executable} exited with code 137 (0x89)")
    assert (await host.wait("episode", 60))["output"] == "episode"
    assert (await host.wait("healthy", 60))["output"] == "healthy"
    assert await do(host.url, PID) != pid
    [line] = errors(caplog)
    assert line.startswith("The worker has ended: ")
    assert line.partition("It was running ")[2].count("'") >= 6, line


async def test_an_orchestrator_that_kills_each_worker_fails_alone(host: Host) -> None:
    deadly = await host.start("Run", "import os; os._exit(3)")
    others = [await host.start("Run", SLEEPS) for _ in range(5)]

    assert reason(await host.wait(deadly, 60)).endswith(
        f"One or more errors occurred. ({sys.executable} exited with code 3 (0x3))"
    )
    assert [(await host.wait(each, 60))["output"] for each in others] == ["healthy"] * 5


async def test_what_a_running_activity_answers_while_the_host_stops_is_kept(gate: Gate, tmp_path: Path) -> None:
    url = f"{gate.url}/?done"
    async with Host(POISON_APP, hub=tmp_path / "hub.db", in_process=True, stop_s=60) as host:
        await host.start("Call", ["Act", GET.format(url=url)], "calls")
        await gate.came.acquire()
        asyncio.get_running_loop().call_later(0.1, gate.opened.set)

    with TaskHub(tmp_path / "hub.db") as hub:
        assert hub.activities() == []
        assert hub.waiting(RealClock().now()) == ["calls"]


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os._exit(3)", "exited with code 3 (0x3)"),
        ("os._exit(0)", "exited with code 0 (0x0)"),
        ("os.abort()", "exited with code 134 (0x86)"),
    ],
)
async def test_an_activity_that_ends_its_process_fails_with_the_code(death: str, how: str, host: Host) -> None:
    instance_id = await host.start("Call", ["Act", f"import os; {death}"])

    assert reason(await host.wait(instance_id, 60)).endswith(how)
    assert await do(host.url, "return 'again'") == "again"


async def test_a_worker_that_dies_again_and_again_is_followed_each_time(host: Host) -> None:
    for _ in range(3):
        instance_id = await host.start("Call", ["Act", "import os; os._exit(3)"])
        assert (await host.wait(instance_id, 60))["runtimeStatus"] == "Failed"


# A worker whose words and end a test decides.


class Told:
    """A driver: it keeps what it is sent, and speaks and ends as the test wants."""

    def __init__(self) -> None:
        self.sent: list[ToWorker] = []
        self.is_closed = False

    def open(self, on_message: OnMessage, on_end: OnEnd) -> None:
        self.say, self.end = on_message, on_end
        self.opened_s = asyncio.get_running_loop().time()

    def send(self, messages: Iterable[ToWorker]) -> None:
        self.sent += messages

    async def close(self) -> None:
        self.is_closed = True


class Keeper:
    """A keeper of such workers, and what became of the calls that it was given."""

    def __init__(self, slow_s: float = 30, blocks_s: float = 5) -> None:
        self.workers: list[Told] = []
        self.made = asyncio.Semaphore(0)
        self.told: list[str] = []
        self.refusal: HostError | None = None
        self.may_answer = asyncio.Event()
        app = read_app(POISON_APP, OUTPUTS)
        self.worker = Worker(app, RealClock(), self._make, self._answer, slow_s, blocks_s)
        self.starting = asyncio.create_task(self.worker.start(Init(str(POISON_APP), (), {}, "", "")))

    def _make(self) -> Told:
        if self.refusal is not None:
            raise self.refusal
        self.workers.append(Told())
        self.made.release()
        return self.workers[-1]

    async def _answer(self, call: ClientCall) -> Reply:
        await self.may_answer.wait()
        return Reply(call.id, 200, call.payload)

    async def next(self) -> Told:
        """The next worker, once it is opened."""
        await self.made.acquire()
        return self.workers[-1]

    def run(self, name: str, value: str = "") -> None:
        """Have a function called with this text."""
        function = self.worker.app.find(name)
        assert isinstance(function, Function)

        def done(answer: Result | FunctionFailed) -> None:
            self.told.append(str(answer) if isinstance(answer, FunctionFailed) else answer.payload.decode())

        if name == "Run":
            self.worker.run_orchestrator(function, "an instance", value, "an id", done)
        else:
            self.worker.run_activity(function, value, "an id", done)


async def turns() -> None:
    """Let the loop do what is to be done in its next rounds."""
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 - Waits for nothing.


async def test_calls_wait_until_the_app_is_loaded_and_then_go_in_their_order() -> None:
    keeper = Keeper()
    worker = await keeper.next()
    keeper.run("Run", "{}")
    keeper.run("Act", "1")
    await turns()
    assert [type(each) for each in worker.sent] == [Init]
    assert not keeper.worker.is_ready

    worker.say(Ready({"Size": ("ImportError", "no module", "")}))
    await keeper.starting

    assert keeper.worker.is_ready
    _, first, second = worker.sent
    assert isinstance(first, Orchestrator)
    assert isinstance(second, Activity)
    assert (first.function, first.payload, second.function, second.payload) == ("Run", b"{}", "Act", b"1")
    [broken] = [each for each in keeper.worker.app.functions if each.load_error is not None]
    assert (broken.name, str(broken.load_error)) == ("Size", "ImportError: no module")
    # Answers are matched by their ids, whatever their order.
    worker.say(Failure(second.id, "ValueError", "bad", ""))
    worker.say(Result(first.id, b"state"))
    worker.say(Result(first.id, b"told twice"))
    assert keeper.told == ["ValueError: bad", "state"]
    await keeper.worker.close()
    assert worker.is_closed


async def test_a_call_of_the_durable_client_is_answered_with_its_id() -> None:
    keeper = Keeper()
    worker = await keeper.next()
    worker.say(Ready({}))

    worker.say(ClientCall(7, "POST", "/", b"{}"))
    keeper.may_answer.set()
    await turns()

    assert worker.sent[-1] == Reply(7, 200, b"{}")
    await keeper.worker.close()


async def test_a_client_whose_worker_has_died_is_not_answered_through_the_next_one() -> None:
    keeper = Keeper()
    first = await keeper.next()
    first.say(Ready({}))
    first.say(ClientCall(7, "POST", "/", b"{}"))
    await turns()
    first.end("killed")
    second = await keeper.next()
    second.say(Ready({}))

    keeper.may_answer.set()
    await turns()

    assert [type(each) for each in second.sent] == [Init]
    await keeper.worker.close()


async def test_an_interpreter_that_cannot_load_the_app_makes_a_start_impossible() -> None:
    keeper = Keeper()

    (await keeper.next()).say(NotReady("lacks something"))

    with pytest.raises(HostError, match="lacks something"):
        await keeper.starting
    await keeper.worker.close()


async def test_a_worker_that_ends_twice_before_the_app_is_loaded_makes_a_start_impossible() -> None:
    keeper = Keeper()

    for _ in range(2):
        (await keeper.next()).end("python exited with code 3 (0x3)")

    with pytest.raises(HostError, match=r"ended before the app was loaded: python exited with code 3 \(0x3\)"):
        await keeper.starting
    assert len(keeper.workers) == 2
    await keeper.worker.close()


async def test_who_waits_is_told_of_a_death_and_later_calls_go_to_the_next_worker() -> None:
    keeper = Keeper()
    first = await keeper.next()
    first.say(Ready({}))
    await keeper.starting
    keeper.run("Act", "1")
    await turns()

    first.end("killed")
    keeper.run("Act", "2")
    second = await keeper.next()
    await turns()

    assert keeper.told == [str(WorkerDied("killed"))] == ["killed"]
    assert [type(each) for each in second.sent] == [Init]
    second.say(Ready({}))
    call = second.sent[-1]
    assert isinstance(call, Activity)
    assert call.payload == b"2"
    await keeper.worker.close()


async def test_workers_that_die_without_an_answer_follow_later_and_later_until_one_answers() -> None:
    keeper = Keeper()
    waited = []
    for _ in range(4):
        worker = await keeper.next()
        worker.say(Ready({}))
        ended_s = asyncio.get_running_loop().time()
        worker.end("killed")
        if len(keeper.workers) < 4:
            await keeper.made.acquire()
            keeper.made.release()
            waited.append(keeper.workers[-1].opened_s - ended_s)
    # At once, after a second, after two.
    assert [limit <= span for limit, span in zip((0, 1, 2), waited, strict=True)] == [True] * 3
    await keeper.worker.close()
    assert len(keeper.workers) == 4


async def test_once_it_was_loaded_an_app_is_followed_however_often_it_dies_while_it_loads() -> None:
    keeper = Keeper()
    (await keeper.next()).say(Ready({}))
    await keeper.starting
    for _ in range(2):
        keeper.workers[-1].end("killed")
        await keeper.next()
        assert not keeper.worker.is_ready

    keeper.workers[-1].say(Ready({}))

    assert len(keeper.workers) == 3
    assert keeper.worker.is_ready
    await keeper.worker.close()


async def test_a_worker_that_cannot_be_started_for_a_while_is_started_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keeper = Keeper()
    first = await keeper.next()
    first.say(Ready({}))
    keeper.refusal = HostError("no memory")

    first.end("killed")
    while "no memory" not in caplog.messages:
        await turns()
    keeper.refusal = None
    second = await keeper.next()
    second.say(Ready({}))

    assert keeper.worker.is_ready
    await keeper.worker.close()


async def test_an_answer_ends_the_back_off() -> None:
    keeper = Keeper()
    for _ in range(3):
        worker = await keeper.next()
        worker.say(Ready({}))
        keeper.run("Act", "1")
        await turns()
        call = worker.sent[-1]
        assert isinstance(call, Activity)
        worker.say(Result(call.id, b"1"))
        worker.end("killed")
        await turns()
        # The next one is there already: nobody has waited a second for it.
        assert keeper.workers[-1] is not worker
    assert keeper.told == ["1"] * 3
    await keeper.worker.close()


async def test_a_function_that_runs_for_long_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, DIES)
    keeper = Keeper(slow_s=0)
    worker = await keeper.next()
    worker.say(Ready({}))
    keeper.run("Act", "1")
    await turns()

    for _ in range(3):
        keeper.worker.look()
    call = worker.sent[-1]
    assert isinstance(call, Activity)
    worker.say(Result(call.id, b"1"))
    keeper.worker.look()

    assert caplog.messages == ["Function 'Act' has been running for 0 s."]
    await keeper.worker.close()


async def test_an_orchestrator_that_blocks_is_named_with_its_instance(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, DIES)
    keeper = Keeper(blocks_s=0)
    worker = await keeper.next()
    worker.say(Ready({}))
    keeper.run("Run", "{}")
    keeper.run("Act", "1")
    await turns()

    for _ in range(3):
        keeper.worker.look()

    assert caplog.messages == [
        "an instance: orchestrator 'Run' has been running for 0 s: it must not block. Wait in an activity."
    ]
    await keeper.worker.close()


async def test_a_worker_that_can_no_longer_load_the_app_is_followed_by_another() -> None:
    keeper = Keeper()
    first = await keeper.next()
    first.say(Ready({}))
    first.end("killed")
    second = await keeper.next()

    second.say(NotReady("the app is gone"))
    third = await keeper.next()
    third.say(Ready({}))
    keeper.run("Act", "1")
    await turns()

    assert second.is_closed
    assert isinstance(third.sent[-1], Activity)
    await keeper.worker.close()
