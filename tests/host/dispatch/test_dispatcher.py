import asyncio
import json
import logging
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession

from durable_host import Host, HostError, RealClock
from durable_host.engine.events import EventType, Status
from durable_host.errors import FunctionFailed, HubError, InstanceFinished
from durable_host.http.webhooks import BASE
from durable_host.hub.instances import put_start
from durable_host.hub.records import Filter, Start
from durable_host.hub.taskhub import TaskHub
from tests.conftest import Gate, Handler
from tests.golden_app import GOLDEN_APP
from tests.host.apps import ACTIVITY, ORCHESTRATOR, write_function, write_host_json
from tests.host.conftest import CALLING_APP
from tests.host.disk import full_disk

HOUR = timedelta(hours=1)
ON_REAL_TIME = pytest.mark.parametrize("clock_class", [RealClock])


def orchestrator(root: Path, name: str, body: str) -> None:
    """Write an orchestrator that does this line."""
    code = f"import azure.durable_functions as df\n\ndef run(context):\n    {body}\n    yield\n\n"
    write_function(root, name, f"{code}main = df.Orchestrator.create(run)\n", ORCHESTRATOR)


def history(host: Host, instance_id: str) -> list[str]:
    return [EventType(event["EventType"]).wire_name for event in host.instances.history(instance_id)]


# Activities.


async def test_activities_run_side_by_side_up_to_the_apps_limit(calling: Host, gate: Gate) -> None:
    urls = [f"{gate.url}/?{number}" for number in range(5)]

    instance_id = await calling.start("Call", urls)
    for _ in range(2):
        await gate.came.acquire()
    gate.opened.set()

    assert (await calling.wait(instance_id))["output"] == ["0", "1", "2", "3", "4"]
    assert gate.most_waiting == 2


async def test_time_is_not_skipped_while_an_activity_runs(calling: Host, gate: Gate) -> None:
    instance_id = await calling.start("CallOrTimeOut", f"{gate.url}/?done")
    await gate.came.acquire()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(calling.idle(), 0.1)
    assert calling.clock.skipped == timedelta(0)
    gate.opened.set()

    assert (await calling.wait(instance_id))["output"] == "done"
    assert calling.clock.skipped == timedelta(0)


@ON_REAL_TIME
async def test_the_result_of_an_activity_that_nobody_waits_for_any_more_is_dropped(
    calling: Host, gate: Gate
) -> None:
    instance_id = await calling.start("Call", [gate.url])
    await gate.came.acquire()
    await calling.terminate(instance_id)
    await calling.wait(instance_id)
    before = history(calling, instance_id)

    gate.opened.set()
    await calling.idle()

    assert history(calling, instance_id) == before
    assert await calling.skip() is None


@ON_REAL_TIME
async def test_a_result_for_an_instance_before_is_none_for_the_one_that_took_its_id(
    calling: Host, gate: Gate, serve: Callable[[Handler], Awaitable[str]]
) -> None:
    later = Gate()
    later.url = await serve(later.answer)
    await calling.start("Call", [f"{gate.url}/?old"], "mine")
    await gate.came.acquire()
    await calling.terminate("mine")
    await calling.wait("mine")

    await calling.start("Call", [f"{later.url}/?new"], "mine")
    await later.came.acquire()
    gate.opened.set()
    with pytest.raises(TimeoutError):
        await calling.wait("mine", timeout_s=0.1)
    later.opened.set()

    assert (await calling.wait("mine"))["output"] == ["new"]


async def test_an_activity_in_flight_runs_again_on_the_next_host(tmp_path: Path, gate: Gate) -> None:
    async with Host(CALLING_APP, hub=tmp_path / "hub.db", in_process=True) as host:
        instance_id = await host.start("Call", [f"{gate.url}/?again"])
        await gate.came.acquire()

    async with Host(CALLING_APP, hub=tmp_path / "hub.db", in_process=True) as host:
        await gate.came.acquire()
        gate.opened.set()
        assert (await host.wait(instance_id))["output"] == ["again"]


async def test_an_activity_in_flight_whose_function_is_gone_fails(tmp_path: Path, gate: Gate) -> None:
    app = shutil.copytree(CALLING_APP, tmp_path / "app")
    async with Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
        instance_id = await host.start("Call", [gate.url])
        await gate.came.acquire()
    shutil.rmtree(app / "Get")

    async with Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
        status = await host.wait(instance_id)

    assert status["runtimeStatus"] == "Failed"
    assert "The function 'Get' doesn't exist, is disabled, or is not an activity function" in status["output"]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_an_activity_that_ends_by_a_cancellation_of_its_own_fails(tmp_path: Path, kind: str) -> None:
    write_function(
        tmp_path, "Quit", f"import asyncio\n\n{kind} main(value):\n    raise asyncio.CancelledError\n", ACTIVITY
    )
    orchestrator(tmp_path, "Main", "return (yield context.call_activity('Quit', 1))")

    async with Host(tmp_path, hub=tmp_path / "hub.db", in_process=True) as host:
        status = await host.wait(await host.start("Main"), timeout_s=30)

    assert status["runtimeStatus"] == "Failed"
    assert "Activity function 'Quit' failed: CancelledError: " in status["output"]


# Timers.


async def test_timers_fire_in_the_order_of_their_instants_and_never_early(host: Host) -> None:
    began = host.clock.now()
    days = (3, 1, 2)
    ids = [await host.start("T_LongTimer", count) for count in days]

    await asyncio.gather(*(host.wait(each) for each in ids))

    woken = [host.instances.get(each).updated_at for each in ids]
    assert woken[1] < woken[2] < woken[0]
    for at, count in zip(woken, days, strict=True):
        assert timedelta(days=count) <= at - began < timedelta(days=count, hours=1)


@ON_REAL_TIME
async def test_on_real_time_a_timer_waits_until_it_is_skipped_to(host: Host) -> None:
    instance_id = await host.start("T_Wait")
    await host.idle()
    assert host.instances.get(instance_id).status is Status.Running

    due = await host.skip()

    assert due is not None
    assert (await host.wait(instance_id))["output"] == "woke"
    assert due <= host.clock.now() < due + HOUR
    assert await host.skip() is None


@ON_REAL_TIME
async def test_time_advances_from_one_timer_to_the_next_and_stops_where_it_was_told(host: Host) -> None:
    began = host.clock.now()
    instance_id = await host.start("T_Eternal")

    await host.advance(7)

    # Every two seconds it starts over with the next number.
    assert host.instances.get(instance_id).input_text == '"3"'
    assert timedelta(seconds=7) <= host.clock.now() - began < HOUR


@ON_REAL_TIME
async def test_short_timers_fire_by_themselves(host: Host) -> None:
    instance_id = await host.start("T_MonitorN", {"n": 2})

    assert (await host.wait(instance_id))["output"] == "done"
    assert host.clock.skipped == timedelta(0)


async def test_a_timer_that_came_due_while_no_host_ran_fires_at_once(tmp_path: Path) -> None:
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", in_process=True) as host:
        instance_id = await host.start("T_Wait")
        await host.idle()
    clock = RealClock()
    clock.skip_to(clock.now() + 2 * HOUR)

    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=clock, in_process=True) as host:
        assert (await host.wait(instance_id))["output"] == "woke"


async def test_an_instance_never_sees_time_run_back(tmp_path: Path) -> None:
    clock = RealClock()
    later = clock.now() + HOUR
    with TaskHub(tmp_path / "hub.db") as hub, hub.batch():
        put_start(hub, Start("an-id", "T_Instant", "e", "1", None), later)

    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=clock, in_process=True) as host:
        await host.wait("an-id")
        assert host.instances.get("an-id").updated_at >= later


# Episodes.


async def test_many_instances_at_once_are_all_run(host: Host) -> None:
    ids = await asyncio.gather(*(host.start("T_Hello", number) for number in range(100)))

    outputs = [(await host.wait(each))["output"] for each in ids]

    assert outputs == list(range(100))


async def test_each_episode_is_told_with_what_was_exchanged(tmp_path: Path) -> None:
    seen: list[tuple[str, str, str, str | FunctionFailed]] = []
    async with Host(
        GOLDEN_APP, hub=tmp_path / "h", on_episode=lambda *told: seen.append(told), in_process=True
    ) as host:
        first = await host.start("t_hello", "x")
        await host.wait(first)
        second = await host.start("T_Raise")
        await host.wait(second)

    assert [(instance_id, name) for instance_id, name, _, _ in seen] == [
        (first, "T_Hello"),
        (first, "T_Hello"),
        (second, "T_Raise"),
    ]
    contexts = [json.loads(context) for _, _, context, _ in seen]
    assert [context["isReplaying"] for context in contexts] == [False, True, False]
    assert isinstance(seen[1][3], str)
    assert json.loads(seen[1][3])["output"] == "x"
    assert isinstance(seen[2][3], FunctionFailed)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Nobody", "doesn't exist"), ("T_Echo", "is not an orchestrator function"), ("HttpStart", "is not an orche")],
)
async def test_a_start_of_what_is_no_orchestrator_fails_and_says_so(host: Host, name: str, kind: str) -> None:
    status = await host.wait(await host.start(name))

    assert status["runtimeStatus"] == "Failed"
    assert status["output"].startswith(
        f"Orchestrator function '{name}' failed: The function '{name}' doesn't exist"
    )
    assert kind in status["output"]
    assert "'T_Hello'" in status["output"]


async def test_code_that_could_not_be_loaded_fails_its_instances_with_the_reason(tmp_path: Path) -> None:
    write_function(tmp_path, "Broken", "import no_such_module", ORCHESTRATOR)

    async with Host(tmp_path, hub=tmp_path / "hub.db", in_process=True) as host:
        status = await host.wait(await host.start("Broken"))

    assert status["runtimeStatus"] == "Failed"
    assert "No module named 'no_such_module'" in status["output"]


@pytest.mark.parametrize("answer", ["hello", '{"isDone": true}', "[]"])
async def test_a_function_that_does_not_answer_as_the_sdk_fails_its_instances(tmp_path: Path, answer: str) -> None:
    write_function(tmp_path, "Plain", f"def main(context):\n    return {answer!r}\n", ORCHESTRATOR)

    async with Host(tmp_path, hub=tmp_path / "hub.db", in_process=True) as host:
        status = await host.wait(await host.start("Plain"))

    assert status["runtimeStatus"] == "Failed"
    assert status["output"].startswith(
        f"Orchestrator function 'Plain' failed: expected the JSON of an orchestrator's state, found {answer!r}"
    )


ODD = {
    "a_name_that_is_none": "yield context.call_activity(5, 1)",
    "an_id_that_is_none": "yield context.call_sub_orchestrator('Odd', 1, 5)",
    "an_event_that_is_none": "yield context.wait_for_external_event(5)",
    "an_endless_wait": "yield context.call_activity_with_retry('A', df.RetryOptions(10**20, 3), 1)",
    "half_a_character": "raise ValueError('\\ud800')",
    "half_a_character_in_a_name": "yield context.call_activity('\\ud800', 1)",
    "an_exit": "raise SystemExit(3)",
    "a_number_too_large": "return 10**5000",
}


@pytest.mark.parametrize("body", ODD.values(), ids=list(ODD))
async def test_an_odd_orchestrator_fails_its_instance_and_not_the_host(tmp_path: Path, body: str) -> None:
    orchestrator(tmp_path, "Odd", body)
    orchestrator(tmp_path, "Good", "return 'fine'")

    async with Host(tmp_path, hub=tmp_path / "hub.db", in_process=True) as host:
        odd = await host.wait(await host.start("Odd"))
        good = await host.wait(await host.start("Good"))

    assert (odd["runtimeStatus"], good["output"]) == ("Failed", "fine")


async def test_a_function_that_is_gone_fails_its_instances_by_that_name(tmp_path: Path) -> None:
    app = shutil.copytree(CALLING_APP, tmp_path / "app")
    orchestrator(app, "Before", "yield context.call_activity('Get', context.get_input())")
    async with Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
        instance_id = await host.start("Before", "http://localhost:1/")
        await host.suspend(instance_id)
        await host.idle()
    shutil.rmtree(app / "Before")

    async with Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
        await host.resume(instance_id)
        status = await host.wait(instance_id)

    assert status["output"].startswith(
        "Orchestrator function 'Before' failed: The function 'Before' doesn't exist"
    )


# Suspended.


@ON_REAL_TIME
async def test_a_wait_with_a_cancelled_timer_completes_while_suspended(host: Host) -> None:
    # The cancelled timer ends the race; other waits hold until the resume. Source: seen of extension 3.19.0.
    await host.start("T_EventTimeout", 20, "mine")
    await host.idle()
    await host.suspend("mine")

    await host.raise_event("mine", "Approve", 1)

    assert (await host.wait("mine"))["output"] == {"approved": 1, "timer_done": False}
    with pytest.raises(InstanceFinished):
        await host.resume("mine", None)


# Loops.


async def test_a_loop_without_a_wait_can_be_terminated(host: Host) -> None:
    await host.start("T_SpinForever", 0, "loop")
    assert (await host.wait(await host.start("T_Hello", "x")))["output"] == "x"

    await host.terminate("loop", "enough")

    status = await host.wait("loop")
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")
    assert status["customStatus"]["generation"] > 0


# Options of host.json.


async def test_a_start_ends_a_live_instance_of_its_id_when_host_json_says_so(tmp_path: Path) -> None:
    orchestrator(tmp_path, "Wait", "yield context.wait_for_external_event('Go')")
    write_host_json(tmp_path, extensions={"durableTask": {"overridableExistingInstanceStates": "AnyState"}})
    async with Host(tmp_path, hub=tmp_path / "hub.db", in_process=True) as host:
        await host.start("Wait", 1, "mine")
        await host.idle()
        await host.suspend("mine")

        await host.start("Wait", 2, "mine")
        await host.idle()

        record = host.instances.get("mine")
        assert (record.status, record.input_text, record.generation) == (Status.Running, '"2"', 1)


# Sub-orchestrations.


async def test_a_child_whose_id_is_live_fails_its_parents_call(host: Host) -> None:
    await host.start("T_WaitEvent", instance_id="taken")

    status = await host.wait(await host.start("T_SubId", "taken"))

    assert status["runtimeStatus"] == "Failed"
    assert "An Orchestration instance with the status Running already exists." in status["output"]
    assert host.instances.get("taken").status is Status.Running


async def test_a_child_takes_over_the_id_of_a_finished_instance(host: Host) -> None:
    await host.start("T_Instant", "old", "mine")
    await host.wait("mine")

    await host.wait(await host.start("T_SubId", "mine"))

    record = host.instances.get("mine")
    assert (record.name, record.generation) == ("T_Hello", 1)


async def test_a_child_that_ends_after_its_parent_was_purged_troubles_nobody(host: Host) -> None:
    parent = await host.start("T_SubWait")
    await host.idle()
    (child,) = (each.id for each in host.instances.page(Filter(), "", 10) if each.id != parent)
    await host.terminate(parent)
    await host.wait(parent)
    await host.purge(parent)

    await host.raise_event(child, "Go", 1)

    assert (await host.wait(child))["runtimeStatus"] == "Completed"
    await host.idle()
    assert await host.status(parent) is None


# Callers.


async def test_a_caller_who_has_gone_holds_nobody_up(host: Host) -> None:
    gone = asyncio.create_task(host.start("T_Instant", instance_id="gone"))
    await asyncio.sleep(0)  # noqa: TID251 - Lets the task submit its start; waits for nothing.
    gone.cancel()

    await host.wait(await host.start("T_Instant"))

    assert (await host.wait("gone"))["runtimeStatus"] == "Completed"


async def test_a_refused_change_undoes_no_other_of_its_batch(host: Host) -> None:
    await host.start("T_WaitEvent", instance_id="live")

    outcomes = await asyncio.gather(
        host.start("T_WaitEvent", instance_id="one"),
        host.start("T_WaitEvent", instance_id="live"),
        host.start("T_WaitEvent", instance_id="two"),
        return_exceptions=True,
    )

    assert [isinstance(each, HostError) for each in outcomes] == [False, True, False]
    assert [each.id for each in host.instances.page(Filter(), "", 10)] == ["live", "one", "two"]


# A bug of the host.


def broken(*_: object) -> None:
    raise RuntimeError("boom")


async def test_a_host_that_has_stopped_working_says_so_to_everyone(tmp_path: Path) -> None:
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", on_episode=broken, in_process=True) as host:
        await host.start("T_Instant", instance_id="mine")
        waiting = asyncio.create_task(host.wait("mine"))

        with pytest.raises(RuntimeError, match="boom"):
            await host.run()

        said = r"^The host has stopped working \(RuntimeError: boom\)\.$"
        for operation in (waiting, host.idle(), host.wait("mine"), host.start("T_Instant"), host.skip()):
            with pytest.raises(HostError, match=said):
                await operation
        async with ClientSession(host.url) as client, client.post(f"{BASE}/orchestrators/T_Instant") as answer:
            assert answer.status == 500

    # What it had accepted is done by the next one.
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", in_process=True) as host:
        assert (await host.wait("mine"))["runtimeStatus"] == "Completed"


# A full disk.


async def test_a_full_disk_refuses_starts_and_loses_nothing_once_there_is_room(calling: Host, gate: Gate) -> None:
    instance_id = await calling.start("Call", [f"{gate.url}/?kept"])
    await gate.came.acquire()

    with full_disk(calling.hub.path):
        with pytest.raises(HubError) as refusal:
            await calling.start("Call", ["x" * 1_000_000])
        gate.opened.set()
        with pytest.raises(TimeoutError):
            await calling.wait(instance_id, timeout_s=0.3)

    assert str(refusal.value).startswith("The task hub cannot be written (")
    assert str(refusal.value).endswith("). Nothing of it is lost; free the disk.")
    assert (await calling.wait(instance_id))["output"] == ["kept"]
    assert len(calling.instances.page(Filter(), "", 10)) == 1


# Logs.


async def test_each_call_is_logged_as_the_functions_host_does(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "durable_host"):
        await host.wait(await host.start("T_ActFail"))

    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    called = [text.split("'")[1] for _, text in said]
    assert called == ["Functions.T_ActFail"] * 2 + ["Functions.T_Fail"] * 2 + ["Functions.T_ActFail"] * 2
    assert said[0][1].startswith("Executing 'Functions.T_ActFail' (Reason='(null)', Id=")
    assert said[1][1].startswith("Executed 'Functions.T_ActFail' (Succeeded, Id=")
    assert [level for level, _ in said] == ["INFO", "INFO", "INFO", "ERROR", "INFO", "ERROR"]
    head, *rest = said[3][1].splitlines()
    assert head.startswith("Executed 'Functions.T_Fail' (Failed, Id=")
    assert rest[0] == "Activity function 'T_Fail' failed: ValueError: activity failed: x"
    assert 'in main\n    raise ValueError(f"activity failed: {value}")' in said[3][1]
    # The serialized .NET exception that the orchestrator got is left out.
    assert said[5][1].splitlines()[1:] == ["Activity function 'T_Fail' failed: ValueError: activity failed: x"]


async def test_a_calls_lines_have_one_id(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "durable_host"):
        await host.wait(await host.start("T_Instant"))

    ids = {record.getMessage().partition("Id=")[2][:36] for record in caplog.records}
    assert len(ids) == 1
