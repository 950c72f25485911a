"""The twilioSms output binding: what Twilio is sent for what a function wrote to it.

Not here: any other way of sending an SMS (an app's own code with Twilio's client needs nothing from a host).
Source: azure-webjobs-sdk-extensions, Twilio 3.0.2: TwilioExtensionConfigProvider, TwilioSmsMessageAsyncCollector.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import quote

import aiohttp

from durable_host.errors import AppError, FunctionFailed
from durable_host.functions.settings import resolve, setting
from durable_host.values import pick

BINDING_TYPE = "twilioSms"
_URL = "https://api.twilio.com"
_TIMEOUT_S = 10
_LARGEST = 65_536  # Bytes; what Twilio says of an error has some hundred.
# Keys of a message besides to, from and body; Twilio's parameter has the first letter in upper case.
_OPTIONS = re.findall(
    r"\w+",
    "mediaUrl statusCallback messagingServiceSid applicationSid forceDelivery validityPeriod provideFeedback "
    "maxPrice attempt smartEncoded shortenUrls sendAt sendAsMms contentSid contentVariables contentRetention "
    "addressRetention persistentAction scheduleType",
)


async def send(binding: Mapping[str, Any], value: object, extensions: Mapping[str, Any]) -> None:
    """Sends one SMS for each message in a value.

    Args:
        binding: the binding's keys in function.json.
        value: JSON text of an object with to, body and more, or of a list of such; or the like already parsed.
        extensions: of host.json; `twilio` there has defaults.

    Raises: FunctionFailed, without a phone number, SID or token in its text. A wrong message stops the sending of
        any, one that Twilio refuses those after it.
    """
    found = pick(extensions, "twilio")
    defaults = found if isinstance(found, dict) else {}
    sid = _credential(binding, defaults, "AccountSid", "AccountSID")
    token = _credential(binding, defaults, "AuthToken", "AuthToken")
    forms = [_form(message, binding, defaults) for message in _messages(value)]
    for form in forms:
        await _post(f"{_server()}/2010-04-01/Accounts/{quote(sid, safe='')}/Messages.json", (sid, token), form)


def masked(number: str) -> str:
    """A phone number that may be shown: `+1425*****67`."""
    return f"{number[:5]}{'*' * (len(number) - 7)}{number[-2:]}" if len(number) > 9 else "*" * len(number)


def _messages(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError:
            _refuse("A twilioSms output takes JSON text of an object with 'to' and 'body'; this is no JSON.")
    for message in value if isinstance(value, list) else [value]:
        if not isinstance(message, dict):
            _refuse(f"A twilioSms output takes objects with 'to' and 'body', found {type(message).__name__}.")
        yield message


def _form(message: Mapping[str, Any], binding: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    # The binding's `to` is no default: Azure's extension never reads it for a message in JSON.
    form = {"To": pick(message, "to")}
    for key in ("from", "body"):
        form[key.capitalize()] = pick(message, key) or _resolved(binding, key) or pick(defaults, key)
    form |= {key[0].upper() + key[1:]: pick(message, key) for key in _OPTIONS}
    for name in ("To", "From", "Body"):
        if not form[name] and not (name == "From" and form["MessagingServiceSid"]):
            _refuse(f"A '{name}'{'' if name == 'Body' else ' number'} must be specified for the message.")
    return form


def _encoded(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A name for each value; of a list, for each element."""
    pairs = [
        (name, each) for name, value in form.items() for each in (value if isinstance(value, list) else [value])
    ]
    return [(n, str(v).lower() if isinstance(v, bool) else str(v)) for n, v in pairs if v is not None]


def _resolved(binding: Mapping[str, Any], key: str) -> str | None:
    text = pick(binding, key)
    try:
        return resolve(str(text)) if text else None
    except AppError as error:
        _refuse(f"twilioSms binding, '{key}': {error}")


def _credential(binding: Mapping[str, Any], defaults: Mapping[str, Any], key: str, shown: str) -> str:
    name = pick(binding, f"{key}Setting")
    if name:
        value = setting(str(name))
        if not value:
            _refuse(
                f"Unable to resolve the value for property 'TwilioSmsAttribute.{key}Setting'. "
                f"Make sure the setting exists and has a valid value. (Setting: '{name}')"
            )
        return value
    value = pick(defaults, key) or setting(f"AzureWebJobsTwilio{key}")
    if not value:
        _refuse(
            f"The Twilio {shown} must be set either via a 'AzureWebJobsTwilio{key}' app setting, "
            f"via a 'AzureWebJobsTwilio{key}' environment variable, or directly in code via "
            f"TwilioSmsConfiguration.{shown}."
        )
    return str(value)


def _server() -> str:
    url = (setting("TWILIO_API_URL") or _URL).rstrip("/")
    if not re.match("https?://[^/]", url):
        _refuse("TWILIO_API_URL must be an http or https URL.")
    return url


async def _post(url: str, credentials: tuple[str, str], form: Mapping[str, Any]) -> None:
    """Raises: FunctionFailed that quotes nothing of Twilio's text, which holds the whole number."""
    to = masked(str(form["To"]))
    headers = {"Authorization": f"Basic {base64.b64encode(':'.join(credentials).encode()).decode()}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_TIMEOUT_S), trust_env=True) as session,
            session.post(url, data=_encoded(form), headers=headers, allow_redirects=False) as answer,
        ):
            status, code = answer.status, _error_code(await answer.content.read(_LARGEST))
    except (aiohttp.ClientError, TimeoutError) as error:
        problem = f"Twilio did not answer for the SMS to {to} ({type(error).__name__})."
        raise FunctionFailed("ApiConnectionException", problem) from None
    if status // 100 != 2:
        more = f", error {code}: https://www.twilio.com/docs/errors/{code}" if code else ""
        raise FunctionFailed("ApiException", f"Twilio did not take the SMS to {to} (HTTP {status}{more}).")


def _error_code(answer: bytes) -> int | None:
    try:
        code = json.loads(answer)["code"]
    except (ValueError, LookupError, TypeError):
        return None
    return code if isinstance(code, int) else None


def _refuse(reason: str) -> NoReturn:
    raise FunctionFailed("InvalidOperationException", reason)
