"""Poison: whatever an app's function returns, raises, yields or asks for, its own instance fails and no other."""

import json
import logging
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_host import Host, RealClock, SkipClock
from tests.conftest import Gate, rounds
from tests.host.apps import POISON_APP
from tests.hostile.conftest import Count
from tests.processes import running

CHECK = "yield context.call_activity('Check', '')\n"
# Of json, which writes in C.
TOO_DEEP = "Stack overflow" if sys.version_info >= (3, 14) else "maximum recursion depth exceeded"
# Bodies of orchestrators, with what their instances end with: the failure, or the output.
FAILING = {
    "return {1}": "Object of type set is not JSON serializable",
    "a = []\na.append(a)\nreturn a": "Circular reference detected",
    "a = []\nfor _ in range(100_000): a = [a]\nreturn a": TOO_DEEP,
    "a = 0\nfor _ in range(600): a = [a]\nreturn a": "nested too deeply",
    "return b'x'": "Object of type bytes is not JSON serializable",
    "return 10**5_000": "Exceeds the limit (4300 digits)",
    "return object()": "Object of type object is not JSON serializable",
    "context.set_custom_status({1})\n" + CHECK: "TypeError: class <class 'set'>",
    "context.set_custom_status('x' * 9_000)\n" + CHECK: "must not exceed 16 KB",
    "context.set_custom_status('x' * 50_000_000)\n" + CHECK: "must not exceed 16 KB",
    "yield 5": "'int' object has no attribute",
    "yield context": "has no attribute '_is_scheduled'",
    "yield [context.call_activity('Check', '')]": "'list' object has no attribute",
    "try:\n    yield 5\nfinally:\n    yield 6": "'int' object has no attribute",
    "t = context.call_activity('Check', '')\nfor _ in range(300): t = context.task_all([t])\nyield t": "deeper",
    "yield context.call_activity('Nobody', '')": "'Nobody' doesn't exist",
    "yield context.call_activity('\\ud800', '')": "'\ufffd' doesn't exist",
    "yield context.call_sub_orchestrator('Monitor', version={'a': 1})": "expected a text",
    "yield context.call_sub_orchestrator('Monitor', instance_id=['a'])": "expected a text",
    "yield context.call_activity(5, 1)": "expected a text",
    "yield context.call_sub_orchestrator('Monitor', 1, 5)": "expected a text",
    "yield context.wait_for_external_event(5)": "expected a text",
    "import azure.durable_functions as df\n"
    "yield context.call_activity_with_retry('Check', df.RetryOptions(10**20, 3))": "too large to convert",
    "raise SystemExit(3)": "SystemExit: 3",
    "import sys; sys.exit('bye')": "SystemExit: bye",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise StopIteration": "generator raised StopIteration",
    "raise MemoryError": "MemoryError",
    "return 'x' * (1 << 60)": "MemoryError",
    "def f(): f()\nf()": "maximum recursion depth exceeded",
    "import asyncio; raise asyncio.CancelledError": "CancelledError",
    "raise BaseExceptionGroup('both', [KeyboardInterrupt()])": "both (1 sub-exception)",
    "raise ValueError('\\ud800')": "\ufffd",
    "class Odd(Exception):\n    def __str__(self): raise SystemExit\nraise Odd": "SystemExit",
    "class Odd(BaseException):\n    def __str__(self): raise SystemExit\nraise Odd": "unprintable Odd object",
}
COMPLETING = {
    "import asyncio\nreturn asyncio.run(asyncio.sleep(0, 'ran'))": "ran",
    "return float('nan')": "NaN",
    "return [float('inf'), {'a': float('nan')}]": ["Infinity", {"a": "NaN"}],
    "context.set_custom_status(float('nan'))\n" + CHECK + "return 1": 1,
    "return {'\\ud800': '\\udfff'}": {"\ud800": "\udfff"},
    "context.set_custom_status('\\ud800')\n" + CHECK + "return 1": 1,
    "return (yield context.call_activity('Act', 'return ' + repr('\\ud800')))": "\ud800",
    "for _ in range(1_000_000): pass\nreturn 1": 1,
    "return '\\0'": "\0",
}
# Bodies of activities.
NO_JSON = "activity trigger output must be json serializable"
FAILING_ACTIVITIES = {
    "return {1}": NO_JSON,
    "a = []\na.append(a)\nreturn a": "Circular reference detected",
    "a = []\nfor _ in range(100_000): a = [a]\nreturn a": "RecursionError",
    "a = 0\nfor _ in range(600): a = [a]\nreturn a": "nested too deeply",
    "return object()": NO_JSON,
    "return 10**5_000": "Exceeds the limit (4300 digits)",
    "raise SystemExit(3)": "SystemExit: 3",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise MemoryError": "MemoryError",
    "def f(): f()\nf()": "RecursionError",
    "import asyncio; raise asyncio.CancelledError": "CancelledError",
    "raise ValueError('\\ud800')": "ValueError: ",
    "class Odd(BaseException):\n    def __str__(self): raise SystemExit\nraise Odd": "unprintable Odd object",
}
COMPLETING_ACTIVITIES = {
    "return float('nan')": "NaN",
    "return ['\\ud800', '\\0']": ["\ud800", "\0"],
    "return (1, 2)": [1, 2],
    "return 10**4_000": 10**4_000,
}


@pytest.fixture
async def poison(tmp_path: Path) -> AsyncIterator[Host]:
    """The poison app, with time skipped."""
    async with Host(POISON_APP, hub=tmp_path / "hub.db", clock=SkipClock(), in_process=True) as host:
        yield host


# A host in this process: what a function hands over.


async def assert_they_end(
    poison: Host, failing: dict[str, str], completing: dict[str, Any], healthy: list[str]
) -> None:
    """Each of `failing` with its text in its output, each of `completing` with its value, and the healthy ones."""
    failed = {each: await poison.wait(each, 30) for each in failing}
    completed = {each: await poison.wait(each, 30) for each in completing}

    assert {status["runtimeStatus"] for status in failed.values()} == {"Failed"}
    assert [(text, failed[each]) for each, text in failing.items() if text not in failed[each]["output"]] == []
    assert {each: status["output"] for each, status in completed.items()} == completing
    assert [(await poison.wait(each))["output"] for each in healthy] == ["healthy"] * 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Of a generator that never ends.
async def test_a_poisoned_orchestrator_fails_alone(poison: Host, count: Count) -> None:
    healthy = [await poison.start("Monitor", 60) for _ in range(3)]
    failing = {await poison.start("Run", body): text for body, text in FAILING.items()}
    completing = {await poison.start("Run", body): output for body, output in COMPLETING.items()}

    await assert_they_end(poison, failing, completing, healthy)
    count(len(FAILING) + len(COMPLETING))


@pytest.mark.parametrize("activity", ["Act", "AsyncAct"])
async def test_a_poisoned_activity_fails_its_instance_alone(activity: str, poison: Host, count: Count) -> None:
    healthy = [await poison.start("Monitor", 60) for _ in range(3)]
    failing = {await poison.start("Call", [activity, body]): text for body, text in FAILING_ACTIVITIES.items()}
    completing = {
        await poison.start("Call", [activity, body]): value for body, value in COMPLETING_ACTIVITIES.items()
    }

    await assert_they_end(poison, failing, completing, healthy)
    count(len(FAILING_ACTIVITIES) + len(COMPLETING_ACTIVITIES))


@pytest.mark.parametrize(
    ("reads", "replay", "told"),
    [
        (
            "import time; now = time.monotonic_ns()",
            "yield context.call_activity('Check' if now == first else 'Act', '')",
            "an activity task with sequence number 1 named 'Check', but the current orchestration replay instead "
            "scheduled an activity task named 'Act' with this sequence number.",
        ),
        (
            "import random; now = random.random()",
            "yield context.call_activity('Check' if now == first else 'Act', '')",
            "an activity task with sequence number 1 named 'Check', but the current orchestration replay instead "
            "scheduled an activity task named 'Act' with this sequence number.",
        ),
        (
            "import uuid; now = uuid.uuid4()",
            "yield (context.call_activity('Check', '') if now == first else context.create_timer(at))",
            "an activity task with sequence number 1 named 'Check', but the current orchestration replay instead "
            "produced a CreateTimerOrchestratorAction action with this sequence number.",
        ),
        (
            "import datetime; now = datetime.datetime.now()",
            "if now != first: return\nyield context.call_activity('Check', '')",
            "an activity task with sequence ID 1 and name 'Check' (version ''), but the current replay execution "
            "hasn't (yet?) scheduled this task.",
        ),
    ],
)
async def test_an_orchestrator_that_reads_the_clock_or_chance_is_told_at_which_task_it_left_its_history(
    reads: str, replay: str, told: str, poison: Host
) -> None:
    reads += f"\nfirst = memory.setdefault({reads!r}, now)\nat = context.current_utc_datetime\n"
    healthy = await poison.start("Monitor", 60)

    status = await poison.wait(await poison.start("Run", CHECK + reads + replay))

    assert status["runtimeStatus"] == "Failed"
    assert status["output"].startswith("Non-Deterministic workflow detected: ")
    assert told in status["output"]
    assert (await poison.wait(healthy))["output"] == "healthy"


# A function that is no orchestrator of the SDK's may answer anything.
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "2026-01-01", "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59.999999Z"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["Act", "Check", "Answer", "Monitor"]) | JSON_VALUES
RETRIES = st.none() | st.fixed_dictionaries(
    {
        "firstRetryIntervalInMilliseconds": st.integers() | st.floats() | JSON_VALUES,
        "maxNumberOfAttempts": st.integers() | st.floats() | JSON_VALUES,
    }
)
LEAVES = st.fixed_dictionaries(
    {
        "actionType": st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7]) | JSON_VALUES,
        "functionName": NAMES,
        "externalEventName": NAMES,
        "input": JSON_VALUES,
        "instanceId": JSON_VALUES,
        "version": JSON_VALUES,
        "fireAt": JSON_VALUES,
        "isCanceled": JSON_VALUES,
    },
    optional={"retryOptions": RETRIES},
)
ACTIONS = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {"actionType": st.sampled_from([11, 12]), "compoundActions": st.lists(inner, max_size=3) | JSON_VALUES}
    ),
    max_leaves=4,
)
STATES = st.fixed_dictionaries(
    {"isDone": st.booleans() | JSON_VALUES, "actions": st.tuples(st.lists(ACTIONS, max_size=3)) | JSON_VALUES},
    optional={"output": JSON_VALUES, "customStatus": JSON_VALUES, "error": JSON_VALUES},
)


@rounds(100, soak=400)
async def test_a_function_that_is_no_orchestrator_may_answer_anything(
    rounds: int, tmp_path: Path, count: Count
) -> None:
    answers: list[str] = ["", "null", "{}", "[" * 100_000, "1" * 10_000, '{"actions": [[]]}', "\ud800"]

    @settings(max_examples=rounds, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(STATES)
    def collect(state: Any) -> None:
        answers.append(json.dumps(state))

    collect()
    async with Host(POISON_APP, hub=tmp_path / "hub.db", clock=RealClock(), in_process=True) as host:
        for answer in answers:
            await host.start("Answer", answer)
        await host.start("Answer", json.dumps({"isDone": False, "actions": [[NEVER]]}))
        with pytest.raises(OverflowError):
            await skip_all(host)
        healthy = await host.start("Monitor", 0.001)

        assert (await host.wait(healthy, 30))["output"] == "healthy"
    count(len(answers))


async def skip_all(host: Host) -> None:
    """Let every timer fire that was asked for."""
    while await host.skip():
        pass


NEVER = {"actionType": 5, "fireAt": "9999-12-31T23:59:59.999999Z", "isCanceled": False}


async def test_with_time_skipped_a_timer_at_the_end_of_time_waits(poison: Host) -> None:
    waiting = await poison.start("Answer", json.dumps({"isDone": False, "actions": [[NEVER]]}))
    healthy = await poison.start("Monitor", 86_400)

    assert (await poison.wait(healthy))["output"] == "healthy"
    assert (await poison.status(waiting) or {})["runtimeStatus"] == "Running"


# A function that hangs.


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("Act", "import requests\nreturn requests.get({url!r}).text"),
        ("AsyncAct", "import aiohttp\nasync with aiohttp.request('GET', {url!r}) as got: return await got.text()"),
    ],
)
async def test_beside_an_activity_that_hangs_others_go_on_and_after_a_while_it_is_named_once(
    name: str, body: str, tmp_path: Path, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "durable_host.dispatch.workers")
    async with Host(POISON_APP, hub=tmp_path / "hub.db", clock=RealClock(), slow_s=1, in_process=True) as host:
        stuck = await host.start("Call", [name, body.format(url=f"{gate.url}/?went-on")])
        await gate.came.acquire()
        healthy = [await host.start("Monitor", 0.001) for _ in range(5)]
        assert [(await host.wait(each))["output"] for each in healthy] == ["healthy"] * 5

        while not caplog.messages:
            await host.clock.sleep_until(host.clock.now() + timedelta(seconds=0.1))
        await host.clock.sleep_until(host.clock.now() + timedelta(seconds=1.5))
        gate.opened.set()

        assert (await host.wait(stuck))["output"] == "went-on"
    assert caplog.messages == [f"Function '{name}' has been running for 1 s."]


# A host in a process of its own: what a function does to all of it.


# Each of these leaves something behind in the process.
LEFT_BEHIND = [
    ("Act", "import os; os.chdir('/')"),
    ("Act", "import sys; sys.stdin.close(); sys.stdout.close()"),
    ("Act", "import os; os.close(0); os.close(1)"),
    ("Act", "import sys; sys.stdout = sys.stderr = sys.stdin = None"),
    ("Act", "import sys; sys.unraisablehook = None"),
    ("Act", "import threading; threading.Thread(target=lambda: 1 / 0).start()"),
    ("Act", "import threading; threading.Thread(target=threading.Event().wait).start()"),
    ("Act", "import os; os.environ.clear()"),
    ("Act", "import gc; gc.disable(); gc.freeze()"),
    ("Act", "import sys; sys.setswitchinterval(1)"),
    ("Act", "import atexit, threading; atexit.register(threading.Event().wait)"),
    ("Act", "import signal; signal.raise_signal(signal.SIGPIPE)"),
    ("Act", "import warnings; warnings.simplefilter('error')"),
    ("AsyncAct", "import asyncio; asyncio.ensure_future(asyncio.Event().wait())"),
    ("AsyncAct", "import asyncio; asyncio.get_running_loop().call_soon(lambda: 1 / 0)"),
    ("AsyncAct", "import asyncio; asyncio.get_running_loop().set_exception_handler(lambda *_: 1 / 0)"),
    ("AsyncAct", "import asyncio; asyncio.current_task().cancel(); await asyncio.Event().wait()"),
    ("AsyncAct", "import asyncio; asyncio.get_running_loop().set_default_executor(None)"),
    ("AsyncAct", "import asyncio; asyncio.set_event_loop(None)"),
    ("AsyncAct", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"),
    ("AsyncAct", "import signal; signal.signal(signal.SIGINT, lambda *_: None)"),
]


async def test_what_a_function_leaves_behind_in_the_process_harms_nobody(tmp_path: Path, count: Count) -> None:
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        for number, poison in enumerate(LEFT_BEHIND):
            await host.start("Call", f"poison-{number}", poison)
            await host.ended(f"poison-{number}")
            await host.start("Monitor", f"monitor-{number}", 0.001)

            assert (await host.ended(f"monitor-{number}"))["runtimeStatus"] == "Completed"
        # The log still tells of each call, a second later the host listens to Ctrl+C again.
        assert host.printed.count("Executed 'Functions.Monitor' (Succeeded") >= len(LEFT_BEHIND) * 10
        await host.start("Monitor", "later", 0.25)
        assert (await host.ended("later"))["runtimeStatus"] == "Completed"

        await host.end()
    count(len(LEFT_BEHIND))


@pytest.mark.parametrize("hook", ["sys.excepthook", "threading.excepthook"])
async def test_an_activity_for_which_no_thread_can_be_made_ends(hook: str, tmp_path: Path) -> None:
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        await host.start("Call", "poison", ["Act", f"import sys, threading; {hook} = None"])
        await host.ended("poison")
        for number in range(4):
            await host.start("Call", f"activity-{number}", ["Act", "import time; time.sleep(0.2)"])

        # Python makes no thread without a hook; those that it made before go on.
        ends = [(await host.ended(f"activity-{number}"))["runtimeStatus"] for number in range(4)]
        assert set(ends) <= {"Completed", "Failed"}


@pytest.mark.parametrize("megabytes", [5, pytest.param(50, marks=[pytest.mark.soak])])
async def test_megabytes_are_kept_or_refused_and_memory_is_bounded(
    megabytes: int, tmp_path: Path, count: Count
) -> None:
    large = f"'x' * {megabytes}_000_000"
    poisons = [
        ("Call", ["Act", f"return {large}"], "Completed"),
        ("Run", f"{CHECK}return {large}", "Completed"),
        ("Run", f"context.set_custom_status({large})\n{CHECK}", "Failed"),
        ("Call", ["Act", f"return {large}"], "Completed"),
    ]
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        quiet_mb = host.memory_mb()
        for number, (name, value, status) in enumerate(poisons):
            await host.start(name, f"poison-{number}", value)
            assert (await host.ended(f"poison-{number}"))["runtimeStatus"] == status
        await host.start("Monitor", "healthy", 0.001)

        assert (await host.ended("healthy"))["runtimeStatus"] == "Completed"
        assert host.memory_mb() < quiet_mb + 20 * megabytes
    count(len(poisons))


# Ctrl+C. Each of these is stuck as long as its file exists, and says so.
STUCK = {
    "a thread that waits": [("Act", "threading.Event().wait()")],
    "threads that wait, loop, catch all and start others, and coroutines that refuse to end": [
        ("Act", "threading.Thread(target=threading.Event().wait).start()\nthreading.Event().wait()"),
        ("Act", "while True: pass"),
        ("Act", "while True:\n    try: threading.Event().wait(1)\n    except BaseException: pass"),
        ("AsyncAct", "await asyncio.to_thread(threading.Event().wait)"),
        ("AsyncAct", "while True:\n    try: await asyncio.Event().wait()\n    except BaseException: pass"),
    ],
    "a call into C, in a thread": [("Act", "re.match('(a+)+$', 'a' * 60 + 'b')")],
    "a loop in a coroutine": [("AsyncAct", "while True: pass")],
    "a loop in an orchestrator": [("Run", "while True: pass")],
    "a loop in an orchestrator that catches all": [
        ("Run", "while True:\n    try:\n        while True: pass\n    except BaseException: pass")
    ],
    "a call into C, in an orchestrator": [("Run", "re.match('(a+)+$', 'a' * 60 + 'b')")],
}


# The others are less than these.
HARDEST = (
    "threads that wait, loop, catch all and start others, and coroutines that refuse to end",
    "a loop in an orchestrator that catches all",
    "a call into C, in an orchestrator",
)


@pytest.mark.parametrize(
    "stuck",
    [
        pytest.param(each, id=name, marks=() if name in HARDEST else pytest.mark.soak)
        for name, each in STUCK.items()
    ],
)
async def test_ctrl_c_ends_the_process_whatever_runs_and_nothing_is_lost(
    stuck: list[tuple[str, str]], tmp_path: Path, count: Count
) -> None:
    flag = tmp_path / "stuck"
    flag.touch()
    async with running("--script-root", POISON_APP, "--hub", tmp_path / "hub.db") as host:
        await host.start("Monitor", "healthy", 86_400)
        for number, (name, body) in enumerate(stuck):
            code = f"import asyncio, os, re, sys, threading\nif os.path.exists({str(flag)!r}):\n"
            code += indent(f"os.write(1, b'stuck\\n')\n{body}", "    ")
            if name == "Run":
                await host.start("Run", f"poison-{number}", f"{code}\nreturn")
            else:
                await host.start("Call", f"poison-{number}", [name, code])
        await host.until("stuck\n", len(stuck))

        await host.end()

    flag.unlink()
    async with Host(POISON_APP, hub=tmp_path / "hub.db", clock=SkipClock(), in_process=True) as again:
        for number in range(len(stuck)):
            assert (await again.wait(f"poison-{number}"))["runtimeStatus"] == "Completed"
        assert (await again.wait("healthy"))["output"] == "healthy"
    count(len(stuck))
