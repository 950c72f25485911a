"""`/admin/functions`, held against what the real Functions host answered for the same functions."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from durable_host import Host
from tests.conftest import ROOT
from tests.host.apps import HTTP, RETURN, write_function, write_host_json

RECORDED = json.loads((ROOT / "tests" / "data" / "admin-functions.json").read_text())
CODE = "def main(**_): pass\n\n\ndef other(**_): pass\n"


def write_recorded(root: Path) -> Path:
    """The app that was recorded: a function.json and a script for each function of the list."""
    write_host_json(root, extensions={"http": {"routePrefix": ""}})
    for each in RECORDED["list"]:
        folder = root / each["name"]
        folder.mkdir()
        comment = "// The real host reads over this.\n" if each["name"] == "Comments" else ""
        (folder / "function.json").write_text(comment + json.dumps(each["config"]))
        script = root / each["script_href"].partition("wwwroot/")[2]
        script.parent.mkdir(exist_ok=True)
        script.write_text(CODE)
    return root


def as_here(recorded: Any, host: Host, root: Path) -> Any:
    """What was recorded, with this host's name and the app's folder in place of the recording machine's."""
    text = json.dumps(recorded).replace("/admin/vfs/home/site/wwwroot", f"/admin/vfs{root}")
    return json.loads(text.replace("localhost:7071", host.url.removeprefix("http://")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_recorded(tmp_path / "app")


@pytest.fixture
async def host(root: Path, tmp_path: Path) -> AsyncIterator[Host]:
    async with Host(root, hub=tmp_path / "hub.db", in_process=True) as host:
        yield host


@pytest.fixture
async def client(host: Host) -> AsyncIterator[ClientSession]:
    async with ClientSession(host.url) as client:
        yield client


async def test_the_list_is_the_real_hosts(host: Host, client: ClientSession, root: Path) -> None:
    async with client.get("/admin/functions") as answer:
        functions = await answer.json()

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert functions == as_here(RECORDED["list"], host, root)
    assert [list(each) for each in functions] == [list(each) for each in RECORDED["list"]]


@pytest.mark.parametrize("name", ["Echo", "echo", "ECHO"])
async def test_one_function_is_found_in_any_letter_case(
    host: Host, client: ClientSession, root: Path, name: str
) -> None:
    async with client.get(f"/admin/functions/{name}") as answer:
        assert answer.status == 200
        assert await answer.json() == as_here(RECORDED["one"], host, root)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/functions/Nope"),
        ("HEAD", "/admin/functions"),
        ("GET", "/admin"),
        ("GET", "/admin/"),
        ("GET", "/admin/nope"),
        ("POST", "/admin/functions/Echo"),
        ("GET", "/admin/host/status"),
        ("GET", "/admin/functionsx"),
    ],
)
async def test_what_is_not_there_is_an_empty_404(client: ClientSession, method: str, path: str) -> None:
    async with client.request(method, path) as answer:
        assert (answer.status, await answer.read()) == (404, b"")


async def test_a_sample_beside_the_function_is_its_test_data(client: ClientSession, root: Path) -> None:
    (root / "Echo" / "sample.dat").write_text('\ufeff{"größe": 1}', encoding="utf-8")

    async with client.get("/admin/functions/Echo") as answer:
        function = await answer.json()

    assert function["test_data"] == '{"größe": 1}'
    assert function["test_data_href"] == function["script_root_path_href"] + "sample.dat"


async def test_a_function_json_that_broke_meanwhile_is_an_empty_object(client: ClientSession, root: Path) -> None:
    (root / "Echo" / "function.json").write_text("{")

    async with client.get("/admin/functions/Echo") as answer:
        assert (await answer.json())["config"] == {}


async def test_a_function_in_error_is_left_out(root: Path, tmp_path: Path) -> None:
    write_function(root, "Wrong", CODE, {**HTTP, "route": "admin/x"}, RETURN)

    async with (
        Host(root, hub=tmp_path / "hub.db", in_process=True) as host,
        ClientSession(host.url) as client,
        client.get("/admin/functions") as answer,
    ):
        assert "Wrong" not in [each["name"] for each in await answer.json()]


async def test_a_disabled_function_says_so(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobs.Echo.Disabled", "true")

    async with (
        Host(root, hub=tmp_path / "hub.db", in_process=True) as host,
        ClientSession(host.url) as client,
        client.get("/admin/functions") as answer,
    ):
        disabled = [each["name"] for each in await answer.json() if each["isDisabled"]]

    assert disabled == ["Echo"]
