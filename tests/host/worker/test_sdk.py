import asyncio
import importlib.metadata
import json
import re
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import ClientSession
from azure.durable_functions.models.history import HistoryEvent, HistoryEventType
from dateutil.parser import parse as dateutil_parse  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from durable_host import Host, SkipClock
from durable_host.values import stamp
from durable_host.worker import sdk
from tests.golden_app import GOLDEN_APP
from tests.host.apps import POISON_APP, do
from tests.host.disk import full_disk

event_module = sys.modules["azure.durable_functions.models.history.HistoryEvent"]
executor: Any = sys.modules["azure.durable_functions.models.TaskOrchestrationExecutor"]
# What newer Pythons and libraries warn of, word for word; each as raised by the version that is named.
NORMAL = [
    (
        UserWarning,
        "Your application uses the legacy Python v1 programming model.",
        "azure-functions-durable 1.7.0",
    ),
    (UserWarning, "Potential duplicate Task completion for TaskID 0!", "azure-functions-durable 1.7.0"),
    (
        DeprecationWarning,
        "enable_cleanup_closed ignored because https://github.com/python/cpython/pull/118960 is fixed in Python "
        "version sys.version_info(major=3, minor=14, micro=10, releaselevel='final', serial=0)",
        "aiohttp 3.14.5 on Python 3.12.8, 3.13.1 or newer",
    ),
    (
        DeprecationWarning,
        "azure.functions df_loads was called without expected_type.  Pass the destination type to enable "
        "validation and prepare for strict typing (AZURE_FUNCTIONS_DURABLE_STRICT_TYPING=1).  This message will "
        "not be repeated.",
        "azure-functions 1.26.0 and 2.3.0",
    ),
    (
        DeprecationWarning,
        "azure.functions Durable JSON codec reconstructed a custom object via the loose-mode object_hook path.  "
        "Set AZURE_FUNCTIONS_DURABLE_STRICT_TYPING=1 and supply expected_type at decode call sites to enable "
        "type-validated deserialization.  This message will not be repeated.",
        "azure-functions 1.26.0 and 2.3.0",
    ),
]


def read(timestamp: str) -> datetime:
    """A history event's timestamp as the SDK reads it."""
    event = HistoryEvent(
        EventType=HistoryEventType.ORCHESTRATOR_STARTED, EventId=-1, IsPlayed=False, Timestamp=timestamp
    )
    at: datetime = event.timestamp
    return at


def reads_fast() -> bool:
    return getattr(event_module, "dt_parse", None) == datetime.fromisoformat


@pytest.fixture
def fast() -> Iterator[None]:
    undo = sdk.speed_up_replay()
    yield
    undo()


# Timestamps.

digits = st.integers(0, 7)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 9_999_999), digits, st.sampled_from(["Z", "+00:00"]))
def test_the_standard_library_reads_what_dotnet_writes_as_dateutil_does(
    at: datetime, fraction: int, count: int, zone: str
) -> None:
    seconds = at.replace(microsecond=0, tzinfo=None).isoformat()
    text = f"{seconds}.{fraction:07}"[: 20 + count].rstrip(".") + zone

    ours, theirs = datetime.fromisoformat(text), dateutil_parse(text)

    assert ours == theirs
    assert (ours.microsecond, ours.utcoffset()) == (theirs.microsecond, theirs.utcoffset())


@given(st.datetimes(timezones=st.just(UTC)))
def test_it_reads_what_this_host_writes_too(at: datetime) -> None:
    assert datetime.fromisoformat(stamp(at)) == dateutil_parse(stamp(at)) == at


@pytest.mark.usefixtures("fast")
def test_sped_up_the_sdk_reads_the_same_instants() -> None:
    text = "2026-01-02T03:04:05.1234567Z"

    assert reads_fast()
    assert read(text) == dateutil_parse(text)


def test_the_sdk_is_as_it_was_afterwards() -> None:
    defined = executor.namedtuple
    undo = sdk.speed_up_replay()
    assert executor.namedtuple is not defined

    undo()

    assert not reads_fast()
    assert executor.namedtuple is defined


@pytest.mark.usefixtures("fast")
def test_sped_up_each_replay_uses_the_same_class() -> None:
    one, other = (executor.TaskOrchestrationExecutor().event_to_SetTaskValuePayload for _ in range(2))

    assert one == other
    assert {type(each) for each in one.values()} == {type(each) for each in other.values()}


@pytest.mark.parametrize(("setting", "is_fast"), [("0", False), ("1", True), ("", True)])
def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, setting: str, is_fast: bool) -> None:
    monkeypatch.setenv("DURABLE_HOST_FAST_REPLAY", setting)

    undo = sdk.speed_up_replay()

    assert reads_fast() is is_fast
    undo()
    assert not reads_fast()


@pytest.mark.parametrize(
    ("module", "attribute", "theirs"),
    [
        (event_module, "dt_parse", None),
        # It would read a timestamp otherwise than the SDK does.
        (event_module, "dt_parse", lambda text: dateutil_parse(text).replace(microsecond=0)),
        (executor, "namedtuple", None),
        (executor, "namedtuple", lambda name, fields: (name, fields)),
    ],
)
def test_an_sdk_whose_inside_differs_is_left_as_it_is_and_the_log_says_so(
    module: ModuleType,
    attribute: str,
    theirs: object,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if theirs is None:
        monkeypatch.delattr(module, attribute)
    else:
        monkeypatch.setattr(module, attribute, theirs)

    undo = sdk.speed_up_replay()

    assert getattr(module, attribute, None) is theirs
    assert reads_fast() is (module is executor)
    [line] = caplog.messages
    assert attribute in line
    assert "it runs more slowly" in line
    undo()
    assert getattr(module, attribute, None) is theirs


@pytest.mark.usefixtures("fast")
def test_a_second_host_of_the_same_app_speeds_up_what_the_first_one_has(caplog: pytest.LogCaptureFixture) -> None:
    undo = sdk.speed_up_replay()

    assert caplog.messages == []
    undo()
    assert reads_fast()


@pytest.mark.parametrize("version", ["1.8.0", "3.0.0b1"])
async def test_the_sdks_version_makes_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)

    for name in ("one.db", "two.db"):
        assert await start_over_http(GOLDEN_APP, tmp_path / name) == "x"


async def test_a_host_speeds_replays_up_while_it_runs(tmp_path: Path) -> None:
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", in_process=True):
        assert reads_fast()

    assert not reads_fast()


@pytest.mark.parametrize("setting", ["0", "1"])
async def test_instances_end_alike_however_the_sdk_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("DURABLE_HOST_FAST_REPLAY", setting)
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=SkipClock(), in_process=True) as host:
        status = await host.wait(await host.start("T_Context"))

    first, second, third = status["output"]
    assert first[1].endswith("+00:00")
    assert first[1] < second[0] < third[0]


# Its one HTTP session.


async def start_over_http(app: Path, hub: Path) -> str:
    """What an instance returned that the app's own starter started."""
    async with Host(app, hub=hub, in_process=True) as host, ClientSession(host.url) as client:
        async with client.post("/api/orchestrators/T_Hello", json="x") as answer:
            assert answer.status == 202
            instance_id = (await answer.json())["id"]
        output: str = (await host.wait(instance_id))["output"]
    return output


def test_a_second_host_in_the_same_process_works_on_a_loop_of_its_own(tmp_path: Path) -> None:
    for name in ("one.db", "two.db"):
        assert asyncio.run(start_over_http(GOLDEN_APP, tmp_path / name)) == "x"


async def test_a_second_host_on_the_same_loop_works_too(tmp_path: Path) -> None:
    for name in ("one.db", "two.db"):
        assert await start_over_http(GOLDEN_APP, tmp_path / name) == "x"


async def test_without_a_session_there_is_nothing_to_close() -> None:
    await sdk.close_session()
    await sdk.close_session()


# Its warnings.


async def test_an_event_that_nobody_waits_for_fails_nothing_where_warnings_are_errors(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        warnings.simplefilter("error")
        before = list(warnings.filters)
        async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=SkipClock(), in_process=True) as host:
            instance_id = await host.start("T_LateListener")
            await host.raise_event(instance_id, "Go", 1)
            assert (await host.wait(instance_id))["output"] == 1

        assert warnings.filters == before
        assert shown == []


@pytest.mark.parametrize(("category", "text", "source"), NORMAL)
def test_a_warning_that_is_normal_here_fails_nothing_where_warnings_are_errors(
    category: type[Warning], text: str, source: str
) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("error")
        undo = sdk.quiet_warnings()

        warnings.warn(text, category, stacklevel=1)
        undo()

        assert shown == [], source
        with pytest.raises(category):
            warnings.warn(text, category, stacklevel=1)


def test_a_warning_of_the_apps_own_is_still_shown() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        undo = sdk.quiet_warnings()

        with pytest.raises(DeprecationWarning):
            warnings.warn("enable_cleanup is deprecated", DeprecationWarning, stacklevel=1)
        undo()


def test_filters_that_are_gone_already_are_no_trouble() -> None:
    with warnings.catch_warnings():
        undo = sdk.quiet_warnings()
        warnings.resetwarnings()

        undo()

        assert warnings.filters == []


# Its client.


# Run by the app, with each thing that its client can do, and each that the host refuses.
CALLS = """
import asyncio, sys
from datetime import datetime
import azure.durable_functions as df, azure.functions as func

told = []

def shown(value):
    if isinstance(value, list):
        return [shown(each) for each in value]
    if isinstance(value, func.HttpResponse):
        return [value.status_code, value.get_body().decode(), dict(value.headers)]
    if hasattr(value, "to_json"):
        return without_times(value.to_json())
    return vars(value) if hasattr(value, "__dict__") else value

def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if "Time" not in key}
    return [without_times(each) for each in value] if isinstance(value, list) else value

async def tell(call):
    try:
        told.append(shown(await call))
    except Exception as error:
        told.append([type(error).__name__, str(error)])

async def until(status):
    while (await client.get_status("waiting")).runtime_status.name != status:
        await asyncio.sleep(0.01)

request = func.HttpRequest("POST", "http://localhost/api/F", body=b"")
Status = df.OrchestrationRuntimeStatus
times = dict(created_time_from=datetime(2020, 1, 1), created_time_to=datetime(2100, 1, 1))
for call in (
    lambda: client.start_new("Run", "ended", "return {'a': [1, None, 'ä']}"),
    lambda: client.wait_for_completion_or_create_check_status_response(request, "ended", 20_000, 100),
    lambda: client.get_status("ended", show_history=True, show_history_output=True, show_input=True),
    lambda: client.get_status("ended"),
    lambda: client.start_new("Run", "waiting", "yield context.wait_for_external_event('Go')"),
    lambda: until("Running"),
    lambda: client.start_new("Run", "waiting", None),
    lambda: client.start_new("Run", "bad/id", None),
    lambda: client.start_new("Nobody", "unknown", None),
    lambda: client.wait_for_completion_or_create_check_status_response(request, "unknown", 20_000, 100),
    lambda: client.raise_event("waiting", "Other", {"x": 1}),
    lambda: client.raise_event("nobody", "Go", 1),
    lambda: client.raise_event("ended", "Go", 1),
    lambda: client.suspend("waiting", "a reason"),
    lambda: until("Suspended"),
    lambda: client.resume("waiting", "a reason"),
    lambda: client.suspend("nobody", "a reason"),
    lambda: client.wait_for_completion_or_create_check_status_response(request, "waiting", 200, 100),
    lambda: client.terminate("waiting", "an ä & reason"),
    lambda: client.wait_for_completion_or_create_check_status_response(request, "waiting", 20_000, 100),
    lambda: client.terminate("waiting", "again"),
    lambda: client.terminate("nobody", "a reason"),
    lambda: client.rewind("nobody", "a reason"),
    lambda: client.rewind("ended", "a reason"),
    lambda: client.get_status("nobody"),
    lambda: client.get_status_all(),
    lambda: client.get_status_by(**times, runtime_status=[Status.Terminated]),
    lambda: client.get_status_by(**times, runtime_status=[Status.Pending]),
    lambda: client.purge_instance_history("nobody"),
    lambda: client.purge_instance_history("ended"),
    lambda: client.purge_instance_history_by(**times, runtime_status=[Status.Terminated]),
    lambda: client.get_status("ended"),
    lambda: client.read_entity_state(df.EntityId("Nobody", "key")),
):
    await tell(call())
way = df.models.DurableOrchestrationClient.__module__
return [told, sys.modules[way].post_async_request.__module__]
"""


async def test_the_apps_client_answers_alike_over_the_pipe_and_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, ways = [], []
    for setting in ("0", "1"):
        monkeypatch.setenv("DURABLE_HOST_FAST_CLIENT", setting)
        async with Host(POISON_APP, hub=tmp_path / f"{setting}.db", in_process=True) as host:
            answers, way = await do(host.url, CALLS, "AsyncDo")
        text = re.sub(r"[-\d]{10}T[:.\d]+Z|code=[-\w]+", "its own", json.dumps(answers).replace(host.url, "URL"))
        told.append(json.loads(text))
        ways.append(way)

    for over_http, over_the_pipe in zip(*told, strict=True):
        assert over_the_pipe == over_http
    assert ways == ["azure.durable_functions.models.utils.http_utils", "durable_host.worker.sdk"]
    # Both worked, and were refused some.
    assert told[0][0] == "ended"
    assert told[0][2]["output"] == {"a": [1, None, "ä"]}
    assert sum(isinstance(each, list) and each[:1] == ["Exception"] for each in told[0]) > 3


@pytest.mark.parametrize("setting", ["0", "1"])
async def test_a_hub_that_cannot_be_written_is_the_apps_error_either_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("DURABLE_HOST_FAST_CLIENT", setting)
    body = "try: return await client.start_new('Run', 'mine', None)\nexcept Exception as error: return str(error)"
    async with Host(POISON_APP, hub=tmp_path / "hub.db", in_process=True) as host:
        with full_disk(tmp_path / "hub.db"):
            refused = await do(host.url, body, "AsyncDo")
        await host.idle()

        assert "The task hub cannot be written" in refused
        assert await do(host.url, body, "AsyncDo") == "mine"
