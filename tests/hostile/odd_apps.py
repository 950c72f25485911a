"""Odd host.json, function.json and local.settings.json files, for Hypothesis to choose from and to break."""

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.host.apps import ACTIVITY, BUNDLE, HTTP, ORCHESTRATOR, RETURN, SMS, STARTER

JSON = Any
Change = tuple[Random, str, JSON]

NAMES = ["Http", "Act", "Orch", "http", "host", "a b", "1", "ü", "a\nb", "a\udcffb", "x" * 129, ".x"]
HOST_JSON = {
    "version": "2.0",
    "functions": ["Good", *NAMES],
    "extensions": {
        "http": {"routePrefix": ""},
        "durableTask": {"hubName": "MyHub", "maxConcurrentActivityFunctions": 3},
        "twilio": {"accountSid": "TwilioAccountSid", "from": "+14255550100"},
    },
    "extensionBundle": BUNDLE,
}
SETTINGS = {
    "IsEncrypted": False,
    "Values": {"FUNCTIONS_WORKER_RUNTIME": "python", "FuzzedSetting": "x"},
    "ConnectionStrings": {"FuzzedString": {"ConnectionString": "x"}},
    "Host": {"LocalHttpPort": 0, "LocalHttpAddress": "127.0.0.1", "CORS": ""},
}
# A function of each kind: its bindings, and code that fits them.
KINDS: list[tuple[list[dict[str, JSON]], str]] = [
    ([{**HTTP, "route": "x/{id?}", "methods": ["get", "post"]}, RETURN, STARTER], "def main(req, starter): ..."),
    ([ACTIVITY, SMS], "def main(value, message): ..."),
    ([ORCHESTRATOR], "def main(context): yield"),
]
TEXTS = [
    *("", " ", "\0", "a\nb", "\x1b[2J", "\u2028", "ü", "x" * 300),
    *("a", "2.0", "3.0", "true", "in", "out", "inout", "main", "exit", "class", "__class__", "__name__"),
    *("context", "value", "req", "$return", "a__b", "_", "%", "%x%", "__init__.py", "other.py", "index.js"),
    *("../__init__.py", "/etc/passwd", ".", "..", "~", "function.json", "a/b.py", "[3.*]", "anonymous"),
    *("Admin", "httpTrigger", "HTTPTRIGGER", "timerTrigger", "activityTrigger", "orchestrationTrigger"),
    *("entityTrigger", "Trigger", "http", "durableClient", "orchestrationClient", "twilioSms", "queue"),
]
KEYS = [*TEXTS, "scriptFile", "entryPoint", "disabled", "route", "methods", "authLevel", "taskHub"]
ROUTES = [
    *("/", "//", "~/x", "x//y", "{a}", "{a?}", "{*a}", "{**a}", "{***a}", "{a}{b}", "{a}-{b}", "{a}/{A}", "{"),
    *("}", "{{}}", "{{a}}", "{}", "{?}", "{*}", "{a?}/b", "{*a}/b", "x?y", "admin/x", "Runtime"),
    *("runtime/webhooks/x", "{a=b}", "{a:int=5}", "{a=b?}", "{a:int}", "{a:nope}", "%2F", "%"),
    *("{a:range(1,x)}", "{a:length(5,1)}", "{a:min()}", "{a:regex(^[a-z]+$)}", "{a:regex(()}"),
    *("{a:regex([[a])}", "{a:regex(x(?i))}", "{a:regex(a{{99999999999}})}"),
    *("{a:regex(" + "(" * 5_000 + ")" * 5_000 + ")}", "{n" + ":a(b)" * 40 + "(}"),
    *("{a" + ":int" * 2_000 + "}", "{a:max(" + "9" * 5_000 + ")}"),
    *("x\r\ny", "x y", "\0", "{a\nb}", "{" * 2_000, "a/" * 2_000),
]
# JSON that json.dumps does not write, by the names that stand for it.
RAW = {
    "@deep": "[" * 20_000 + "]" * 20_000,
    "@deep object": '{"a":' * 600 + "1" + "}" * 600,
    "@digits": "9" * 5_000,
    "@float": "1e999",
    "@nan": "NaN",
    "@half": '"\\ud800"',
    "@comment": "/* // */ 1 // \n",
    "@comments": "/*" * 5_000,
    "@commas": ", " * 5_000,
    "@open": '"',
    "@single": "'a'",
    "@bare": "a",
    "@nothing": "",
    "@two": "1, 2",
}
ENCODINGS: list[Callable[[str], bytes]] = [
    lambda text: text.encode("utf-8", "surrogatepass"),
    lambda text: text.encode("utf-8-sig", "surrogatepass"),
    lambda text: text.encode("utf-16", "surrogatepass"),
    lambda text: text.encode("latin-1", "replace"),
    lambda text: text.encode("utf-8", "surrogatepass")[: len(text) // 2],
    lambda text: f"// c\r\n/* c */ {text.replace('}', ',}')} // c".encode("utf-8", "surrogatepass"),
    lambda text: text.replace(" ", "\t\r\n").encode("utf-8", "surrogatepass"),
]

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.sampled_from(TEXTS)
    | st.sampled_from(ROUTES)
    | st.text(max_size=5)
)
_values = _scalars | st.lists(_scalars, max_size=3) | st.dictionaries(st.sampled_from(KEYS), _scalars, max_size=3)
_randoms = st.integers(0, 2**32).map(Random)
changes = st.tuples(_randoms, st.sampled_from(["set", "drop", "rename", "add", "twice"]), _values)
raw_changes = st.tuples(_randoms, st.just("set"), st.sampled_from(sorted(RAW)))


def changed(document: JSON, *chosen: Change) -> JSON:
    """The document with something set, left out, renamed, put in or doubled, once for each choice."""
    document = copy.deepcopy(document)
    for random, how, value in chosen:
        holder, key = random.choice(_places(document) or [({}, "")])
        match how:
            case "drop" if holder:
                del holder[key]
            case "rename" if holder and isinstance(holder, dict):
                holder[random.choice([key.upper(), random.choice(KEYS)])] = holder.pop(key)
            case "add" if isinstance(holder, dict):
                holder[random.choice(KEYS)] = value
            case "twice" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case _:
                holder[key] = value
    return document


def _places(value: JSON) -> list[tuple[Any, Any]]:
    """Each container in a document with each key of it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


def text_of(document: JSON) -> str:
    """The document as JSON, or nearly so."""
    text = json.dumps(document, indent=1)
    for name, raw in RAW.items():
        text = text.replace(f'"{name}"', raw)
    return text


@st.composite
def apps(draw: st.DrawFn) -> dict[str, bytes]:
    """The files of an app; most are as they should be, or it would never come to the others."""
    files = {
        "Good/function.json": text_of({"bindings": [ACTIVITY]}).encode(),
        "Good/__init__.py": b"def main(value): ...",
    }
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True)):
        bindings, code = draw(st.sampled_from(KINDS))
        files[f"{name}/function.json"] = text_of(changed({"bindings": bindings}, draw(changes))).encode()
        files[f"{name}/__init__.py"] = code.encode()
        files[f"{name}/sample.dat"] = draw(st.sampled_from([b"{}", b"\xff"]))
    for name, document in (("host.json", HOST_JSON), ("local.settings.json", SETTINGS)):
        if draw(st.booleans()):
            chosen = [draw(changes)] if draw(st.booleans()) else []
            files[name] = text_of(changed(document, *chosen)).encode()
    return files
