import json
from collections.abc import AsyncIterator
from typing import Any

import azure.functions as func
import pytest
from aiohttp import ClientSession, web
from yarl import URL

from durable_host import Host
from durable_host.worker import sdk
from HttpStart import main
from sandbox.server import Sandbox
from tests.conftest import Serve, in_real_time

PATH = "/orchestrators/E3_Monitor"
REQUEST = {"repo": "octo/cat", "phone": "+14255550167"}
INSTANCES = "/runtime/webhooks/durabletask/instances"


async def refused(client: ClientSession, path: str | URL = PATH, **request: Any) -> tuple[int, dict[str, Any]]:
    """POST what is to be refused; the status and the error, once it is sure that nothing was started."""
    async with client.post(path, **request) as response:
        error = (await response.json())["error"]
        assert response.content_type == "application/json"
    async with client.get(INSTANCES) as instances:
        assert await instances.json() == []
    return response.status, error


async def test_a_post_starts_a_monitor_and_says_where_to_look(client: ClientSession, host: Host) -> None:
    async with client.post(PATH, json=REQUEST) as response:
        started = await response.json()

    assert response.status == 202
    assert response.headers["Location"] == started["statusQueryGetUri"]
    assert response.headers["Retry-After"] == "10"
    status = await host.wait(started["id"])
    assert status["name"] == "E3_Monitor"
    assert json.loads(str(status["input"])) == {
        **REQUEST,
        "threshold": 3,
        "interval_seconds": 60,
        "expiry_seconds": 300,
    }


async def test_the_content_type_does_not_matter(client: ClientSession) -> None:
    body = json.dumps(REQUEST)

    async with client.post(PATH, data=body, headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 202


async def test_each_post_without_an_id_is_a_new_monitor(client: ClientSession) -> None:
    ids = set()
    for _ in range(2):
        async with client.post(PATH, json=REQUEST) as response:
            ids.add((await response.json())["id"])

    assert len(ids) == 2


@pytest.mark.parametrize("instance_id", ["a", "octo-cat_1", "0" * 100])
async def test_a_monitor_may_have_an_id_of_one_s_own(client: ClientSession, host: Host, instance_id: str) -> None:
    async with client.post(f"{PATH}/{instance_id}", json=REQUEST) as response:
        started = await response.json()

    assert (response.status, started["id"]) == (202, instance_id)
    assert (await host.wait(instance_id))["runtimeStatus"] == "Completed"


@pytest.mark.parametrize(
    "instance_id",
    [
        *("-a", "_a", "@a", "a.b", "a%20b", "a%3Fb", "%C3%A4", "0" * 101, "...", "%2e%2e", "a%2Fb", "%25", "%00"),
        *("%0D%0A", "a%0D%0AX-Evil:%201", "%1B%5B2J", "%E2%80%A8", "%EF%BB%BF", "%ff", "%ed%a0%80", "%c0%af"),
    ],
)
async def test_an_id_that_no_url_can_hold_is_refused(client: ClientSession, instance_id: str) -> None:
    status, error = await refused(client, URL(f"{PATH}/{instance_id}", encoded=True), json=REQUEST)

    assert (status, error["field"]) == (400, "instanceId")


@in_real_time
async def test_a_running_monitor_is_not_started_twice(client: ClientSession, host: Host) -> None:
    async with client.post(f"{PATH}/mine", json=REQUEST) as response:
        assert response.status == 202
        running = (await response.json())["statusQueryGetUri"]

    async with client.post(f"{PATH}/mine", json=REQUEST) as response:
        answer = await response.json()

    assert response.status == 409
    assert answer == {
        "error": {"field": "instanceId", "message": "a monitor of the id mine is running: see statusQueryGetUri"},
        "statusQueryGetUri": running,
    }


@in_real_time
async def test_a_suspended_monitor_counts_as_running(client: ClientSession, host: Host) -> None:
    async with client.post(f"{PATH}/mine", json=REQUEST):
        await host.idle()
    await host.suspend("mine")
    await host.idle()

    async with client.post(f"{PATH}/mine", json=REQUEST) as response:
        assert response.status == 409


@in_real_time
async def test_the_id_of_a_finished_monitor_can_be_used_again(client: ClientSession, host: Host) -> None:
    async with client.post(f"{PATH}/mine", json=REQUEST):
        await host.terminate("mine")
    await host.wait("mine")

    async with client.post(f"{PATH}/mine", json=REQUEST) as response:
        assert response.status == 202


@pytest.mark.parametrize("name", ["E3_SendAlert", "e3_monitor", "HttpStart", "nothing"])
async def test_only_the_monitor_can_be_started(client: ClientSession, name: str) -> None:
    status, error = await refused(client, f"/orchestrators/{name}", json=REQUEST)

    assert (status, error) == (404, {"field": "functionName", "message": "only E3_Monitor can be started here"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_nothing_but_a_post_is_routed(client: ClientSession, method: str) -> None:
    async with client.request(method, PATH) as response:
        assert (response.status, await response.read()) == (404, b"")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"repo=octo/cat", "the body is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"repo": "octo/cat",', "the body is not JSON: Expecting property name"),
        (b'{"repo": "\xff"}', "the body is not JSON: 'utf-8' codec can't decode"),
        (b"[" * 10_240, "the body is not JSON: "),
        (b" " * 10_241, "the body has more than 10240 bytes"),
        (b"null", "expected an object"),
        (b'["octo/cat"]', "expected an object"),
        (b'"octo/cat"', "expected an object"),
        (b"NaN", ""),
        (b"1" * 5_000, ""),
        (b"1e309", ""),
        (b'"\\ud800"', ""),
    ],
)
async def test_a_body_that_is_no_object_is_refused(client: ClientSession, body: bytes, message: str) -> None:
    status, error = await refused(client, data=body)

    assert (status, error["field"]) == (400, None)
    assert error["message"].startswith(message)
    assert error["message"].isprintable()


async def test_a_body_that_is_nested_deeper_than_python_reads_is_refused(client: ClientSession) -> None:
    status, error = await refused(client, data=b'{"a": ' * 1_000 + b"1" + b"}" * 1_000)

    # Python 3.14 reads it, and then the field is one that nobody knows.
    assert (status, error["field"]) in ((400, None), (400, "a"))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("repo", {"repo": "https://github.com/octo/cat"}),
        ("phone", {"phone": "4255550167"}),
        ("threshold", {"threshold": "3"}),
        ("threshold", {"threshold": 1_001}),
        ("interval_seconds", {"interval_seconds": 0}),
        ("expiry_seconds", {"expiry_seconds": 2_592_001}),
        ("treshold", {"treshold": 5}),
        ("status", {"status": None}),
        ("progress", {"progress": {}}),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    client: ClientSession, field: str, change: dict[str, Any]
) -> None:
    status, error = await refused(client, json={**REQUEST, **change})

    assert (status, error["field"]) == (400, field)
    assert field in error["message"]


async def test_a_number_that_may_not_be_texted_is_refused(
    client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AllowedPhoneNumbers", "+49*, +14255550168")

    status, error = await refused(client, json=REQUEST)

    message = "+1425*****67 is not among the app setting AllowedPhoneNumbers"
    assert (status, error) == (403, {"field": "phone", "message": message})


@pytest.mark.parametrize("name", ["TwilioAccountSid", "TwilioAuthToken", "TwilioPhoneNumber"])
async def test_without_a_twilio_setting_nothing_is_started(
    client: ClientSession, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "")

    status, error = await refused(client, json=REQUEST)

    message = f"the app setting {name} is missing, so no alert could be sent"
    assert (status, error) == (503, {"field": None, "message": message})


@pytest.fixture
async def sdk_session() -> AsyncIterator[None]:
    """The SDK keeps one HTTP session for good, and a test's event loop ends."""
    yield
    await sdk.close_session()


async def post_to(url: str) -> func.HttpResponse:
    """Call HttpStart as a host would whose durable HTTP API is at `url`."""
    binding = {
        "taskHubName": "hub",
        "creationUrls": {},
        "managementUrls": {"id": "INSTANCEID", "statusQueryGetUri": "http://localhost:7071/instances/INSTANCEID"},
        "rpcBaseUrl": f"{url}/",
    }
    request = func.HttpRequest(
        method="POST",
        url=f"http://localhost:7071{PATH}/mine",
        route_params={"functionName": "E3_Monitor", "instanceId": "mine"},
        body=json.dumps(REQUEST).encode(),
    )
    return await main(request, json.dumps(binding))


async def test_the_instance_is_looked_at_only_after_the_engine_has_refused_it(
    sandbox: Sandbox, serve: Serve, sdk_session: None
) -> None:
    asked = []

    async def durable_api(request: web.Request) -> web.Response:
        asked.append(request.method)
        if request.method == "POST":
            message = "An Orchestration instance with the status Pending already exists."
            return web.json_response({"Message": message}, status=409)
        status = {"instanceId": "mine", "runtimeStatus": "Pending", "createdTime": "2026-11-24T11:00:00Z"}
        return web.json_response(status, status=202)

    response = await post_to(await serve(durable_api))

    assert asked == ["POST", "GET"]
    assert response.status_code == 409
    assert json.loads(response.get_body())["statusQueryGetUri"] == "http://localhost:7071/instances/mine"


async def test_an_error_of_the_durable_api_goes_on(sandbox: Sandbox, serve: Serve, sdk_session: None) -> None:
    async def durable_api(request: web.Request) -> web.Response:
        if request.method == "POST":
            return web.json_response({"Message": "Something went wrong"}, status=500)
        return web.Response(status=404)

    url = await serve(durable_api)

    with pytest.raises(Exception, match="Something went wrong"):
        await post_to(url)
