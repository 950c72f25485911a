import asyncio
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from durable_host.clock import RealClock
from durable_host.dispatch.drivers import Inline
from durable_host.dispatch.workers import OUTPUTS, Worker
from durable_host.errors import FunctionFailed
from durable_host.functions.function_json import Function
from durable_host.functions.triggers import read_app
from durable_host.worker.http_answers import HttpAnswer
from durable_host.worker.protocol import ClientCall, HttpRequest, Init, Reply, Result
from sandbox.server import Sandbox
from tests.host.apps import ACTIVITY, HTTP, ORCHESTRATOR, RETURN, SMS, STARTER, without_marks, write_function

MS_SAMPLE = Path("tests/fixture_apps/ms_sample")
TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
ASYNC = "async def main(context): return ''"
ITEM: ContextVar[str] = ContextVar("ITEM")
CLIENT = json.dumps({"taskHubName": "Hub", "creationUrls": {}, "managementUrls": {}})
TWILIO = {
    **SMS,
    "accountSidSetting": "TwilioAccountSid",
    "authTokenSetting": "TwilioAuthToken",
    "from": "%TwilioPhoneNumber%",
}
HTTP_ERROR = (
    "TypeError: unable to encode outgoing TypedData: "
    "unsupported type \"<class 'azure.functions.http.HttpResponseConverter'>\" for Python type "
)


async def no_client(call: ClientCall) -> Reply:
    return Reply(call.id, 503, b"")


def request(
    method: str, url: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", call_id: str = "a call"
) -> HttpRequest:
    return HttpRequest(0, "", call_id, method, url, tuple(headers), payload=body)


GET = request("GET", "http://localhost:7071/api/F")


class Caller:
    """An app, loaded at the first call."""

    def __init__(self, root: Path, pool: ThreadPoolExecutor) -> None:
        self.root = root
        self._pool = pool
        self._worker: Worker | None = None

    def write(self, name: str, code: str, *bindings: dict[str, Any]) -> None:
        write_function(self.root, name, f"import azure.functions as func\n{code}", *bindings)

    async def worker(self) -> Worker:
        if self._worker is None:
            app = read_app(self.root, OUTPUTS)
            self._worker = Worker(app, RealClock(), lambda: Inline(self._pool), no_client)
            await self._worker.start(Init(str(self.root.resolve()), (), dict(os.environ), CLIENT, ""))
        return self._worker

    async def end(self) -> None:
        if self._worker is not None:
            await self._worker.close()

    async def function(self, name: str) -> Function:
        function = (await self.worker()).app.find(name)
        assert function is not None
        return function

    async def activity(self, name: str, text: str | None = "null", call_id: str = "a call") -> str:
        told: asyncio.Future[Result | FunctionFailed] = asyncio.get_running_loop().create_future()
        (await self.worker()).run_activity(await self.function(name), text, call_id, told.set_result)
        answer = await told
        if isinstance(answer, FunctionFailed):
            raise answer
        return answer.payload.decode()

    async def http(self, name: str, call: HttpRequest = GET) -> HttpAnswer:
        call = replace(call, function=name)
        result = await (await self.worker()).run_http(await self.function(name), call)
        return HttpAnswer(result.status, result.headers, result.payload)

    async def orchestrator(self, name: str, context: str) -> str:
        answer = await (await self.worker()).ask_orchestrator(await self.function(name), context)
        if isinstance(answer, FunctionFailed):
            raise answer
        return answer


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
async def app(tmp_path: Path, pool: ThreadPoolExecutor) -> AsyncIterator[Caller]:
    caller = Caller(tmp_path, pool)
    yield caller
    await caller.end()


@pytest.fixture
async def sample(pool: ThreadPoolExecutor) -> AsyncIterator[Caller]:
    caller = Caller(MS_SAMPLE, pool)
    yield caller
    await caller.end()


async def failure_of(call: Any) -> FunctionFailed:
    with pytest.raises(FunctionFailed) as error:
        await call
    return error.value


def context() -> str:
    """The first episode of an instance of the sample's monitor."""
    at = "2026-11-24T10:00:00Z"
    event = {"EventId": -1, "IsPlayed": False, "Timestamp": at}
    return json.dumps(
        {
            "history": [
                {**event, "EventType": 12},
                {**event, "EventType": 0, "Name": "E3_Monitor", "Version": None},
            ],
            "input": json.dumps({"repo": "octo/many", "phone": "+14255550167"}),
            "instanceId": "abc",
            "isReplaying": False,
            "parentInstanceId": None,
            "upperSchemaVersionNew": 3,
            "longRunningTimerIntervalDuration": "3.00:00:00",
            "maximumShortTimerDuration": "6.00:00:00",
        }
    )


async def test_the_samples_orchestrator_asks_for_its_check(sample: Caller) -> None:
    answer = json.loads(await sample.orchestrator("E3_Monitor", context()))

    assert answer["actions"] == [
        [{"actionType": 0, "functionName": "E3_TooManyOpenIssues", "input": '"octo/many"'}]
    ]


async def test_the_samples_check_answers_a_boolean_whatever_it_promised(sample: Caller) -> None:
    assert await sample.activity("E3_TooManyOpenIssues", '"octo/many"') == "true"
    assert await sample.activity("E3_TooManyOpenIssues", '"octo/quiet"') == "false"


async def test_the_samples_alert_is_an_sms(sample: Caller, sandbox: Sandbox) -> None:
    assert await sample.activity("E3_SendAlert", '"+14255550167"') == '"Message sent!"'

    assert [(sms["to"], sms["body"]) for sms in sandbox.sms] == [
        ("+14255550167", "Hey! There are too many open issues.")
    ]


async def test_an_alert_that_twilio_refuses_is_a_failed_activity(sample: Caller, sandbox: Sandbox) -> None:
    failure = await failure_of(sample.activity("E3_SendAlert", '"+15005550001"'))

    assert (failure.type_name, failure.stack) == ("ApiException", "")
    assert "error 21211" in failure.message


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('"words"', "'words'"),
        ("words", "'words'"),
        ("5", "5"),
        ("null", "None"),
        (None, "None"),
        ("", "''"),
        ('{"a": [1.0, true]}', "{'a': [1.0, True]}"),
    ],
)
async def test_an_activity_gets_its_input_parsed_as_json_or_else_as_text(
    app: Caller, text: str | None, seen: str
) -> None:
    app.write("F", "def main(value: str): return repr(value)", ACTIVITY)

    assert await app.activity("F", text) == json.dumps(seen)


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        ("None", "null"),
        ("'a'", '"a"'),
        ("''", '""'),
        ("True", "true"),
        ("0", "0"),
        ("1.0", "1.0"),
        ("[1, {'a': None}]", '[1,{"a":null}]'),
        ("('ü☃', )", '["ü☃"]'),
        ("[float('nan'), float('-inf')]", '["NaN","-Infinity"]'),
        ("12345678901234567890", "12345678901234567890"),
        ("'\\ud83d'", '"\\ud83d"'),
    ],
)
async def test_an_activitys_result_is_compact_json(app: Caller, returned: str, result: str) -> None:
    app.write("F", f"def main(value): return {returned}", ACTIVITY)

    assert await app.activity("F") == result


async def test_custom_objects_travel_in_the_sdks_envelope(app: Caller) -> None:
    (app.root / "lib").mkdir()
    (app.root / "lib" / "box.py").write_text(
        "class Box:\n    def __init__(self, n): self.n = n\n"
        "    def to_json(self): return self.n\n    from_json = classmethod(lambda cls, n: cls(n))\n"
    )
    app.write("F", "from lib.box import Box\ndef main(value): return Box(value.n + 1)", ACTIVITY)
    box = '{"__class__":"Box","__module__":"lib.box","__data__":%d}'

    assert await app.activity("F", box % 1) == box % 2


async def test_an_object_whose_module_is_not_loaded_cannot_be_an_input(app: Caller) -> None:
    app.write("F", "def main(value): pass", ACTIVITY)

    failure = await failure_of(app.activity("F", '{"__class__": "X", "__module__": "absent", "__data__": 1}'))

    assert str(failure).startswith(
        "ValueError: activity trigger input must be a string or a valid json serializable ("
    )


async def test_a_failure_has_the_bare_type_the_text_and_the_apps_own_frames(app: Caller) -> None:
    app.write(
        "F",
        "class MyError(Exception): pass\ndef main(value):\n    inner(value)\n"
        "def inner(value):\n    raise MyError('line one\\nline two')\n",
        ACTIVITY,
    )

    failure = await failure_of(app.activity("F"))

    assert (failure.type_name, failure.message) == ("MyError", "line one\nline two")
    assert without_marks(failure.stack) == (
        f'  File "{app.root}/F/__init__.py", line 4, in main\n    inner(value)\n'
        f"  File \"{app.root}/F/__init__.py\", line 6, in inner\n    raise MyError('line one\\nline two')\n"
    )


async def test_an_asynchronous_failure_looks_the_same(app: Caller) -> None:
    app.write("F", "async def main(value):\n    raise ValueError(value)\n", ACTIVITY)

    failure = await failure_of(app.activity("F", '"x"'))

    assert str(failure) == "ValueError: x"
    assert failure.stack == f'  File "{app.root}/F/__init__.py", line 3, in main\n    raise ValueError(value)\n'


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("next(iter([]))", "StopIteration: "),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise KeyError('phone')", "KeyError: 'phone'"),
        ("raise type('Mute', (Exception,), {'__str__': lambda self: 1/0})", "Mute: <unprintable Mute object>"),
        (
            "import sys; raise type('Mute', (Exception,), {'__str__': lambda self: sys.exit()})",
            "Mute: <unprintable Mute object>",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["", "async "])
async def test_whatever_a_function_raises_is_its_failure(app: Caller, kind: str, code: str, text: str) -> None:
    app.write("F", f"{kind}def main(value):\n    {code}\n", ACTIVITY)

    # A coroutine cannot raise StopIteration, as Python has it.
    text = text.replace("StopIteration: ", "RuntimeError: coroutine raised StopIteration") if kind else text
    assert str(await failure_of(app.activity("F"))) == text


async def test_a_function_that_cancels_its_own_task_has_failed(app: Caller) -> None:
    code = "import asyncio\nasync def main(value):\n    asyncio.current_task().cancel()\n"
    app.write("F", f"{code}    await asyncio.Event().wait()\n", ACTIVITY)

    assert str(await failure_of(app.activity("F"))) == "CancelledError: "


async def test_what_is_no_json_cannot_be_a_result(app: Caller) -> None:
    app.write("F", "def main(value): return {1}", ACTIVITY)

    failure = await failure_of(app.activity("F"))

    assert str(failure) == "ValueError: activity trigger output must be json serializable ({1})"
    assert failure.stack.splitlines()[0].endswith('durable_functions.py", line 128, in encode')


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        ("'a'", '"a"'),
        ("True", "1"),
        ("{'a': 1}", '{"a":1}'),
        ("[1.0]", "[1.0]"),
        ("0.5", "0.5"),
        ("b'ab'", '"YWI="'),
        ("None", "null"),
    ],
)
async def test_beside_an_sms_output_the_generic_converter_encodes_the_result(
    app: Caller, returned: str, result: str | None
) -> None:
    app.write("F", f"def main(value, message): return {returned}", ACTIVITY, TWILIO)

    assert await app.activity("F") == result


async def test_the_generic_converter_refuses_what_it_does_not_know(app: Caller) -> None:
    app.write("F", "def main(value, message): return {1}", ACTIVITY, TWILIO)
    app.write("G", "def main(value, message): return [{1}]", ACTIVITY, TWILIO)

    assert str(await failure_of(app.activity("F"))).endswith('for Python type "set"')
    assert str(await failure_of(app.activity("G"))) == "TypeError: Object of type set is not JSON serializable"


@pytest.mark.parametrize(
    ("code", "bodies"),
    [
        ("message.set(sms('one')); message.set(sms('two'))", ["two"]),
        ("message.set(sms('one')); message.set(None)", []),
        ("pass", []),
        ("return {'message': sms('named'), 'other': 1}", ["named"]),
        ("message.set(sms('set')); return {'message': sms('returned')}", ["returned"]),
        ("message.set(sms('set')); return {'message': None}", ["set"]),
    ],
)
async def test_the_value_that_was_written_last_is_sent(
    app: Caller, sandbox: Sandbox, code: str, bodies: list[str]
) -> None:
    app.write(
        "F",
        "import json\ndef sms(body): return json.dumps({'to': '+14255550167', 'body': body})\n"
        f"def main(value, message):\n    {code}\n",
        ACTIVITY,
        TWILIO,
    )

    await app.activity("F")

    assert [sms["body"] for sms in sandbox.sms] == bodies


async def test_an_sms_may_be_the_return_value(app: Caller, sandbox: Sandbox) -> None:
    sms = {"to": "+14255550167", "body": "returned"}
    app.write("F", f"def main(value): return {sms!r} if value else None", ACTIVITY, {**TWILIO, "name": "$return"})

    assert await app.activity("F", "1") == json.dumps(sms, separators=(",", ":"))
    assert await app.activity("F", "0") == "null"
    assert [sms["body"] for sms in sandbox.sms] == ["returned"]


async def test_a_request_arrives_as_on_azure(app: Caller) -> None:
    app.write(
        "F",
        "import json\ndef main(req: func.HttpRequest) -> str:\n"
        "    return 'got ' + json.dumps([req.method, req.url, dict(req.headers), req.headers['X-Name'],\n"
        "        dict(req.params), dict(req.route_params), req.get_body().decode(), req.get_json()])\n",
        HTTP,
        RETURN,
    )
    call = request(
        method="post",
        url="http://localhost:7071/api/F?a=1",
        headers=[("X-Name", "1"), ("x-name", "2"), ("Content-Length", "2"), ("Empty", "")],
        body=b"[]",
    )
    call = replace(call, query=(("a", "1"), ("A", "2"), ("empty", "")), route_params={"id": "x%2Fy"})

    answer = await app.http("F", call)

    assert json.loads(answer.body.removeprefix(b"got ")) == [
        "POST",
        "http://localhost:7071/api/F?a=1",
        {"x-name": "1,2", "content-length": "2", "empty": ""},
        "1,2",
        {"a": "1,2"},
        {"id": "x%2Fy"},
        "[]",
        [],
    ]


async def test_a_chunked_body_arrives_empty(app: Caller) -> None:
    app.write("F", "def main(req): return f'{req.get_body()} {req.get_json()}'", HTTP, RETURN)

    failure = await failure_of(
        app.http("F", request("POST", "http://x/", [("Transfer-Encoding", "chunked")], body=b"[]"))
    )

    assert str(failure) == "ValueError: HTTP request does not contain valid JSON data"


@pytest.mark.parametrize("keyword", ["def", "async def"])
async def test_an_http_functions_response_is_answered(app: Caller, keyword: str) -> None:
    app.write("F", f"{keyword} main(req): return func.HttpResponse('x', status_code=418)", HTTP, RETURN)

    assert await app.http("F") == HttpAnswer(418, (("content-type", "text/plain; charset=utf-8"),), b"x")


@pytest.mark.parametrize(
    ("code", "bindings", "expected"),
    [
        ("return None", [], HttpAnswer(204)),
        ("return 'x'", [STARTER], "RuntimeError: function 'F' without a $return bindingreturned a non-None value"),
        ("return 'x'", [{**STARTER, "type": "orchestrationClient"}], HttpAnswer(200, TEXT, b"x")),
        ("return None", [RETURN], f'{HTTP_ERROR}"NoneType"'),
        ("return {}", [RETURN], f'{HTTP_ERROR}"dict"'),
        ("return 'true'", [RETURN], HttpAnswer(200, TEXT, b"True")),
        ("res.set('x')", [{**RETURN, "name": "res"}], HttpAnswer(200, TEXT, b"x")),
        ("pass", [{**RETURN, "name": "res"}], HttpAnswer(204)),
    ],
)
async def test_what_an_http_function_returns_decides_the_answer(
    app: Caller, code: str, bindings: list[dict[str, Any]], expected: HttpAnswer | str
) -> None:
    names = [binding["name"] for binding in (HTTP, *bindings) if binding["name"] != "$return"]
    app.write("F", f"def main({', '.join(names)}):\n    {code}\n", HTTP, *bindings)

    if isinstance(expected, str):
        assert str(await failure_of(app.http("F"))) == expected
    else:
        assert await app.http("F") == expected


@pytest.mark.parametrize("client", ["durableClient", "orchestrationClient"])
async def test_a_client_binding_is_the_hosts_text(app: Caller, client: str) -> None:
    app.write(
        "F", "def main(req, starter: str): return 'client: ' + starter", HTTP, RETURN, {**STARTER, "type": client}
    )

    assert (await app.http("F")).body.decode() == f"client: {CLIENT}"


async def test_a_request_is_no_text(app: Caller) -> None:
    app.write("F", "def main(req: str): return req", HTTP, RETURN)

    failure = await failure_of(app.http("F"))

    assert str(failure) == "ValueError: unexpected type of data received for the \"generic\" binding : 'http'"


async def test_a_function_may_ask_for_its_context(app: Caller) -> None:
    app.write(
        "F",
        "import threading\ndef main(value, context: func.Context):\n"
        "    there = []\n"
        "    thread = threading.Thread(target=lambda: there.append(context.thread_local_storage.invocation_id))\n"
        "    thread.start(); thread.join()\n"
        "    return [context.function_name, context.function_directory, there == [context.invocation_id],\n"
        "        context.trace_context.trace_parent, context.retry_context.retry_count]\n",
        ACTIVITY,
    )

    assert json.loads(await app.activity("F") or "") == ["F", str(app.root / "F"), True, "", 0]


async def test_the_caller_may_name_the_invocation(app: Caller) -> None:
    app.write("A", "def main(value, context): return context.invocation_id", ACTIVITY)
    app.write("H", "def main(req, context): return context.invocation_id", HTTP, RETURN)

    assert await app.activity("A", call_id="id-1") == '"id-1"'
    assert (await app.http("H", request("GET", "http://x/", call_id="id-2"))).body == b"id-2"


async def test_each_call_of_a_function_that_could_not_be_loaded_fails_alike(app: Caller) -> None:
    for name, binding in (("A", ACTIVITY), ("H", HTTP), ("O", ORCHESTRATOR)):
        app.write(name, "1/0", binding)

    failures = [await failure_of(call) for call in (app.activity("A"), app.activity("A"), app.http("H"))]
    with pytest.raises(FunctionFailed) as error:
        await app.orchestrator("O", context())

    assert [str(failure) for failure in (*failures, error.value)] == ["ZeroDivisionError: division by zero"] * 4
    assert failures[0] is not failures[1]
    assert frames(failures[0].stack) == [f'  File "{app.root}/A/__init__.py", line 2, in <module>', "    1/0"]


async def test_synchronous_functions_run_beside_each_other_in_threads(app: Caller) -> None:
    app.write(
        "F",
        "import threading\nmeeting = threading.Barrier(2)\n"
        "def main(value):\n    meeting.wait(5)\n    return threading.current_thread().name\n",
        ACTIVITY,
    )

    names = await asyncio.gather(app.activity("F"), app.activity("F"))

    assert len({*names, json.dumps(threading.current_thread().name)}) == 3


async def test_asynchronous_functions_run_on_the_loop(app: Caller) -> None:
    app.write(
        "F",
        "import asyncio, threading\n"
        "async def main(value):\n    await asyncio.wait_for(asyncio.Event().wait(), value) if value else None\n"
        "    return threading.current_thread().name\n",
        ACTIVITY,
    )

    assert await app.activity("F", "0") == json.dumps(threading.current_thread().name)
    assert str(await failure_of(app.activity("F", "0.01"))) == "TimeoutError: "


async def test_a_thread_sees_the_callers_context_variables(app: Caller) -> None:
    ITEM.set("instance abc")
    app.write("F", f"from {__name__} import ITEM\ndef main(value): return ITEM.get()", ACTIVITY)

    assert await app.activity("F") == '"instance abc"'


async def test_an_orchestrator_that_raises_carries_its_state_and_the_sdks_frames(app: Caller) -> None:
    app.write(
        "F",
        "import azure.durable_functions as df\n"
        "def steps(context):\n    raise KeyError('phone')\n    yield\nmain = df.Orchestrator.create(steps)\n",
        ORCHESTRATOR,
    )

    with pytest.raises(FunctionFailed) as error:
        await app.orchestrator("F", context())

    assert error.value.type_name == "Exception"
    assert error.value.message.startswith("'phone'\n\n$OutOfProcData$:{\"isDone\": false")
    assert error.value.stack.splitlines()[0].endswith('durable_functions/orchestrator.py", line 74, in handle')


async def test_what_is_no_task_fails_as_it_did_on_microsofts_engine(app: Caller) -> None:
    app.write(
        "F",
        "import azure.durable_functions as df\n"
        "def steps(context):\n    yield 42\nmain = df.Orchestrator.create(steps)\n",
        ORCHESTRATOR,
    )
    recorded = recording("e_yield_non_task")["instances"][0]["episodes"][0]["exception"]

    with pytest.raises(FunctionFailed) as error:
        await app.orchestrator("F", context())

    assert str(error.value) == recorded["message"]
    assert frames(error.value.stack) == frames(recorded["stack"])


async def test_an_activity_fails_with_the_frames_recorded_from_microsofts_engine(app: Caller) -> None:
    recorded = recording("e_act_fail_lines")["activities"][0]["exception"]
    raised = 'raise MyError("line one\\nline two \\"quoted\\" <b> \\u00fc")'
    # One line less in front of it than `write` puts there, so that the line number is the recorded one.
    write_function(
        app.root, "T_FailLines", f"class MyError(Exception):\n    pass\ndef main(value):\n    {raised}\n", ACTIVITY
    )

    failure = await failure_of(app.activity("T_FailLines"))

    assert str(failure) == recorded["message"]
    assert failure.stack.replace(str(app.root), "/home/site/wwwroot") == recorded["stack"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("def main(context): return {}", "dict"), ("def main(context): pass", "NoneType"), (ASYNC, "coroutine")],
)
async def test_an_orchestrators_entry_point_must_be_the_sdks(app: Caller, code: str, kind: str) -> None:
    app.write("F", code, ORCHESTRATOR)

    with pytest.raises(FunctionFailed) as error:
        await app.orchestrator("F", context())

    assert str(error.value) == (
        "TypeError: the entry point of orchestrator 'F' must be what df.Orchestrator.create returns, "
        f"but it returned {kind}"
    )


async def test_an_orchestrator_runs_in_the_callers_thread(app: Caller) -> None:
    app.write("F", "import threading\ndef main(context): return threading.current_thread().name", ORCHESTRATOR)

    assert await app.orchestrator("F", context()) == threading.current_thread().name


def recording(name: str) -> Any:
    return json.loads(Path(f"tests/golden/episodes/{name}.json").read_text())


def frames(stack: str) -> list[str]:
    """A stack's lines without the folder of installed packages and the markers under code, which vary."""
    lines = re.sub(r'"[^"]*site-packages/', '"', stack).splitlines()
    return [line for line in lines if line.strip(" ~^")]
