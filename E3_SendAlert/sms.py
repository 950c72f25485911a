"""Sends one SMS through Twilio, and knows which settings that takes and which numbers may be texted."""

import logging
import re
import ssl

import requests
from requests.exceptions import InvalidURL
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, SSLError

from E3_TooManyOpenIssues.outgoing import is_http_url, session, setting

_SETTINGS = ("TwilioAccountSid", "TwilioAuthToken", "TwilioPhoneNumber")
# Digits as numbers are written, "(425) 555-0123" too; Twilio's own codes have five.
_NUMBER = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){6,}")
_NO_CONNECTION = InvalidURL, ConnectTimeoutError, NewConnectionError, ssl.SSLCertVerificationError

logger = logging.getLogger(__name__)

# They log the URL, and the account's SID is in it; urllib3's connection does so in a warning about broken headers.
logging.getLogger("twilio.http_client").setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.WARNING)
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


def mask(phone: str) -> str:
    """Show a phone number without giving it away: +1425*****67."""
    head, tail = (5, 2) if len(phone) >= 10 else (2, 0)
    return phone[:head] + "*" * (len(phone) - head - tail) + phone[len(phone) - tail :]


def missing_setting() -> str | None:
    """Name the first app setting that an SMS needs and that is absent or empty."""
    return next((name for name in _SETTINGS if not setting(name)), None)


def is_allowed(phone: str) -> bool:
    """Whether AllowedPhoneNumbers has it: numbers, or prefixes that end in `*`, by comma; empty allows all."""
    allowed = setting("AllowedPhoneNumbers")
    return not allowed or any(
        phone.startswith(entry[:-1]) if entry.endswith("*") else phone == entry
        for entry in map(str.strip, allowed.split(","))
    )


def send(phone: str, text: str, *, timeout_s: float = 10) -> dict[str, str | None]:
    """Send one SMS; what came of it, in the shape of E3_SendAlert's answer."""
    # By default it waits for ever, and a pooled connection that went stale would look like a message perhaps sent.
    http_client = TwilioHttpClient(timeout=timeout_s, pool_connections=False)
    http_client.session = session()
    account = setting("TwilioAccountSid"), setting("TwilioAuthToken")
    client = Client(*account, http_client=http_client)  # type: ignore[no-untyped-call]
    client.api.base_url = setting("TWILIO_API_URL") or client.api.base_url
    if not is_http_url(client.api.base_url):
        return {"unsent": "the app setting TWILIO_API_URL is not an http(s) URL"}
    try:
        message = client.messages.create(to=phone, from_=setting("TwilioPhoneNumber"), body=text)
        if str(message.status) in ("failed", "undelivered", "canceled"):
            return _refusal(message.error_code, message.error_message)
        return {"message": message.sid}
    except (TwilioRestException, TwilioServiceException) as error:
        if error.status == 429:
            return {"unsent": "Twilio has too many requests (429)"}
        if error.status in range(400, 500):
            told = vars(error)
            return _refusal(error.code, told.get("msg") or f"{told['title']}: {told['detail']}")
        reason = f"Twilio answered {error.status}"
    except UnicodeEncodeError:
        return {"unsent": "TwilioAccountSid or TwilioAuthToken holds a character that none has"}
    except requests.RequestException as error:
        reason = type(error).__name__
        if _never_connected(error):
            return {"unsent": f"no connection to Twilio ({reason})"}
    except (AttributeError, TypeError, ValueError):
        reason = "Twilio's answer is not a message"
    logger.warning("SMS to %s: cannot tell whether it was sent: %s", mask(phone), reason)
    return {"message": None}


def _refusal(code: object, text: object) -> dict[str, str | None]:
    told = " ".join(str(text).removeprefix("Unable to create record: ").split())
    text = f"Twilio refused it with error {code}: {told}"
    for secret in (setting("TwilioAccountSid"), setting("TwilioAuthToken")):
        text = text.replace(secret, "***")
    return {"refused": _NUMBER.sub(lambda number: mask(number[0]), text)[:400]}


def _never_connected(error: requests.RequestException) -> bool:
    """Whether no connection to Twilio was made, so that nothing can have been sent; in doubt, no.

    Source: requests 2.34 adapters.py and urllib3 2.8 connectionpool.py, which wrap the cause up to three times.
    """
    cause = getattr(error.args[0], "reason", error)
    # Behind a proxy, a connection that broke after the request left counts as ProxyError too.
    cause = getattr(cause, "original_error", cause)
    cause = cause.args[0] if isinstance(cause, SSLError) else cause
    return isinstance(cause, _NO_CONNECTION) or str(cause).startswith("Tunnel connection failed")
