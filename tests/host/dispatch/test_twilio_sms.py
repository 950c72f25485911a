import json
import logging
from typing import Any

import pytest
from aiohttp import web

from durable_host.dispatch.twilio_sms import masked, send
from durable_host.errors import FunctionFailed
from sandbox.server import Sandbox
from sandbox.twilio import ACCOUNT_SID, AUTH_TOKEN
from tests.conftest import Serve

PHONE = "+14255550167"
BINDING = {
    "name": "message",
    "type": "twilioSms",
    "direction": "out",
    "accountSidSetting": "TwilioAccountSid",
    "authTokenSetting": "TwilioAuthToken",
    "from": "%TwilioPhoneNumber%",
}
MESSAGE = {"to": PHONE, "body": "Hey!"}


async def send_it(value: object = MESSAGE, defaults: dict[str, Any] | None = None, **binding: Any) -> None:
    await send({**BINDING, **binding}, value, {"twilio": defaults or {}})


async def failure(value: object = MESSAGE, **binding: Any) -> str:
    with pytest.raises(FunctionFailed) as error:
        await send_it(value, **binding)
    return str(error.value)


def sent(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    return [(sms["to"], sms["from"], sms["body"]) for sms in sandbox.sms]


@pytest.mark.parametrize("value", [json.dumps(MESSAGE), json.dumps(MESSAGE).encode(), MESSAGE, [MESSAGE]])
async def test_text_bytes_or_an_object_become_an_sms(sandbox: Sandbox, value: object) -> None:
    await send_it(value)

    assert sent(sandbox) == [(PHONE, "+15005550006", "Hey!")]


async def test_a_list_sends_one_sms_an_element(sandbox: Sandbox) -> None:
    await send_it([{**MESSAGE, "body": "one"}, {**MESSAGE, "body": "two"}])

    assert [sms["body"] for sms in sandbox.sms] == ["two", "one"]


async def test_the_message_comes_before_the_binding_and_the_binding_before_host_json(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("Text", "bound")
    defaults = {"from": "+15005550099", "body": "default"}

    await send_it({"TO": PHONE, "From": "+15005550010", "BODY": "own"}, defaults, body="%Text%")
    await send_it({"to": PHONE}, defaults, body="%Text%")
    await send_it({"to": PHONE}, defaults, **{"from": None})

    assert sent(sandbox)[::-1] == [
        (PHONE, "+15005550010", "own"),
        (PHONE, "+15005550006", "bound"),
        (PHONE, "+15005550099", "default"),
    ]


async def test_every_option_reaches_twilio_under_its_name(
    serve: Serve, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = []

    async def keep(request: web.Request) -> web.Response:
        forms.append([(name, value) for name, value in (await request.post()).items() if isinstance(value, str)])
        return web.json_response({"sid": "SM1"}, status=201)

    monkeypatch.setenv("TWILIO_API_URL", await serve(keep))
    options = {"mediaUrl": ["https://a/1", "https://a/2"], "validityPeriod": 60, "smartEncoded": True}

    await send_it({**MESSAGE, **options, "messagingServiceSid": "MG1", "unknown": "x"}, **{"from": None})

    assert sorted(forms[0]) == [
        ("Body", "Hey!"),
        ("MediaUrl", "https://a/1"),
        ("MediaUrl", "https://a/2"),
        ("MessagingServiceSid", "MG1"),
        ("SmartEncoded", "true"),
        ("To", PHONE),
        ("ValidityPeriod", "60"),
    ]


async def test_credentials_may_come_from_host_json_or_the_extensions_own_settings(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AzureWebJobsTwilioAuthToken", AUTH_TOKEN)

    await send_it(defaults={"accountSid": ACCOUNT_SID}, accountSidSetting=None, authTokenSetting=None)

    assert len(sandbox.sms) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"to": PHONE}, "A 'Body' must be specified for the message."),
        ({"body": "x"}, "A 'To' number must be specified for the message."),
        ("Hey!", "A twilioSms output takes JSON text of an object with 'to' and 'body'; this is no JSON."),
        ([PHONE], "A twilioSms output takes objects with 'to' and 'body', found str."),
        (5, "A twilioSms output takes objects with 'to' and 'body', found int."),
    ],
)
async def test_a_message_that_cannot_be_sent_stops_those_beside_it(
    sandbox: Sandbox, value: object, text: str
) -> None:
    both = [MESSAGE, value] if isinstance(value, dict) else value

    assert await failure(both, to="+15005550011") == f"InvalidOperationException: {text}"
    assert sandbox.sms == []


async def test_a_sender_is_needed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    text = await failure(**{"from": ""})

    assert text == "InvalidOperationException: A 'From' number must be specified for the message."

    monkeypatch.delenv("TwilioPhoneNumber")

    assert await failure() == (
        "InvalidOperationException: twilioSms binding, 'from': '%TwilioPhoneNumber%' does not resolve to a value."
    )


async def test_missing_credentials_are_named_by_their_settings(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TwilioAuthToken")

    assert await failure() == (
        "InvalidOperationException: "
        "Unable to resolve the value for property 'TwilioSmsAttribute.AuthTokenSetting'. "
        "Make sure the setting exists and has a valid value. (Setting: 'TwilioAuthToken')"
    )
    assert await failure(accountSidSetting=None) == (
        "InvalidOperationException: The Twilio AccountSID must be set either via a 'AzureWebJobsTwilioAccountSid' "
        "app setting, via a 'AzureWebJobsTwilioAccountSid' environment variable, or directly in code via "
        "TwilioSmsConfiguration.AccountSID."
    )


async def test_what_twilio_refuses_is_told_by_its_code(sandbox: Sandbox) -> None:
    assert await failure({**MESSAGE, "to": "+15005550001"}) == (
        "ApiException: Twilio did not take the SMS to +1500*****01 "
        "(HTTP 400, error 21211: https://www.twilio.com/docs/errors/21211)."
    )


async def test_an_answer_that_is_not_twilios_is_told_by_its_status(
    serve: Serve, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://localhost:1/"})

    monkeypatch.setenv("TWILIO_API_URL", await serve(elsewhere))

    assert await failure() == "ApiException: Twilio did not take the SMS to +1425*****67 (HTTP 302)."


async def test_no_answer_is_told_without_the_url(sandbox: Sandbox) -> None:
    sandbox.set_twilio(status="lost reply")

    assert await failure() == (
        "ApiConnectionException: Twilio did not answer for the SMS to +1425*****67 (ServerDisconnectedError)."
    )


@pytest.mark.parametrize("url", ["ftp://localhost", "localhost:7072", "http://"])
async def test_another_server_is_an_http_one(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TWILIO_API_URL", url)

    assert await failure() == "InvalidOperationException: TWILIO_API_URL must be an http or https URL."


async def test_nothing_secret_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    await send_it()
    await failure({**MESSAGE, "to": "+15005550001"})

    said = "\n".join(caplog.messages)
    assert [secret for secret in (PHONE, "+15005550001", ACCOUNT_SID, AUTH_TOKEN) if secret in said] == []


@pytest.mark.parametrize(
    ("number", "shown"),
    [("+14255550167", "+1425*****67"), ("+1425555016", "+1425****16"), ("911", "***"), ("", "")],
)
def test_a_number_is_shown_without_its_middle(number: str, shown: str) -> None:
    assert masked(number) == shown
