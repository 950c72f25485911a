import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from durable_host import Host, HostError, RealClock
from durable_host.errors import AppError, HubError, InstanceNotFound
from durable_host.host import reason
from durable_host.hub.records import Filter
from durable_host.hub.taskhub import TaskHub
from tests.golden_app import GOLDEN_APP
from tests.host.apps import ACTIVITY, HTTP, RETURN, STARTER, write_function, write_host_json

SETTING = (
    "import os\nAT_IMPORT = os.environ['GREETING']\n\ndef main(req): return AT_IMPORT + os.environ['GREETING']\n"
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app whose one function answers with a setting."""
    root = tmp_path / "app"
    write_function(root, "Greet", SETTING, HTTP, RETURN)
    settings = {"IsEncrypted": False, "Values": {"GREETING": "hello"}}
    (root / "local.settings.json").write_text(json.dumps(settings))
    return root


@pytest.fixture
def as_before() -> Iterator[None]:
    """The process is as it was before the test: its environment, its paths, its modules, its folder."""
    environment, path, modules, folder = dict(os.environ), list(sys.path), set(sys.modules), Path.cwd()
    yield
    assert dict(os.environ) | {"PYTEST_CURRENT_TEST": ""} == environment | {"PYTEST_CURRENT_TEST": ""}
    assert sys.path == path
    assert not [name for name in set(sys.modules) - modules if name.startswith(("Greet", "__app__"))]
    assert Path.cwd() == folder


async def answer(url: str) -> str:
    async with ClientSession() as client, client.get(url) as response:
        return await response.text()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


# Start and end.


@pytest.mark.usefixtures("as_before")
async def test_a_host_serves_an_app_with_its_settings_and_leaves_no_trace(app: Path, tmp_path: Path) -> None:
    async with Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
        assert await answer(f"{host.url}/api/Greet") == "hellohello"
        assert os.environ["WEBSITE_HOSTNAME"] == urlsplit(host.url).netloc


async def test_an_app_may_be_changed_between_two_hosts(app: Path, tmp_path: Path) -> None:
    async with Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
        assert await answer(f"{host.url}/api/Greet") == "hellohello"
    code = "def main(req): return 'changed, and of another length'\n"
    (app / "Greet" / "__init__.py").write_text(code)

    async with Host(app, hub=tmp_path / "hub.db", in_process=True) as host:
        assert await answer(f"{host.url}/api/Greet") == "changed, and of another length"


async def test_a_hub_lies_in_the_apps_folder_under_its_name_unless_told_otherwise(app: Path) -> None:
    write_host_json(app, extensions={"durableTask": {"hubName": "MyHub"}})

    async with Host(str(app), in_process=True) as host:
        assert host.hub.path == app / ".durable_host" / "MyHub.db"

    assert (app / ".durable_host" / "MyHub.db").exists()


async def test_hosts_run_side_by_side_on_hubs_of_their_own(tmp_path: Path) -> None:
    async with (
        Host(GOLDEN_APP, hub=tmp_path / "1.db", in_process=True) as one,
        Host(GOLDEN_APP, hub=tmp_path / "2.db", in_process=True) as two,
    ):
        instance_id = await one.start("T_Hello", "x")

        assert (await one.wait(instance_id))["output"] == "x"
        assert one.url != two.url
        assert await two.status(instance_id) is None


@pytest.mark.usefixtures("as_before")
async def test_a_port_that_is_taken_is_told_with_what_to_do(app: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(HostError) as refusal:
            async with Host(app, hub=tmp_path / "hub.db", port=port, in_process=True):
                pass

    assert str(refusal.value) == (
        f"Port {port} is unavailable on 127.0.0.1 (Address already in use). Close the process using that port, or "
        "specify another port using --port."
    )
    assert not (tmp_path / "hub.db").exists()


@pytest.mark.usefixtures("as_before")
async def test_an_address_of_no_machine_here_is_told(app: Path, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"^Port 0 is unavailable on 203\.0\.113\.1 \(Cannot assign requested"):
        async with Host(app, hub=tmp_path / "hub.db", address="203.0.113.1", in_process=True):
            pass


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("address", ["a\0b", "\ud800", "a..b"])
async def test_what_is_no_address_is_told(app: Path, tmp_path: Path, address: str) -> None:
    with pytest.raises(HostError) as refusal:
        async with Host(app, hub=tmp_path / "hub.db", address=address, in_process=True):
            pass

    assert str(refusal.value) == f"{address!r} is no address to listen on: name one with --address."


def test_a_name_that_is_not_found_is_no_unknown_error() -> None:
    assert reason(socket.gaierror(socket.EAI_NONAME, "Name or service not known")) == "Name or service not known"


@pytest.mark.usefixtures("as_before")
async def test_a_start_that_fails_late_leaves_no_trace_either(app: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with TaskHub(tmp_path / "hub.db"), pytest.raises(HubError, match="another host has this task hub open"):
        async with Host(app, hub=tmp_path / "hub.db", port=port, in_process=True):
            pass

    # The port and the hub are free again.
    async with Host(app, hub=tmp_path / "hub.db", port=port, in_process=True) as host:
        assert await answer(f"{host.url}/api/Greet") == "hellohello"


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("broken", ["host.json", "local.settings.json", "nothing"])
async def test_what_makes_a_start_impossible_is_an_app_error(app: Path, tmp_path: Path, broken: str) -> None:
    (app / broken).write_text("{")

    root = tmp_path / "nowhere" if broken == "nothing" else app
    with pytest.raises(AppError):
        async with Host(root, hub=tmp_path / "hub.db", in_process=True):
            pass


async def test_a_host_that_is_left_by_an_error_ends_too(app: Path, tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        async with Host(app, hub=tmp_path / "hub.db", in_process=True):
            raise LookupError

    with TaskHub(tmp_path / "hub.db"):
        pass


async def test_a_host_runs_until_it_is_cancelled(host: Host) -> None:
    running = asyncio.create_task(host.run())
    await host.idle()
    assert not running.done()

    running.cancel()
    await asyncio.wait((running,))

    # Only the waiting is over; the host goes on until its block ends.
    assert running.cancelled()
    assert (await host.wait(await host.start("T_Hello", 1)))["output"] == 1


@pytest.mark.skipif(not has_ipv6(), reason="This machine has no IPv6.")
async def test_on_ipv6_the_apps_own_client_finds_the_host(tmp_path: Path) -> None:
    code = "import azure.durable_functions as df\n\nasync def main(req, starter):\n"
    code += "    return await df.DurableOrchestrationClient(starter).start_new('Nobody', 'mine')\n"
    write_function(tmp_path, "Start", code, HTTP, STARTER, RETURN)
    write_function(tmp_path, "Echo", "def main(value): return value", ACTIVITY)

    async with Host(tmp_path, hub=tmp_path / "hub.db", address="::1", in_process=True) as host:
        port = urlsplit(host.url).port
        assert await answer(f"http://[::1]:{port}/api/Start") == "mine"


# Operations.


@pytest.mark.parametrize(
    ("value", "stored"),
    [(None, None), ("x", r'"\"x\""'), ({"a": [1]}, r'"{\"a\": [1]}"'), (0, '"0"'), (False, '"false"')],
)
async def test_a_start_stores_its_input_as_the_sdk_does(host: Host, value: object, stored: str | None) -> None:
    instance_id = await host.start("T_Instant", value)

    assert host.instances.get(instance_id).input_text == stored
    assert (await host.wait(instance_id))["output"] == value


async def test_a_status_is_that_of_the_durable_api(host: Host) -> None:
    await host.start("T_Hello", "x", "mine")
    await host.wait("mine")

    status, full = await host.status("mine"), await host.status("mine", history=True)

    async with ClientSession(host.url) as client:
        url = "/runtime/webhooks/durabletask/instances/mine"
        async with client.get(url) as response:
            assert await response.json() == status
        async with client.get(f"{url}?showHistory=true&showHistoryOutput=true") as response:
            assert await response.json() == full
    assert await host.status("nobody") is None


async def test_waiting_for_an_instance_ends_with_its_status(host: Host) -> None:
    instance_id = await host.start("T_Raise")

    status = await host.wait(instance_id)

    assert status == await host.status(instance_id) == await host.wait(instance_id)


async def test_several_may_wait_for_one_instance(host: Host) -> None:
    instance_id = await host.start("T_WaitEvent")
    waiting = [asyncio.create_task(host.wait(instance_id)) for _ in range(3)]
    await host.idle()

    await host.raise_event(instance_id, "Go")

    assert {(await each)["runtimeStatus"] for each in waiting} == {"Completed"}


async def test_waiting_too_long_says_where_the_instance_stands(host: Host) -> None:
    await host.start("T_WaitEvent", instance_id="mine")
    await host.idle()

    with pytest.raises(TimeoutError, match=r"^mine is still Running after 0\.05 s\.$"):
        await host.wait("mine", timeout_s=0.05)
    with pytest.raises(InstanceNotFound):
        await host.wait("nobody")


async def test_an_instance_outlives_its_host(tmp_path: Path) -> None:
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", in_process=True) as host:
        await host.start("T_WaitEvent", instance_id="mine")

    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", in_process=True) as host:
        assert [each.id for each in host.instances.page(Filter(), "", 10)] == ["mine"]
        await host.raise_event("mine", "Go", 1)
        assert (await host.wait("mine"))["output"] == ["int", 1]


async def test_time_never_runs_back_over_a_restart_even_when_nothing_was_due(tmp_path: Path) -> None:
    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", clock=RealClock(), in_process=True) as host:
        await host.advance(3600)
        shown = host.clock.now()

    async with Host(GOLDEN_APP, hub=tmp_path / "hub.db", in_process=True) as host:
        assert host.clock.now() >= shown
