import json

import pytest

from durable_host.engine.failures import activity_failure, sanitize
from durable_host.errors import FunctionFailed, WorkerDied
from tests.golden_replay import recording


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no secret in here", "no secret in here"),
        ("a Token=abc def", "a [Hidden Credential]"),
        ('x AccountKey=abc", y', 'x [Hidden Credential]", y'),
        ("x password=abc' y", "x [Hidden Credential]' y"),
        ("x pwd=abc<br>", "x [Hidden Credential]<br>"),
        ("Server=db.example;User=me", "[Hidden Credential]"),
        ("Data Source=db", "[Hidden Credential]"),
        ("SharedAccessKey=a", "[Hidden Credential]"),
        ("DefaultEndpointsProtocol=https;AccountName=a", "[Hidden Credential]"),
        ("http://h/?a=1&code=XYZ tail", "http://h/?a=1[Hidden Credential]"),
        ("http://h/?sig=XYZ", "http://h/[Hidden Credential]"),
        ("http://h/?a=1&amp;sig=XYZ", "http://h/?a=1[Hidden Credential]"),
        ("sorted(x, key=str)", "sorted(x, [Hidden Credential]"),
        ("PublicKeyToken=b77a5c", "PublicKeyToken=b77a5c"),
        ("a code=1 without a query", "a code=1 without a query"),
    ],
)
def test_what_looks_like_a_credential_is_hidden_up_to_the_next_quote_or_tag(text: str, shown: str) -> None:
    assert sanitize(text) == shown


@pytest.mark.parametrize(
    ("name", "activity", "failure"),
    [
        ("e_act_fail_caught", "T_Fail", FunctionFailed("ValueError", "activity failed: x")),
        ("e_act_fail_lines", "T_FailLines", FunctionFailed("MyError", 'line one\nline two "quoted" <b> ü')),
        (
            "e_act_fail_key_in_message",
            "T_FailKeyMessage",
            FunctionFailed("ValueError", "bad query ?a=1&code=XYZ tail"),
        ),
    ],
)
def test_an_activity_fails_in_the_engines_words(name: str, activity: str, failure: FunctionFailed) -> None:
    ((*_, episode),) = recording.load(name).instances.values()
    (recorded,) = (event for event in episode.history if event["EventType"] == 6)

    reason, details = activity_failure(activity, failure)

    assert reason == recorded["Reason"]
    ours, theirs = json.loads(details), json.loads(recorded["Details"])
    assert list(ours) == list(theirs)
    inner, their_inner = ours.pop("InnerException"), theirs.pop("InnerException")
    assert ours == theirs
    assert inner["RemoteMessage"] == their_inner["RemoteMessage"]
    assert inner["Message"] == their_inner["Message"].partition("\nStack: ")[0] + "\nStack: "
    assert inner.keys() == their_inner.keys()


def test_the_details_are_one_line_with_the_workers_stack_in_them() -> None:
    _, details = activity_failure("Check", FunctionFailed("ValueError", "a\nb", '  File "x.py", line 3\n'))

    assert "\n" not in details
    assert json.loads(details)["InnerException"]["RemoteStackTrace"] == '  File "x.py", line 3\n'


def test_a_worker_that_died_is_told_as_azure_tells_it() -> None:
    reason, details = activity_failure("ActExit", WorkerDied("/venv/bin/python exited with code 3 (0x3)"))

    # Source: recorded, real319-b2-dies.
    assert reason == "Activity function 'ActExit' failed: /venv/bin/python exited with code 3 (0x3)"
    told = json.loads(details)
    assert list(told) == [
        *("$type", "Message", "Data", "InnerException", "HelpLink", "Source", "HResult", "StackTrace"),
    ]
    assert told["$type"] == (
        "Microsoft.Azure.WebJobs.Script.Workers.WorkerProcessExitException, Microsoft.Azure.WebJobs.Script"
    )
    assert told["Message"] == "/venv/bin/python exited with code 3 (0x3)"
    assert (told["InnerException"]["ClassName"], told["InnerException"]["Message"]) == ("System.Exception", "")
