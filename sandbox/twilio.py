"""Twilio's `Messages.json`, from memory: one account, what it sent, and why Twilio would have refused.

Source: Twilio's OpenAPI description of the resource; https://www.twilio.com/docs/iam/test-credentials for the
magic numbers; the texts as Twilio's API words them for those numbers.
Not its business: connections that hang or break (`server`), delivery, and any other resource of Twilio.
"""

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Literal, TypedDict, get_args

from sandbox.answer import Answer, FieldError, check_choice, json_answer

TwilioStatus = Literal[400, 429, 500, "hang", "lost reply"]
Sms = TypedDict("Sms", {"sid": str, "to": str, "from": str, "body": str, "sent_at": str})

# Put together here, so that no scanner takes them for somebody's.
ACCOUNT_SID = "AC" + "5a4db0c5" * 4
AUTH_TOKEN = "7e57ab1e" * 4
# The one sender that Twilio's own test credentials accept.
PHONE_NUMBER = "+15005550006"

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
LONGEST_BODY = 1600
ERRORS: Mapping[int, str] = {
    20003: "Authenticate",
    20404: "The requested resource /2010-04-01/Accounts/{account_sid}/Messages.json was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    21211: "The 'To' number {to} is not a valid phone number.",
    21212: "The 'From' number {sender} is not a valid phone number, shortcode, or alphanumeric sender ID.",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}.",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The From phone number {sender} is not a valid, SMS-capable inbound phone number or short code for your"
    " account.",
    21608: "The number {to} is unverified. Trial accounts cannot send messages to unverified numbers; verify {to}"
    " at twilio.com/user/account/phone-numbers/verified, or purchase a Twilio number to send messages to"
    " unverified numbers",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "SMS queue is full.",
    21612: "The 'To' phone number: {to}, is not currently reachable using the 'From' phone number: {sender} via"
    " SMS.",
    21614: "To number: {to}, is not a mobile number",
    21617: f"The concatenated message body exceeds the {LONGEST_BODY} character limit",
}
STATUSES: Mapping[int, int] = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 21611: 429}  # Else 400.
MAGIC_TO: Mapping[str, int] = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
MAGIC_FROM: Mapping[str, int] = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
# What PUT /twilio turns on: a trial account's refusal, too many requests, a failure of Twilio's.
FAULTS: Mapping[int | str | None, int] = {400: 21608, 429: 20429, 500: 20500}


class Twilio:
    """The account: the SMS it sent, newest first, and the fault it is told to have (None: healthy)."""

    def __init__(self) -> None:
        self.sms: list[Sms] = []
        self.status: TwilioStatus | None = None

    def state(self) -> dict[str, object]:
        """What the sandbox's own API shows of it: `{"status"}`."""
        return {"status": self.status}

    def change(self, changes: Mapping[str, object]) -> dict[str, object]:
        """Set the fault that `changes` names, or nothing; the state after it.

        Shape: `{"status": TwilioStatus | None}`, unchecked.
        Raises: FieldError for another field or value.
        """
        for field, value in changes.items():
            if field != "status":
                raise FieldError(field, "unknown; expected status")
            check_choice(field, value, get_args(TwilioStatus))
        for field, value in changes.items():
            setattr(self, field, value)
        return self.state()

    def send(self, account_sid: str, authorization: str | None, form: Mapping[str, str], now: datetime) -> Answer:
        """Twilio's answer to a new message, which joins `sms` when it is a 201.

        Shape: `form` is the request's fields; To, From and Body count. Any E.164 number may be the sender, since
        a stand-in has no list of numbers that were bought.
        """
        to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
        code = _account_error(account_sid, authorization) or FAULTS.get(self.status)
        code = code or _message_error(to, sender, body)
        if code:
            return _refusal(code, account_sid=account_sid, to=to, sender=sender)
        sid = f"SM{secrets.token_hex(16)}"
        sent_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.sms.insert(0, {"sid": sid, "to": to, "from": sender, "body": body, "sent_at": sent_at})
        return json_answer(201, _message(sid, to, sender, body, now))


def _refusal(code: int, **values: str) -> Answer:
    status = STATUSES.get(code, 400)
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": ERRORS[code].format_map(values), "more_info": more_info, "status": status}
    return json_answer(status, body, {"WWW-Authenticate": 'Basic realm="Twilio API"'} if status == 401 else {})


def _account_error(account_sid: str, authorization: str | None) -> int | None:
    credentials = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    if authorization != f"Basic {credentials}":
        return 20003
    return None if account_sid == ACCOUNT_SID else 20404


def _message_error(to: str, sender: str, body: str) -> int | None:
    """Why Twilio refuses a message, or None: the first that applies, the recipient before the sender."""
    refusals = (
        (not to, 21604),
        (not sender, 21603),
        (not body, 21602),
        (len(body) > LONGEST_BODY, 21617),
        (not E164.fullmatch(to), 21211),
        (to in MAGIC_TO, MAGIC_TO.get(to)),
        (not E164.fullmatch(sender), 21212),
        (sender in MAGIC_FROM, MAGIC_FROM.get(sender)),
    )
    return next((code for applies, code in refusals if applies), None)


def _message(sid: str, to: str, sender: str, body: str, now: datetime) -> dict[str, object]:
    """A queued message as Twilio shows it: not sent, priced or cut into segments yet."""
    uri = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}"
    created_at = format_datetime(now)
    return {
        "account_sid": ACCOUNT_SID,
        "api_version": "2010-04-01",
        "body": body,
        "date_created": created_at,
        "date_sent": None,
        "date_updated": created_at,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": sender,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": None,
        "price": None,
        "price_unit": None,
        "sid": sid,
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": to,
        "uri": f"{uri}.json",
    }
