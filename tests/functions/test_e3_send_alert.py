import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from E3_SendAlert import main
from E3_SendAlert.sms import is_allowed, mask, missing_setting, send
from sandbox.server import Sandbox
from tests.conftest import Serve

pytestmark = pytest.mark.usefixtures("app_settings")

TwilioAnswers = Callable[[int, str | dict[str, Any]], Awaitable[list[str]]]

PHONE = "+14255550167"
ALERT = {"phone": PHONE, "repo": "octo/cat", "threshold": 3}
# Made for these tests and trusted by nobody: openssl req -x509 -newkey ec -subj /CN=localhost -days 36500.
UNTRUSTED = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3ic9pPRGVN6BPBq0
bwchudw2RqVS4gPLsvBOz/L2ti6hRANCAAT12hrP/IdqnE/n9gckkiN4Mk2sDqAN
vDFJAXXUcZjkkB7lW0hAWRTGD2PqCY4qiMp/ESKwFZ2T0EF4awePr3/s
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUBTVu4nHCanuRnRCWILKrdGFRqwMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDEzNTI0NVoYDzIxMjYxMDMx
MTM1MjQ1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT12hrP/IdqnE/n9gckkiN4Mk2sDqANvDFJAXXUcZjkkB7lW0hAWRTG
D2PqCY4qiMp/ESKwFZ2T0EF4awePr3/so1MwUTAdBgNVHQ4EFgQUYRhdLMHdM/gp
+Mnqcj0eSv/gZigwHwYDVR0jBBgwFoAUYRhdLMHdM/gp+Mnqcj0eSv/gZigwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAx3sJ0dUqM2cb32h1pqDe7
NpGMEMy3y7OtYKQyZOM1IwIhALwbbIMrbLRtRKOpxSwCIaqHk8ZRZ1GzZ9BgaQAS
lF2y
-----END CERTIFICATE-----
"""


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of an account that exists nowhere."""
    monkeypatch.setenv("TwilioAccountSid", "AC0123456789")
    monkeypatch.setenv("TwilioAuthToken", "7e57token")
    monkeypatch.setenv("TwilioPhoneNumber", "+15005550006")


@pytest.fixture
def twilio_answers(credentials: None, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> TwilioAnswers:
    """Has Twilio give an answer that the sandbox does not; the list grows with each call of it."""

    async def start(status: int, body: str | dict[str, Any]) -> list[str]:
        text, asked = body if isinstance(body, str) else json.dumps(body), list[str]()

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.path)
            return web.Response(status=status, text=text, headers={"Location": "/"})

        monkeypatch.setenv("TWILIO_API_URL", await serve(answer))
        return asked

    return start


async def alert(phone: str = PHONE) -> dict[str, Any]:
    return await asyncio.to_thread(main, {**ALERT, "phone": phone})


async def test_an_alert_names_the_repository_its_threshold_and_its_issues_page(sandbox: Sandbox) -> None:
    result = await alert()

    [sms] = sandbox.sms
    assert result == {"message": sms["sid"]}
    assert (sms["to"], sms["from"]) == (PHONE, sandbox.settings["TwilioPhoneNumber"])
    assert sms["body"] == "octo/cat has more than 3 open issues: https://github.com/octo/cat/issues"


@pytest.mark.parametrize("name", ["TwilioAccountSid", "TwilioAuthToken", "TwilioPhoneNumber"])
@pytest.mark.parametrize("value", [None, "", " "])
async def test_without_a_twilio_setting_nothing_is_sent(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    monkeypatch.delenv(name)
    if value is not None:
        monkeypatch.setenv(name, value)

    assert missing_setting() == name
    assert await alert() == {"unsent": f"the app setting {name} is missing"}
    assert sandbox.sms == []


async def test_a_setting_pasted_with_blanks_around_it_works(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sandbox.settings.items():
        monkeypatch.setenv(name, f" {value}\n")

    await alert()

    assert len(sandbox.sms) == 1


@pytest.mark.parametrize(
    ("allowed", "phone", "expected"),
    [
        ("", PHONE, True),
        ("  ", PHONE, True),
        ("*", PHONE, True),
        (PHONE, PHONE, True),
        ("+14255550168", PHONE, False),
        ("+1425555016", PHONE, False),
        ("+1425*", PHONE, True),
        ("+49*, +1425*", PHONE, True),
        (f"+4917012345678,{PHONE}", PHONE, True),
        ("+49*", PHONE, False),
        (",", PHONE, False),
        ("14255550167", PHONE, False),
        # Premium and shared-cost numbers, and what only begins or ends as an allowed one does.
        *(
            ("+14255550*, +4915112345678", phone, False)
            for phone in ("+19005550100", "+18095550100", "+449098790123", "+881612345678", "+97912345", "+38")
        ),
        *(
            ("+14255550*, +4915112345678", phone, False)
            for phone in ("+1425555", "+14255551000", "+491511234567", "+49151123456789", "+4915112345679")
        ),
    ],
)
def test_allowed_numbers_are_whole_numbers_or_prefixes(
    monkeypatch: pytest.MonkeyPatch, allowed: str, phone: str, expected: bool
) -> None:
    monkeypatch.setenv("AllowedPhoneNumbers", allowed)

    assert is_allowed(phone) is expected


def test_without_a_list_all_numbers_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AllowedPhoneNumbers")

    assert is_allowed(PHONE)


async def test_a_number_that_is_not_allowed_is_not_texted(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AllowedPhoneNumbers", "+49*")

    assert await alert() == {"refused": "+1425*****67 is not among the app setting AllowedPhoneNumbers"}
    assert sandbox.sms == []


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("+14255550167", "+1425*****67"),
        ("+123456789", "+1234***89"),
        ("+12345678", "+1*******"),
        ("+12", "+1*"),
    ],
)
def test_a_masked_number_shows_its_country_and_its_end(phone: str, masked: str) -> None:
    assert mask(phone) == masked


@pytest.mark.parametrize(
    ("phone", "code", "shown"),
    [
        ("+15005550001", 21211, "+1500*****01"),
        ("+15005550002", 21612, "+1500*****02"),
        ("+15005550003", 21408, "+1500*****03"),
        ("+15005550009", 21614, "+1500*****09"),
    ],
)
async def test_twilio_s_refusal_is_told_with_its_code_and_a_masked_number(
    sandbox: Sandbox, phone: str, code: int, shown: str
) -> None:
    result = await alert(phone)

    text = result["refused"]
    assert text.startswith(f"Twilio refused it with error {code}: ")
    assert shown in text
    assert phone.lstrip("+") not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "said",
    [
        "Number 1425-555-0167 is no number",
        "Cannot reach +1 (425) 555-0167 now",
        "To=%2B14255550167\nis wrong",
        "Account AC0123456789 with 7e57token",
    ],
)
async def test_nothing_that_twilio_says_gives_a_number_or_a_secret_away(
    twilio_answers: TwilioAnswers, said: str
) -> None:
    await twilio_answers(400, {"code": 21211, "message": said})

    result = await alert()

    text = result["refused"]
    assert "21211" in text
    assert not any(secret in text for secret in ("5550167", "555-0167", "AC0123456789", "7e57token", "\n"))


async def test_wrong_credentials_are_told_without_them(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TwilioAuthToken", "wrong")

    result = await alert()

    assert result["refused"].startswith("Twilio refused it with error 20003: ")
    assert "Authenticate" in result["refused"]


@pytest.mark.parametrize("name", ["TwilioAccountSid", "TwilioAuthToken"])
async def test_credentials_that_no_header_can_hold_are_not_sent(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "ab\u201dcd")

    assert (await alert())["unsent"].endswith(" holds a character that none has")


async def test_an_error_of_twilio_s_for_this_message_is_a_refusal(sandbox: Sandbox) -> None:
    sandbox.set_twilio(status=400)

    result = await alert()

    assert result["refused"].startswith("Twilio refused it with error 21608: ")
    assert sandbox.sms == []


async def test_too_many_requests_to_twilio_pass(sandbox: Sandbox) -> None:
    sandbox.set_twilio(status=429)

    assert await alert() == {"unsent": "Twilio has too many requests (429)"}
    assert sandbox.sms == []


@pytest.mark.parametrize("status", ["failed", "undelivered", "canceled"])
async def test_a_message_that_twilio_answers_as_failed_is_refused(
    twilio_answers: TwilioAnswers, status: str
) -> None:
    message = {"sid": "SM1", "status": status, "error_code": 30007, "error_message": f"Filtered for {PHONE}"}

    await twilio_answers(201, message)

    assert await alert() == {"refused": "Twilio refused it with error 30007: Filtered for +1425*****67"}


@pytest.mark.parametrize("code", [200, 201])
@pytest.mark.parametrize("status", ["queued", "accepted", "sending", "sent", "delivered"])
async def test_a_message_on_its_way_was_taken(twilio_answers: TwilioAnswers, status: str, code: int) -> None:
    await twilio_answers(code, {"sid": "SM1", "status": status, "error_code": None})

    assert await alert() == {"message": "SM1"}


async def test_an_error_in_the_form_of_rfc_9457_is_told_too(twilio_answers: TwilioAnswers) -> None:
    problem = {"type": "about:blank", "title": "Bad", "status": 400, "code": 30001, "detail": f"no {PHONE}"}

    await twilio_answers(400, problem)

    assert await alert() == {"refused": "Twilio refused it with error 30001: Bad: no +1425*****67"}


async def test_a_failure_of_twilio_s_may_mean_sent(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    sandbox.set_twilio(status=500)

    result = await alert()

    assert result == {"message": None}
    assert "SMS to +1425*****67: cannot tell whether it was sent: Twilio answered 500" in caplog.text


async def test_a_reply_that_is_lost_may_mean_sent(sandbox: Sandbox) -> None:
    sandbox.set_twilio(status="lost reply")

    result = await alert()

    assert result == {"message": None}
    assert len(sandbox.sms) == 1


async def test_a_reply_that_does_not_come_in_time_may_mean_sent(sandbox: Sandbox) -> None:
    sandbox.set_twilio(status="hang")

    result = await asyncio.to_thread(send, PHONE, "text", timeout_s=0.2)

    assert result == {"message": None}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((201, "<html>"), (201, "[]"), (201, "null"), (201, '{"sid": null}'), (201, '{"date_sent": 5}')),
        *((status, "{}") for status in (301, 302, 303, 307, 308)),
    ],
)
async def test_an_answer_that_is_neither_a_message_nor_an_error_may_mean_sent(
    twilio_answers: TwilioAnswers, status: int, body: str
) -> None:
    asked = await twilio_answers(status, body)

    assert await alert() == {"message": None}
    assert len(asked) == 1


async def test_an_answer_that_is_too_large_may_mean_sent(twilio_answers: TwilioAnswers) -> None:
    await twilio_answers(201, '{"sid": "SM1"}' + " " * 10_000_000)

    assert await alert() == {"message": None}


async def test_without_a_connection_nothing_is_sent(
    credentials: None, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_API_URL", f"http://localhost:{unused_tcp_port}")

    assert await alert() == {"unsent": "no connection to Twilio (ConnectionError)"}


async def test_a_server_that_nobody_vouches_for_is_sent_nothing(
    credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "untrusted.pem"
    pem.write_text(UNTRUSTED)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", ssl=tls)
    monkeypatch.setenv("TWILIO_API_URL", f"https://localhost:{server.sockets[0].getsockname()[1]}")

    async with server:
        assert await alert() == {"unsent": "no connection to Twilio (SSLError)"}


async def test_a_proxy_that_makes_no_connection_sends_nothing(
    credentials: None, refusing_proxy: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_API_URL", "")

    assert await alert() == {"unsent": "no connection to Twilio (ProxyError)"}
    assert refusing_proxy == [["CONNECT", "api.twilio.com:443"]]


async def test_a_connection_that_breaks_behind_a_proxy_may_mean_sent(
    credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take_and_hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"octo")
        writer.close()

    proxy = await asyncio.start_server(take_and_hang_up, "127.0.0.1")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
    monkeypatch.setenv("TWILIO_API_URL", "http://twilio.invalid")

    async with proxy:
        result = await alert()

    assert result == {"message": None}


async def test_another_twilio_must_be_an_http_url(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_API_URL", "ftp://localhost")

    assert await alert() == {"unsent": "the app setting TWILIO_API_URL is not an http(s) URL"}


async def test_a_url_that_cannot_be_called_sends_nothing(
    credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_API_URL", "http://.twilio.invalid")

    assert await alert() == {"unsent": "no connection to Twilio (InvalidURL)"}
