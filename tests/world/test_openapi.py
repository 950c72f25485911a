"""`docs/openapi.yaml`: it is OpenAPI, and Microsoft's recorded host and ours answer as it says."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import yaml
from aiohttp import ClientSession
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from durable_host import Clock, Host, RealClock
from E3_Monitor.monitoring_request import InvalidRequest, MonitoringRequest
from sandbox.server import Sandbox
from sandbox.twilio import TwilioStatus
from tests.conftest import ROOT

RECORDINGS = sorted((ROOT / "tests" / "golden" / "http").glob("*.json"))
WEBHOOKS = "/runtime/webhooks/durabletask"
# Of the recording program or of the sample's HttpStart, which takes GET too.
NOT_OF_THIS_API = {("GET", "/rig/starter"), ("GET", "/orchestrators/E3_Monitor"), ("GET", f"{WEBHOOKS}/x")}
# What monitors have no use for: entities, and an app that has no other.
UNDESCRIBED = re.compile(
    r"(/runtime/webhooks)?/durabletask/(entities|makeprimary|instances/@.*|/instances/.*)(/|$)", re.IGNORECASE
)
# Parameters that recorded requests have to no effect.
WITHOUT_EFFECT = {"taskhubname", "showhistory", "returninternalservererroronfailure", "fetchstate", "top"}


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    return document


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = _document()
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        node = target
    return node


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in _document()["paths"].items():
        for method in item.keys() & {"get", "post", "delete"}:
            yield method.upper(), path, {"parameters": [], **item[method], "shared": item.get("parameters", [])}


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for known_method, template, operation in _operations():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if method == known_method and re.fullmatch(f"{pattern}/?", path, re.IGNORECASE):
            return operation
    return None


def _validator(schema: dict[str, Any]) -> OAS31Validator:
    registry = Registry().with_resource("urn:openapi", DRAFT202012.create_resource(_document()))
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:openapi#/'))
    return OAS31Validator(absolute, registry=registry)


def _check_answer(operation: dict[str, Any], status: int, headers: Mapping[str, str], body: str) -> None:
    assert str(status) in operation["responses"], f"{operation['operationId']} answered {status}"
    response = _resolve(operation["responses"][str(status)])
    for name, header in response.get("headers", {}).items():
        assert name.lower() in headers or not _resolve(header).get("required"), name
    if "content" not in response:
        assert (body, headers.get("content-type")) == ("", None)
        return
    assert headers["content-type"].partition(";")[0] == "application/json"
    _validator(response["content"]["application/json"]["schema"]).validate(json.loads(body))


def _exchanges(recording: Path) -> Iterator[tuple[str, str, str, int, dict[str, str], str]]:
    for exchange in json.loads(recording.read_text())["exchanges"]:
        request, response = exchange["request"], exchange["response"]
        path, _, query = request["target"].partition("?")
        path = re.sub("^/api/", "/", path)
        if request["port"] == 17071:
            # The extension's internal listener has the same API under another name.
            path = path.replace("/durabletask", WEBHOOKS, 1) if path != "/" else f"{WEBHOOKS}/x"
        headers = {name.lower(): value for name, value in response["headers"]}
        yield request["method"], path, query, response["status"], headers, response["body"]


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(_document()).validate()


@pytest.mark.parametrize("recording", RECORDINGS, ids=[path.stem for path in RECORDINGS])
def test_every_recorded_answer_is_as_it_says(recording: Path) -> None:
    for method, path, query, status, headers, body in _exchanges(recording):
        operation = _operation(method, path)
        if operation is None:
            outside = (method, path) in NOT_OF_THIS_API or UNDESCRIBED.match(path)
            assert status in (404, 405) or outside, (method, path, status)
            continue
        known = {_resolve(each)["name"].lower() for each in operation["parameters"] + operation["shared"]}
        assert {name.lower() for name, _ in parse_qsl(query)} <= known | {"code"} | WITHOUT_EFFECT, query
        _check_answer(operation, status, headers, body)


def test_every_answer_of_the_durable_api_that_it_describes_was_recorded() -> None:
    # With an id of one's own or without, a start has the same answers.
    seen = {
        (operation["operationId"].removesuffix("As"), str(status))
        for recording in RECORDINGS
        for method, path, _, status, _, _ in _exchanges(recording)
        if (operation := _operation(method, path))
    }
    described = {
        (operation["operationId"].removesuffix("As"), status)
        for _, path, operation in _operations()
        for status in operation["responses"]
        if path.startswith(WEBHOOKS)
    }

    # The recording host asks for no keys; that a start waits for the output is tested below. An unknown connection
    # was recorded of a start and a status, and is told before any operation begins.
    connection = ("purgeMany", "purge", "terminate", "rewind", "restart", "restartWithOptions", "raiseEvent")
    assert {each for each in described - seen if each[1] != "401"} == {
        ("start", "200"),
        *((operation, "500") for operation in connection),
    }


@pytest.fixture
def clock() -> Clock:
    """Timers wait until a test moves the time."""
    return RealClock()


async def _send(client: ClientSession, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Send a request, and check that the answer is as the document says; its status and body."""
    operation = _operation(method, path.partition("?")[0])
    assert operation is not None
    async with client.request(method, path, json=body) as response:
        text = await response.text()
        headers = {name.lower(): value for name, value in response.headers.items()}
        if not text:
            headers.pop("content-type", None)  # aiohttp's server sends one with an empty body.
        _check_answer(operation, response.status, headers, text)
        return response.status, json.loads(text) if text else None


REQUEST = {"repo": "octo/cat", "phone": "+14255550100"}
START = "/orchestrators/E3_Monitor"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (START, REQUEST, 202),
        (f"{START}/mine", REQUEST, 202),
        (START, {**REQUEST, "repo": "cat"}, 400),
        (START, [], 400),
        (f"{START}/-", REQUEST, 400),
        ("/orchestrators/Another", REQUEST, 404),
    ],
)
async def test_http_start_answers_as_it_says(client: ClientSession, path: str, body: object, status: int) -> None:
    assert (await _send(client, "POST", path, body))[0] == status


async def test_http_start_refuses_as_it_says(client: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    await _send(client, "POST", f"{START}/mine", REQUEST)
    conflict, _ = await _send(client, "POST", f"{START}/mine", REQUEST)
    monkeypatch.setenv("TwilioAuthToken", "")
    unset, _ = await _send(client, "POST", START, REQUEST)
    monkeypatch.setenv("AllowedPhoneNumbers", "+49*")
    forbidden, _ = await _send(client, "POST", START, REQUEST)

    assert (conflict, unset, forbidden) == (409, 503, 403)


async def test_a_monitor_says_of_itself_what_it_says(host: Host, client: ClientSession, sandbox: Sandbox) -> None:
    schemas = _document()["components"]["schemas"]
    _, started = await _send(client, "POST", START, REQUEST)
    url = f"{WEBHOOKS}/instances/{started['id']}?showHistory=true&showHistoryOutput=true"
    await host.idle()

    waiting_status, waiting = await _send(client, "GET", url)
    _, listed = await _send(client, "GET", f"{WEBHOOKS}/instances")
    sandbox.set_repository("octo/cat", open_issues=5)
    await host.skip()
    ended_status, ended = await _send(client, "GET", url)

    assert (waiting_status, len(listed), ended_status) == (202, 1, 200)
    _validator(schemas["MonitorStatus"]).validate(waiting["customStatus"])
    _validator(schemas["MonitorOutput"]).validate(ended["output"])


@pytest.mark.parametrize("fault", [400, 429, "lost reply"])
async def test_every_end_of_an_alert_is_as_it_says(
    host: Host, client: ClientSession, sandbox: Sandbox, fault: TwilioStatus
) -> None:
    schemas = _document()["components"]["schemas"]
    sandbox.set_repository("octo/cat", open_issues=5)
    sandbox.set_twilio(status=fault)

    _, started = await _send(client, "POST", START, {**REQUEST, "expiry_seconds": 60})
    await host.idle()
    _, waiting = await _send(client, "GET", f"{WEBHOOKS}/instances/{started['id']}")
    await host.advance(60)
    _, ended = await _send(client, "GET", f"{WEBHOOKS}/instances/{started['id']}")

    if fault == 429:
        assert waiting["customStatus"]["openIssues"] == "too many"
        _validator(schemas["MonitorStatus"]).validate(waiting["customStatus"])
    _validator(schemas["MonitorOutput"]).validate(ended["output"])


async def test_what_one_may_do_to_an_instance_is_answered_as_it_says(host: Host, client: ClientSession) -> None:
    instance = f"{WEBHOOKS}/instances/mine"
    sent = []
    for method, path, body in [
        ("POST", f"{WEBHOOKS}{START}/mine", REQUEST),
        ("POST", f"{WEBHOOKS}{START}/mine", REQUEST),
        ("POST", f"{instance}/suspend?reason=lunch", None),
        ("POST", f"{instance}/suspend", None),
        ("POST", f"{instance}/resume", None),
        ("POST", f"{instance}/raiseEvent/Go", {"a": 1}),
        ("POST", f"{instance}/rewind", None),
        ("DELETE", instance, None),
        ("POST", f"{instance}/terminate?reason=end", None),
        ("POST", f"{instance}/terminate", None),
        ("POST", f"{instance}/restart", None),
        ("DELETE", instance, None),
        ("GET", instance, None),
        ("DELETE", f"{WEBHOOKS}/instances", None),
        ("GET", f"{WEBHOOKS}/entities", None),
    ]:
        sent.append((await _send(client, method, path, body))[0])
        await host.idle()

    assert sent == [202, 409, 202, 500, 202, 202, 412, 412, 202, 410, 202, 200, 404, 400, 200]


async def test_a_start_that_waits_answers_with_the_output(client: ClientSession, sandbox: Sandbox) -> None:
    sandbox.set_repository("octo/cat", open_issues=5)

    status, output = await _send(client, "POST", f"{WEBHOOKS}{START}?timeout=50&pollingInterval=0.05", REQUEST)

    assert (status, output["outcome"]) == (200, "alerted")


@pytest.mark.parametrize(
    ("changes", "is_valid"),
    [
        ({}, True),
        ({"threshold": 0, "interval_seconds": 86_400, "expiry_seconds": 2_592_000}, True),
        ({"repo": "octo"}, False),
        ({"repo": "https://github.com/octo/cat"}, False),
        ({"repo": f"{'o' * 100}/.github"}, True),
        ({"repo": f"{'o' * 101}/cat"}, False),
        ({"repo": "-lead-/cat"}, True),
        ({"repo": "dou--ble/cat"}, True),
        ({"repo": "octo/.."}, False),
        ({"repo": "./cat"}, False),
        ({"repo": "octo/..."}, True),
        ({"phone": "+0425"}, False),
        ({"threshold": -1}, False),
        ({"threshold": 1.5}, False),
        ({"threshold": 1_000}, True),
        ({"threshold": 1_001}, False),
        ({"interval_seconds": 0}, False),
        ({"interval_seconds": 86_401}, False),
        ({"expiry_seconds": 2_592_001}, False),
        ({"status": {}}, False),
    ],
)
def test_a_request_is_valid_when_the_app_takes_it(changes: dict[str, Any], is_valid: bool) -> None:
    schema = _document()["components"]["schemas"]["MonitoringRequest"]
    request = {**REQUEST, **changes}
    refusal = None
    try:
        MonitoringRequest.parse(request)
    except InvalidRequest as error:
        refusal = error

    assert (refusal is None) == is_valid
    assert _validator(schema).is_valid(request) == is_valid


def test_the_defaults_are_the_apps() -> None:
    properties = _document()["components"]["schemas"]["MonitoringRequest"]["properties"]

    described = {name: each["default"] for name, each in properties.items() if "default" in each}

    assert asdict(MonitoringRequest.parse(REQUEST)) == {**REQUEST, **described}
