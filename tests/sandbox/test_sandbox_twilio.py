"""The stand-in for Twilio, asked by Twilio's own client."""

import asyncio
import json
import logging
import re
from contextlib import nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from sandbox.server import Sandbox
from tests.conftest import ROOT

DESCRIBED: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "twilio-message.json").read_text())
TO = "+14255550167"
BODY = "octo/cat has more than 3 open issues: https://github.com/octo/cat/issues"


def client(sandbox: Sandbox, **credentials: str) -> Client:
    settings = sandbox.settings
    sid = credentials.get("sid", settings["TwilioAccountSid"])
    token = credentials.get("token", settings["TwilioAuthToken"])
    http_client = TwilioHttpClient(timeout=30, pool_connections=False)
    client = Client(sid, token, http_client=http_client)  # type: ignore[no-untyped-call]
    client.api.base_url = sandbox.twilio_url
    return client


async def send(sandbox: Sandbox, **fields: str) -> Any:
    message = {"to": TO, "from_": sandbox.settings["TwilioPhoneNumber"], "body": BODY} | fields
    return await asyncio.to_thread(client(sandbox).messages.create, **message)


async def refused(sandbox: Sandbox, **fields: str) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as caught:
        await send(sandbox, **fields)
    return caught.value


async def post(sandbox: Sandbox, data: dict[str, str] | str, **options: Any) -> requests.Response:
    settings = sandbox.settings
    sid, token = settings["TwilioAccountSid"], settings["TwilioAuthToken"]
    url = f"{sandbox.twilio_url}/2010-04-01/Accounts/{options.pop('account_sid', sid)}/Messages.json"
    return await asyncio.to_thread(
        requests.post, url, data=data, **{"auth": (sid, token), "timeout": 30, **options}
    )


async def call(method: str, url: str, **options: Any) -> requests.Response:
    return await asyncio.to_thread(requests.request, method, url, timeout=30, **options)


async def test_a_message_that_was_sent_lies_in_the_outbox(sandbox: Sandbox) -> None:
    message = await send(sandbox)

    [sms] = (await call("GET", f"{sandbox.url}/sms")).json()
    assert re.fullmatch("SM[0-9a-f]{32}", message.sid)
    assert message.status == "queued"
    assert sms.pop("sent_at").startswith(message.date_created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S."))
    assert sms == {"sid": message.sid, "to": TO, "from": "+15005550006", "body": BODY}


async def test_the_outbox_is_newest_first_and_is_emptied_by_delete(sandbox: Sandbox) -> None:
    for body in ("first", "second ☎ <b>&amp;", "third"):
        await send(sandbox, body=body)

    assert [sms["body"] for sms in sandbox.sms] == ["third", "second ☎ <b>&amp;", "first"]
    assert (await call("GET", f"{sandbox.url}/sms")).json() == sandbox.sms
    assert (await call("DELETE", f"{sandbox.url}/sms")).status_code == 204
    assert sandbox.sms == []


async def test_the_answer_is_what_twilio_describes(sandbox: Sandbox) -> None:
    python_types = {"string": str, "integer": int, "object": dict}

    answer = await post(sandbox, {"To": TO, "From": "+14255550100", "Body": BODY})

    assert answer.status_code == 201
    assert answer.json().keys() == DESCRIBED["example"].keys() == DESCRIBED["properties"].keys()
    for name, value in answer.json().items():
        described = DESCRIBED["properties"][name]
        if value is None:
            assert described["nullable"], name
            continue
        assert type(value) is python_types[described["type"]], name
        assert re.search(described.get("pattern", ""), str(value)), name
        assert value in described.get("enum", [value]), name
        if described.get("format") == "date-time-rfc-2822":
            assert parsedate_to_datetime(str(value)) > datetime(2024, 1, 1, tzinfo=UTC), name
    assert answer.json()["uri"].endswith(f"/Messages/{answer.json()['sid']}.json")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"to": "+15005550001"}, 400, 21211),
        ({"to": "+15005550002"}, 400, 21612),
        ({"to": "+15005550003"}, 400, 21408),
        ({"to": "+15005550004"}, 400, 21610),
        ({"to": "+15005550009"}, 400, 21614),
        ({"from_": "+15005550001"}, 400, 21212),
        ({"from_": "+15005550007"}, 400, 21606),
        ({"from_": "+15005550008"}, 429, 21611),
    ],
)
async def test_magic_numbers_are_refused_as_twilio_documents(
    sandbox: Sandbox, fields: dict[str, str], status: int, code: int
) -> None:
    error = await refused(sandbox, **fields)

    assert (error.status, error.code) == (status, code)
    assert sandbox.sms == []


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"to": ""}, 21604, "A 'To' phone number is required."),
        ({"from_": ""}, 21603, "A 'From' phone number is required."),
        ({"body": ""}, 21602, "Message body is required."),
        ({"to": "123"}, 21211, "The 'To' number 123 is not a valid phone number."),
        ({"to": "+١٤٢٥٥٥٥٠١٦٧"}, 21211, "The 'To' number +١٤٢٥٥٥٥٠١٦٧ is not a valid phone number."),
        ({"to": "+{sender}"}, 21211, "The 'To' number +{sender} is not a valid phone number."),
        (
            {"from_": "x"},
            21212,
            "The 'From' number x is not a valid phone number, shortcode, or alphanumeric sender ID.",
        ),
        ({"body": "x" * 1601}, 21617, "The concatenated message body exceeds the 1600 character limit"),
    ],
)
async def test_a_bad_message_is_refused_in_twilios_words(
    sandbox: Sandbox, fields: dict[str, str], code: int, text: str
) -> None:
    error = await refused(sandbox, **fields)

    assert (error.status, error.code) == (400, code)
    assert error.msg == f"Unable to create record: {text}"
    assert error.uri.endswith("/Messages.json")
    assert sandbox.sms == []


async def test_a_body_of_1600_characters_is_sent(sandbox: Sandbox) -> None:
    await send(sandbox, body="é" * 1600)

    assert sandbox.sms[0]["body"] == "é" * 1600


async def test_an_error_has_the_shape_of_twilios(sandbox: Sandbox) -> None:
    answer = await post(sandbox, {"From": TO, "Body": BODY})

    assert answer.json() == {
        "code": 21604,
        "message": "A 'To' phone number is required.",
        "more_info": "https://www.twilio.com/docs/errors/21604",
        "status": 400,
    }


async def test_json_is_no_form(sandbox: Sandbox) -> None:
    fields = json.dumps({"To": TO, "From": TO, "Body": BODY})

    answer = await post(sandbox, fields, headers={"Content-Type": "application/json"})

    assert answer.json()["code"] == 21604


@pytest.mark.parametrize("credentials", [{"token": "0" * 32}, {"sid": "AC" + "0" * 32}])
async def test_other_credentials_are_refused(sandbox: Sandbox, credentials: dict[str, str]) -> None:
    messages = client(sandbox, **credentials).messages

    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(messages.create, to=TO, from_="+15005550006", body=BODY)

    assert (caught.value.status, caught.value.code) == (401, 20003)
    assert sandbox.sms == []


async def test_no_credentials_are_a_401_and_another_account_is_not_found(sandbox: Sandbox) -> None:
    anonymous = await post(sandbox, {}, auth=None)
    other = await post(sandbox, {}, account_sid="AC" + "0" * 32)

    assert (anonymous.status_code, anonymous.json()["code"]) == (401, 20003)
    assert anonymous.headers["WWW-Authenticate"].startswith("Basic ")
    assert (other.status_code, other.json()["code"]) == (404, 20404)


@pytest.mark.parametrize(("status", "code"), [(400, 21608), (429, 20429), (500, 20500)])
async def test_a_fault_refuses_every_message_until_it_is_gone(sandbox: Sandbox, status: Any, code: int) -> None:
    sandbox.set_twilio(status=status)
    error = await refused(sandbox)
    sandbox.set_twilio(status=None)
    await send(sandbox)

    assert (error.status, error.code) == (status, code)
    assert len(sandbox.sms) == 1


async def test_a_lost_reply_sends_the_message_all_the_same(sandbox: Sandbox) -> None:
    sandbox.set_twilio(status="lost reply")

    with pytest.raises(requests.ConnectionError):
        await send(sandbox)

    assert [sms["body"] for sms in sandbox.sms] == [BODY]


async def test_hang_neither_sends_nor_answers(sandbox: Sandbox) -> None:
    sandbox.set_twilio(status="hang")

    with pytest.raises(requests.ReadTimeout):
        await post(sandbox, {"To": TO, "From": TO, "Body": BODY}, timeout=0.3)

    assert sandbox.sms == []


async def test_the_fault_is_set_and_read_over_http(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/twilio"

    assert (await call("PUT", url, data='{"status": "lost reply"}')).json() == {"status": "lost reply"}
    assert (await call("PUT", url, data="{}")).json() == {"status": "lost reply"}
    assert (await call("GET", url)).json() == {"status": "lost reply"}
    assert (await call("PUT", url, data='{"status": null}')).json() == {"status": None}


@pytest.mark.parametrize(
    ("field", "value"), [("status", 404), ("status", "drip"), ("status", True), ("state", 500)]
)
async def test_a_bad_fault_is_a_400_that_names_its_field(sandbox: Sandbox, field: str, value: object) -> None:
    answer = await call("PUT", f"{sandbox.url}/twilio", data=json.dumps({"status": 500, field: value}))

    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
    assert (await call("GET", f"{sandbox.url}/twilio")).json() == {"status": None}


async def test_no_phone_number_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool"):
        caplog.set_level(logging.DEBUG, logger=name)  # The app, once imported, keeps it quiet.

    for status in (None, 400, "lost reply"):
        await call("PUT", f"{sandbox.url}/twilio", data=json.dumps({"status": status}))
        with pytest.raises(requests.ConnectionError) if status == "lost reply" else nullcontext():
            await post(sandbox, {"To": TO, "From": "+14255550100", "Body": BODY})

    assert len(sandbox.sms) == 2
    assert "urllib3" in {record.name.split(".")[0] for record in caplog.records}
    assert "4255550" not in caplog.text
