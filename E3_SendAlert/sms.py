"""Sends one SMS through Twilio, and knows which settings that takes and which numbers may be texted.

Not here: what the message says, and whether a failed attempt is made again (`E3_Monitor` decides).
"""

import io
import logging
import os
import re
import ssl
import time
from typing import Any

import requests
import urllib3
import urllib3.exceptions as urllib3_errors
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

_MAX_BYTES = 1_000_000  # Twilio's answer has about a thousand.
_PIECE_BYTES = 65_536
_SETTINGS = ("TwilioAccountSid", "TwilioAuthToken", "TwilioPhoneNumber")
# Digits as numbers are written, "(425) 555-0123" too; Twilio's own codes have five.
_NUMBER = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){6,}")

logger = logging.getLogger(__name__)

# Both log the URL, and the account's SID is in it: Twilio's client and urllib3 at each call, urllib3's connection
# in a warning about broken headers.
logging.getLogger("twilio.http_client").setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.WARNING)
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class AlertNotSent(Exception):
    """The message was certainly not sent; the text says why, without a phone number, SID or token in it."""


def mask(phone: str) -> str:
    """Show a phone number without giving it away: +1425*****67."""
    head, tail = (5, 2) if len(phone) >= 10 else (2, 0)
    return phone[:head] + "*" * (len(phone) - head - tail) + phone[len(phone) - tail :]


def missing_setting() -> str | None:
    """Name the first app setting that an SMS needs and that is absent or empty."""
    return next((name for name in _SETTINGS if not _setting(name)), None)


def is_allowed(phone: str) -> bool:
    """Whether the app setting AllowedPhoneNumbers lets this number be texted.

    Shape: a comma list of E.164 numbers, or of prefixes that end in `*`; empty or absent allows all.
    """
    allowed = _setting("AllowedPhoneNumbers")
    return not allowed or any(
        phone.startswith(entry[:-1]) if entry.endswith("*") else phone == entry
        for entry in map(str.strip, allowed.split(","))
        if entry
    )


def send(phone: str, text: str, *, timeout_s: float = 10) -> str | None:
    """Send one SMS; its SID, or None when Twilio may have taken it but nobody can tell.

    Raises: AlertNotSent when it was certainly not sent, so that another attempt cannot make it two.
    """
    if name := missing_setting():
        raise AlertNotSent(f"the app setting {name} is missing")
    if not is_allowed(phone):
        raise AlertNotSent(f"{mask(phone)} is not among the app setting AllowedPhoneNumbers")
    try:
        with requests.Session() as session:
            messages = _client(session, timeout_s).messages
            message = messages.create(to=phone, from_=_setting("TwilioPhoneNumber"), body=text)
            sid: str | None = message.sid
            return sid
    except (TwilioRestException, TwilioServiceException) as error:
        if error.status in range(400, 500):
            raise AlertNotSent(_refusal(error)) from None
        reason = f"Twilio answered {error.status}"
    except UnicodeEncodeError:
        raise AlertNotSent("TwilioAccountSid or TwilioAuthToken holds a character that none has") from None
    except requests.RequestException as error:
        if _never_connected(error):
            raise AlertNotSent(f"no connection to Twilio ({type(error).__name__})") from None
        reason = type(error).__name__
    except (AttributeError, TypeError, ValueError):
        reason = "Twilio's answer is no message"
    logger.warning("SMS to %s: cannot tell whether it was sent: %s", mask(phone), reason)
    return None


class _Bounded(HTTPAdapter):
    """Reads an answer within a time and a size; requests' own time limit is for each read alone."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request; ReadTimeout when its answer takes too long, or is too long."""
        deadline = time.monotonic() + self._timeout_s  # noqa: TID251  Twilio's seconds are real ones.
        response = super().send(request, *arguments, **options)
        body = bytearray()
        try:
            # read() would wait until the piece is full, for as long as a slow server likes.
            while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
                body += piece
                if len(body) > _MAX_BYTES or time.monotonic() > deadline:  # noqa: TID251  As above.
                    raise requests.ReadTimeout("the answer does not end")
        except urllib3_errors.HTTPError as error:
            raise requests.ConnectionError(error) from None
        finally:
            response.raw.close()
        response.raw = urllib3.HTTPResponse(io.BytesIO(body), preload_content=False)
        return response


def _client(session: requests.Session, timeout_s: float) -> Client:
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Bounded(timeout_s))
    # Twilio's client waits for ever by default, and a pooled connection that went stale would look like a
    # message that may have been sent.
    http_client = TwilioHttpClient(timeout=timeout_s, pool_connections=False)
    http_client.session = session
    client = Client(  # type: ignore[no-untyped-call]
        _setting("TwilioAccountSid"), _setting("TwilioAuthToken"), http_client=http_client
    )
    if url := _setting("TWILIO_API_URL"):
        if not re.match(r"https?://[^/]", url):
            raise AlertNotSent("the app setting TWILIO_API_URL is no http(s) URL")
        client.api.base_url = url
    return client


def _never_connected(error: requests.RequestException) -> bool:
    """Whether no connection to Twilio was made, so that nothing can have been sent; in doubt, no.

    Source: requests 2.34 adapters.py and urllib3 2.8 connectionpool.py, which wrap the cause up to three times.
    """
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidURL):
        return True
    cause = getattr(error.args[0], "reason", None)
    # Behind a proxy, a connection that broke after the request left counts as ProxyError too.
    if isinstance(cause, urllib3_errors.ProxyError):
        cause = cause.original_error
    if isinstance(cause, urllib3_errors.SSLError):
        cause = cause.args[0]
    return isinstance(
        cause,
        urllib3_errors.ConnectTimeoutError | urllib3_errors.NewConnectionError | ssl.SSLCertVerificationError,
    ) or str(cause).startswith("Tunnel connection failed")


def _refusal(error: TwilioRestException | TwilioServiceException) -> str:
    if isinstance(error, TwilioRestException):
        text = error.msg.removeprefix("Unable to create record: ")
    else:
        text = f"{error.title}: {error.detail}"
    for secret in (_setting("TwilioAccountSid"), _setting("TwilioAuthToken")):
        text = text.replace(secret, "***")
    text = _NUMBER.sub(lambda number: mask(number[0]), " ".join(text.split()))
    return f"Twilio refused it with error {error.code}: {text:.300}"


def _setting(name: str) -> str:
    return os.environ.get(name, "").strip()
