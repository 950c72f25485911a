"""The durable HTTP API, but for what `test_golden` compares with recordings: statuses, routes, filters, errors."""

import asyncio
import base64
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from aiohttp import ClientSession
from yarl import URL

from durable_host import Host, RealClock
from durable_host.engine.events import Status
from durable_host.http.webhooks import BASE, RPC_BASE
from durable_host.hub.records import Record
from durable_host.hub.taskhub import TaskHub
from durable_host.values import stamp
from tests.conftest import in_real_time
from tests.golden_app import GOLDEN_APP
from tests.golden_replay import recording
from tests.raw_http import request, send

START = f"{BASE}/orchestrators/T_Instant"
JSON_BODY = "Content-Type: application/json"
JSON = Any
EVER = "createdTimeFrom=2000-01-01"


# What the recorded engine takes as ids, and more of their kind.
ODD_IDS = [
    *("\r\n", "a\r\nX-Evil: 1", "a\0b", "\x1b[2J", "\t", "\x7f", "\u0085", "\u2028", "\u202e", "\ufeff"),
    *("@", "#", "?", "\\", "a\\..\\b", "%", "%25", "%2e", "%00", "a?b=c#d", "&code=", "'", '"', "`", "$(x)"),
    *("<script>", "{eventName}", "INSTANCEID", "; DROP TABLE instances", "%s%n", "{0}", "\U0001f600"),
    "\U0010ffff",
    *("a" * 257, "ü" * 257, "a" * 512, "CON", "nul.txt", "null", "0", "-1", "1e309", "NaN", "...", "~", "a b"),
]


def api(path: str) -> URL:
    """A path of the API, with the percent signs as they are."""
    return URL(f"{BASE}{path}", encoded=True)


async def call(
    client: ClientSession, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, JSON, dict[str, str]]:
    """Status, the body's JSON (None for an empty one), and the headers, names in lower case."""
    kind = {"Content-Type": "application/json"} if body else {}
    async with client.request(method, api(path), data=body, headers=kind | headers) as answer:
        text = await answer.text()
        seen = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, json.loads(text) if text else None, seen


async def ids(client: ClientSession, query: str) -> list[str]:
    _, rows, _ = await call(client, "GET", f"/instances?{query}")
    return [row["instanceId"] for row in rows]


# Start.


async def test_a_start_answers_with_urls_that_work(host: Host, client: ClientSession) -> None:
    status, started, headers = await call(client, "POST", "/orchestrators/T_WaitEvent/mine", '{"a": 1}')

    assert (status, started["id"], headers["retry-after"]) == (202, "mine", "10")
    assert headers["location"] == started["statusQueryGetUri"]
    assert "rewindPostUri" not in started
    async with client.get(started["statusQueryGetUri"]) as answer:
        assert (answer.status, (await answer.json())["input"]) == (202, {"a": 1})
    async with client.post(started["sendEventPostUri"].format(eventName="Go"), json=5) as answer:
        assert answer.status == 202
    assert (await host.wait("mine"))["output"] == ["int", 5]
    async with client.post(started["restartPostUri"] + "&restartWithNewInstanceId=false") as answer:
        assert (await answer.json())["id"] == "mine"
    for verb, state in (("suspend", "Suspended"), ("resume", "Running"), ("terminate", "Terminated")):
        await host.idle()
        async with client.post(started[f"{verb}PostUri"].format(text="why%20not")) as answer:
            assert answer.status == 202
        await host.idle()
        shown = await host.status("mine")
        assert shown is not None
        assert (shown["runtimeStatus"], shown["output"]) == (state, "why not")
    async with client.delete(started["purgeHistoryDeleteUri"]) as answer:
        assert await answer.json() == {"instancesDeleted": 1}


async def test_a_start_without_a_content_length_has_no_input(host: Host) -> None:
    # What `curl -X POST` sends. The engine stores "" and fails the instance; here it is a start like any other.
    data = f"POST {START}/bare HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    assert (await send(host.url, data.encode())).status == 202

    assert (await host.wait("bare"))["runtimeStatus"] == "Completed"
    assert host.instances.get("bare").input_text is None


async def test_a_starts_version_is_kept(host: Host, client: ClientSession) -> None:
    await call(client, "POST", "/orchestrators/T_Instant/mine?version=2.0")

    assert host.instances.get("mine").version == "2.0"


@pytest.mark.parametrize("body", ["plain text", "{", "NaN"])
async def test_a_start_with_what_is_no_json_starts_nothing(client: ClientSession, body: str) -> None:
    status, error, _ = await call(client, "POST", "/orchestrators/T_Instant/mine", body)

    assert (status, error["Message"]) == (400, "Invalid JSON content")
    assert await ids(client, "") == []


async def test_a_body_with_a_byte_order_mark_is_json(host: Host, client: ClientSession) -> None:
    status, _, _ = await call(client, "POST", "/orchestrators/T_Instant/mine", "\ufeff{}")

    assert status == 202
    assert host.instances.get("mine").input_text == "{}"


async def test_an_odd_id_never_breaks_out_of_a_header_and_is_found_again(host: Host) -> None:
    expected = {"location", "retry-after", "content-type", "server", "content-length", "date", "connection"}
    for instance_id in ODD_IDS:
        started = await send(host.url, request("POST", f"{START}/{quote(quote(instance_id, safe=''))}", JSON_BODY))
        assert (started.status, set(started.headers)) == (202, expected), instance_id
        assert json.loads(started.body)["id"] == instance_id

        target = started.headers["location"].removeprefix("http://localhost")
        if re.search("%[0-9a-f]{2}", instance_id):
            # Recorded: the engine encodes an id once and decodes it twice.
            target = f"{BASE}/instances/{quote(quote(instance_id))}"
        shown = await send(host.url, request("GET", target))
        assert set(shown.headers) <= expected, instance_id
        assert json.loads(shown.body)["instanceId"] == instance_id
    async with ClientSession(host.url) as client, client.get(f"{BASE}/instances") as answer:
        assert {each["instanceId"] for each in await answer.json()} == set(ODD_IDS)


@pytest.mark.parametrize("path", ["%2F", "a%2fb", "a/b", "a//b", "/", ".", "..", "%2E", "%2e%2e"])
async def test_slashes_and_dots_are_no_ids(host: Host, path: str) -> None:
    reply = await send(host.url, request("POST", f"{START}/{path}"))

    assert (reply.status, reply.body) == (404, b"")


async def test_texts_that_would_break_lines_stay_texts(host: Host) -> None:
    texts = [
        "a\r\nX-Evil: 1",
        "\r\n\r\nHTTP/1.1 200 OK",
        "\0",
        "\x1b]0;x\x07",
        "\u2028",
        "ü",
        "\U0001f600",
        "a" * 7_000,
    ]

    for number, text in enumerate(texts):
        instance_id = f"{number}"
        await host.start("T_Wait", instance_id=instance_id)
        target = f"{BASE}/instances/{instance_id}/terminate?reason={quote(text)}"
        reply = await send(host.url, request("POST", target, f"X-Odd: {number}"))
        assert (reply.status, "x-evil" in reply.headers, reply.body) == (202, False, b"")
        assert (await host.wait(instance_id))["output"] == text


TAKEN_JSON = [
    *('"\\ud800"', '{"\\udfff": "\\ud800"}', '"\\u0000"', "1" * 4_000, "0." + "1" * 10_000, "1e309", "-1e99999"),
    *("1e-99999", "-0", "[" * 500 + "]" * 500, '{"a":' * 499 + "[]" + "}" * 499, '"' + "[" * 600 + '"'),
    '{"a":1,"a":2}',
    *(json.dumps("x" * 1_000_000), json.dumps(["x"] * 100_000), json.dumps({str(n): n for n in range(10_000)})),
]


async def test_json_that_is_odd_goes_in_and_comes_out(host: Host) -> None:
    for number, text in enumerate(TAKEN_JSON):
        started = await send(host.url, request("POST", f"{START}/{number}", JSON_BODY, body=text.encode()))
        assert (text[:40], started.status) == (text[:40], 202)
        await host.wait(str(number))
        await host.start("T_WaitEvent", instance_id=f"event {number}")
        target = f"{BASE}/instances/event%20{number}/raiseEvent/Go"
        raised = await send(host.url, request("POST", target, JSON_BODY, body=text.encode()))
        assert (text[:40], raised.status) == (text[:40], 202)
        await host.wait(f"event {number}")

    # What one instance holds keeps nobody from reading it, or the others in the list.
    query = "showHistory=true&showHistoryOutput=true"
    async with ClientSession(host.url) as client:
        for number in range(len(TAKEN_JSON)):
            for instance_id in (str(number), f"event {number}"):
                async with client.get(f"{BASE}/instances/{instance_id}?{query}") as answer:
                    assert (answer.status, (await answer.json())["instanceId"]) == (200, instance_id)
        async with client.get(f"{BASE}/instances") as answer:
            assert len(await answer.json()) == 2 * len(TAKEN_JSON)


# Start and wait.


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [("T_Instant", '{"a": 1}', {"a": 1}), ("T_Instant", "", None), ("T_Wait", "", "woke")],
)
async def test_a_start_that_waits_answers_with_the_output_alone(
    client: ClientSession, name: str, body: str, expected: JSON
) -> None:
    status, output, headers = await call(
        client, "POST", f"/orchestrators/{name}?timeout=7200&pollingInterval=60", body
    )

    assert (status, output) == (200, expected)
    assert "location" not in headers


async def test_a_start_that_waits_for_a_failure_answers_with_the_status(client: ClientSession) -> None:
    query = "timeout=50&pollingInterval=0.1&returnInternalServerErrorOnFailure=true"

    status, shown, _ = await call(client, "POST", f"/orchestrators/T_Raise?{query}")

    assert (status, shown["runtimeStatus"]) == (200, "Failed")


async def test_a_start_that_waits_in_vain_answers_like_any_other_when_its_time_is_up(
    host: Host, client: ClientSession
) -> None:
    began = host.clock.now()

    status, started, _ = await call(client, "POST", "/orchestrators/T_WaitEvent?timeout=3600&pollingInterval=7")

    assert (status, set(started) > {"id", "statusQueryGetUri"}) == (202, True)
    assert timedelta(hours=1) <= host.clock.now() - began < timedelta(hours=2)


async def test_a_start_that_would_wait_longer_than_its_time_is_refused_though_it_has_started(
    client: ClientSession,
) -> None:
    status, error, _ = await call(client, "POST", "/orchestrators/T_Instant/mine?timeout=1&pollingInterval=5")

    assert status == 400
    assert error == {"Message": "Total timeout 1 should be bigger than retry timeout 5"}
    assert await ids(client, "") == ["mine"]


@pytest.mark.parametrize(
    "query",
    ["timeout=5", "pollingInterval=5", "timeout=soon&pollingInterval=1", "timeout=inf&pollingInterval=nan"],
)
async def test_without_both_times_a_start_does_not_wait(client: ClientSession, query: str) -> None:
    assert (await call(client, "POST", f"/orchestrators/T_WaitEvent?{query}"))[0] == 202


@in_real_time
async def test_an_instance_that_is_purged_while_its_start_waits_is_not_found(
    host: Host, client: ClientSession
) -> None:
    waiting = asyncio.create_task(
        call(client, "POST", "/orchestrators/T_WaitEvent/mine?timeout=7200&pollingInterval=3600")
    )
    while await host.status("mine") is None:
        await host.idle()
    await host.terminate("mine")
    await host.wait("mine")
    await host.purge("mine")

    await host.advance(3600)

    assert (await waiting)[:2] == (404, None)


# One instance.


async def test_a_pending_instance_shows_no_history(tmp_path: Path) -> None:
    now = RealClock().now()
    record = Record("mine", "T_Instant", "e", Status.Pending, None, None, None, None, None, 0, now, now)
    with TaskHub(tmp_path / "hub.db") as hub, hub.batch():
        hub.put_instance(record)  # Without the message that would start it.

    async with (
        Host(GOLDEN_APP, hub=tmp_path / "hub.db", in_process=True) as host,
        ClientSession(host.url) as client,
    ):
        status, shown, _ = await call(client, "GET", "/instances/mine?showHistory=true")

    assert (status, shown["runtimeStatus"]) == (202, "Pending")
    assert "historyEvents" not in shown


async def test_raising_an_event_checks_the_instance_then_the_kind_then_the_body(
    host: Host, client: ClientSession
) -> None:
    await host.start("T_WaitEvent", instance_id="live")
    await host.start("T_Instant", instance_id="over")
    await host.wait("over")

    async def raised(instance_id: str, body: str, kind: str) -> tuple[int, JSON]:
        path = f"/instances/{instance_id}/raiseEvent/Go"
        status, answer, _ = await call(client, "POST", path, body, **{"Content-Type": kind})
        return status, answer and answer["Message"]

    assert await raised("nobody", "{", "text/plain") == (404, None)
    assert await raised("over", "{", "text/plain") == (410, None)
    for kind in ("text/plain", "application/problem+json", "application/jsonp"):
        assert await raised("live", "{", kind) == (400, "Only application/json request content is supported")
    assert await raised("live", "{", "application/json") == (400, "Invalid JSON content")
    assert await raised("live", "", "application/json") == (400, "Invalid JSON content")
    assert await raised("live", "null", "Application/JSON; charset=utf-8") == (202, None)
    assert (await host.wait("live"))["output"] == ["NoneType", None]


async def test_a_restart_may_wait_as_a_start_may(host: Host, client: ClientSession) -> None:
    await host.start("T_Hello", "x", "mine")
    await host.wait("mine")

    status, output, _ = await call(client, "POST", "/instances/mine/restart?timeout=50&pollingInterval=1")

    assert (status, output) == (200, "x")


# Lists.


@pytest.fixture
async def listed(host: Host) -> None:
    """a0 to a6 and b0, the odd ones failed."""
    for name in ("b0", "a6", "a5", "a4", "a3", "a2", "a1", "a0"):
        await host.start("T_Raise" if int(name[1]) % 2 else "T_Instant", name, name)
    await host.idle()


@pytest.mark.usefixtures("listed")
async def test_a_list_comes_in_pages_under_its_filters(client: ClientSession) -> None:
    query = "/instances?instanceIdPrefix=a&runtimeStatus=Completed&top=2"
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while True:
        status, rows, headers = await call(client, "GET", query, **token)
        assert status == 200
        pages.append([row["instanceId"] for row in rows])
        if "x-ms-continuation-token" not in headers:
            break
        token = {"x-ms-continuation-token": headers["x-ms-continuation-token"]}

    assert pages == [["a0", "a2"], ["a4", "a6"]]


@pytest.mark.usefixtures("listed")
async def test_a_list_that_ends_with_a_page_has_no_further_one(client: ClientSession) -> None:
    _, rows, headers = await call(client, "GET", "/instances?top=8")

    assert (len(rows), "x-ms-continuation-token" in headers) == (8, False)


@pytest.mark.usefixtures("listed")
async def test_a_list_of_none_tells_where_it_would_go_on_and_one_of_less_fails(client: ClientSession) -> None:
    _, _, headers = await call(client, "GET", "/instances?top=0")
    status, error, _ = await call(client, "GET", "/instances?top=-1")

    assert base64.b64decode(headers["x-ms-continuation-token"]) == b"a0 "
    assert (status, error["Message"]) == (500, "Something went wrong while processing your request")


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("token", ["bogus", "YQ==", "/w==", "ü"])
async def test_a_token_that_is_not_ours_leads_to_nothing(client: ClientSession, token: str) -> None:
    status, rows, headers = await call(client, "GET", "/instances", **{"x-ms-continuation-token": token})

    assert (status, rows) == (200, [])
    assert "x-ms-continuation-token" not in headers


@pytest.mark.usefixtures("listed")
async def test_inputs_are_hidden_only_beside_another_filter(client: ClientSession) -> None:
    _, alone, _ = await call(client, "GET", "/instances?showInput=false&top=1")
    _, filtered, _ = await call(client, "GET", "/instances?showInput=false&instanceIdPrefix=a0")

    assert (alone[0]["input"], filtered[0]["input"]) == ('"a0"', None)


async def test_there_are_no_entities(client: ClientSession) -> None:
    for path in ("/entities", "/entities/counter"):
        assert (await call(client, "GET", path))[:2] == (200, [])


# Purge.


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("query", "purged"),
    [
        (EVER, 8),
        (f"{EVER}&runtimeStatus=Failed", 3),
        (f"{EVER}&runtimeStatus=Failed,Bogus", 3),
        (f"{EVER}&runtimeStatus=Completed&instanceIdPrefix=a", 4),
        (f"{EVER}&createdTimeTo=2000-01-02", None),
        ("createdTimeFrom=2999-01-01", None),
    ],
)
async def test_a_purge_of_many_removes_what_its_filters_say(
    client: ClientSession, query: str, purged: int | None
) -> None:
    status, answer, _ = await call(client, "DELETE", f"/instances/?{query}")

    assert (status, answer) == ((200, {"instancesDeleted": purged}) if purged else (404, None))
    assert len(await ids(client, "")) == 8 - (purged or 0)


async def test_a_purge_of_many_without_a_status_takes_live_instances_too(
    host: Host, client: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    # Source: recorded, g_purge_many.
    await host.start("T_WaitEvent", instance_id="live")
    await host.start("T_Instant", instance_id="done")
    await host.idle()

    assert (await call(client, "DELETE", f"/instances?{EVER}"))[:2] == (200, {"instancesDeleted": 2})
    assert await ids(client, "") == []
    assert "Purged 2 instances, live ones among them: 1 Running" in caplog.text


async def test_a_purge_by_statuses_leaves_live_instances_alone(host: Host, client: ClientSession) -> None:
    await host.start("T_WaitEvent", instance_id="live")
    await host.idle()

    answer = await call(client, "DELETE", f"/instances?{EVER}&runtimeStatus=Running,Completed")

    assert answer[:2] == (404, None)
    assert await ids(client, "") == ["live"]


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("asked", ["completed", "Running", "Running,Pending"])
async def test_a_purge_by_no_final_status_purges_nothing(client: ClientSession, asked: str) -> None:
    # The engine takes it for no filter, and deletes everything.
    status, error, _ = await call(client, "DELETE", f"/instances?{EVER}&runtimeStatus={asked}")

    assert status == 400
    assert error == (
        f"The runtimeStatus '{asked}' names no final status: name Completed, Failed, Terminated or Canceled, "
        "or leave it out to purge whatever runs as well. Nothing was purged."
    )
    assert len(await ids(client, "")) == 8


@pytest.mark.usefixtures("listed")
async def test_a_purge_whose_end_cannot_be_read_purges_nothing(client: ClientSession) -> None:
    # The engine drops the date, and purges more than was asked for.
    status, error, _ = await call(client, "DELETE", f"/instances?{EVER}&createdTimeTo=2026-02-30")

    assert status == 400
    assert error == "The createdTimeTo '2026-02-30' is not a date; write 2026-01-31T12:00:00Z. Nothing was purged."
    assert len(await ids(client, "")) == 8


async def test_a_purges_window_compares_the_whole_instant(host: Host, client: ClientSession) -> None:
    await host.start("T_Instant", instance_id="mine")
    await host.wait("mine")
    at = host.instances.get("mine").created_at
    before = stamp(at - timedelta(microseconds=1))

    assert (await call(client, "DELETE", f"/instances?createdTimeFrom={EVER[16:]}&createdTimeTo={before}"))[
        0
    ] == 404
    assert (await call(client, "DELETE", f"/instances?createdTimeFrom={stamp(at)}&createdTimeTo={stamp(at)}"))[
        0
    ] == 200


# Hubs, connections, routes.


async def test_another_task_hub_is_empty_and_nothing_can_be_started_in_it(
    host: Host, client: ClientSession
) -> None:
    await host.start("T_WaitEvent", instance_id="mine")

    assert (await call(client, "GET", "/instances/mine?taskHub=Other"))[:2] == (404, None)
    assert (await call(client, "GET", "/instances?taskHub=Other"))[:2] == (200, [])
    status, error, _ = await call(client, "POST", "/orchestrators/T_Instant/new?taskHub=Other")
    assert status == 400
    assert error == {
        "Message": "This host runs no task hub 'Other'; leave taskHub out. Nothing was started.",
    }
    assert await ids(client, "") == ["mine"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "restart", (400, "InstanceId does not match a valid orchestration instance.")),
        ("POST", "rewind", (404, 'No orchestration with instance ID "$mine" found.')),
        ("POST", "terminate", (404, None)),
        ("DELETE", "", (404, None)),
    ],
)
async def test_what_is_in_another_task_hub_is_answered_as_unknown(
    host: Host, client: ClientSession, method: str, path: str, expected: tuple[int, str | None]
) -> None:
    await host.start("T_Raise", instance_id="mine")
    await host.idle()

    status, body, _ = await call(client, method, f"/instances/mine/{path}?taskHub=Other")

    assert (status, body["Message"] if isinstance(body, dict) else body) == expected
    assert await ids(client, "") == ["mine"]


@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
async def test_head_and_patch_are_no_verbs_of_the_api(client: ClientSession, method: str) -> None:
    status, body, headers = await call(client, method, "/instances")

    assert (status, body, headers["allow"]) == (405, None, "DELETE, GET, OPTIONS, POST, PUT")


async def test_paths_match_in_any_letter_case_with_or_without_a_last_slash(client: ClientSession) -> None:
    async with client.post("/RUNTIME/webhooks/DurableTask/Orchestrators/T_Instant/mine/") as answer:
        assert answer.status == 202
    async with client.get(f"{RPC_BASE}/INSTANCES/mine/") as answer:
        assert answer.status in (200, 202)


async def test_answers_are_compact_json_with_non_ascii_as_it_is(host: Host, client: ClientSession) -> None:
    await host.start("T_Instant", "ü😀", "mine")
    await host.wait("mine")

    async with client.get(api("/instances/mine")) as answer:
        text = await answer.text()

    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert '"output":"ü😀"' in text


# The client binding.


async def test_a_client_binding_has_the_recorded_keys_and_this_hosts_urls(host: Host) -> None:
    recorded = json.loads(recording.load("rpc_listener").exchanges[-1].answer_body)
    port = urlsplit(host.url).port

    binding = json.loads(host.client_binding())

    assert list(binding) == list(recorded)
    for part in ("creationUrls", "managementUrls"):
        assert list(binding[part]) == list(recorded[part])
    # The SDK only appends to it.
    assert binding["rpcBaseUrl"] == f"http://127.0.0.1:{port}{RPC_BASE}/"
    for url in list(binding["managementUrls"].values())[1:]:
        assert url.startswith(f"{host.url}{BASE}/instances/INSTANCEID")
        assert url.endswith(f"taskHub=TestHubName&connection=Storage&code={host.hub.key}")
