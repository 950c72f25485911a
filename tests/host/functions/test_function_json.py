from pathlib import Path
from typing import Any

import pytest

from durable_host.errors import AppError
from durable_host.functions.function_json import InError, read_function
from durable_host.functions.settings import disabled_functions
from tests.host.apps import ACTIVITY, HTTP, ORCHESTRATOR, RETURN, SMS, STARTER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Alert"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    return folder


def test_an_http_function_has_a_route_methods_and_a_level(folder: Path) -> None:
    trigger = {
        **HTTP,
        "route": "orchestrators/{functionName}",
        "methods": ["post", "Get"],
        "authLevel": "FUNCTION",
    }

    function = read_function(folder, {"bindings": [trigger, RETURN, STARTER], "scriptFile": "__init__.py"}, "api")

    assert (function.name, function.kind, function.entry_point) == ("Alert", "http", "main")
    assert function.http is not None
    assert function.http.route.template == "api/orchestrators/{functionName}"
    assert (function.http.methods, function.http.auth_level) == (("POST", "GET"), "function")


@pytest.mark.parametrize(
    ("prefix", "route", "template"), [("api", None, "api/Alert"), ("", " ", "Alert"), ("v1", "%X%", "v1/%X%")]
)
def test_a_route_is_the_prefix_and_the_route_or_the_functions_name(
    folder: Path, prefix: str, route: str | None, template: str
) -> None:
    function = read_function(folder, {"bindings": [{**HTTP, "route": route}, RETURN]}, prefix)

    assert function.http is not None
    assert function.http.route.template == template
    assert function.http.methods is None


@pytest.mark.parametrize(
    ("binding", "kind"),
    [(ORCHESTRATOR, "orchestration"), (ACTIVITY, "activity"), ({**ACTIVITY, "name": "repoID"}, "activity")],
)
def test_a_durable_function_has_no_route(folder: Path, binding: dict[str, Any], kind: str) -> None:
    function = read_function(folder, {"Bindings": [{k.upper(): v for k, v in binding.items()}]}, "api")

    assert (function.kind, function.http) == (kind, None)


UNDETERMINED = (
    "Unable to determine the primary function script. Make sure at least one script file is present. Try renaming "
    "your entry point script to 'run' or alternatively you can specify the name of the entry point script "
    "explicitly by adding a 'scriptFile' property to your function metadata."
)


@pytest.mark.parametrize(
    ("files", "script"),
    [
        (["main.py"], "main.py"),
        (["__init__.py", "util.py"], "__init__.py"),
        (["RUN.py", "util.py"], "RUN.py"),
        (["main.py", "util.py"], None),
        ([], None),
    ],
)
def test_without_a_script_file_the_only_one_or_a_well_known_name_is_taken(
    tmp_path: Path, files: list[str], script: str | None
) -> None:
    folder = tmp_path / "Alert"
    folder.mkdir()
    for name in ("function.json", *files):
        (folder / name).write_text("")

    if script:
        assert read_function(folder, {"bindings": [ACTIVITY]}, "api").script == folder / script
    else:
        with pytest.raises(InError) as error:
            read_function(folder, {"bindings": [ACTIVITY]}, "api")
        assert str(error.value) == UNDETERMINED


MISSING_SCRIPT = (
    "Invalid script file name configuration. The 'scriptFile' property is set to a file that does not exist."
)
MULTIPLE_TRIGGERS = "Multiple trigger bindings defined. A function can only have a single trigger binding."
KNOWN = "httpTrigger, orchestrationTrigger, activityTrigger, http, twilioSms, durableClient, orchestrationClient"
ONE_HUB = "The local host has one task hub: 'taskHub' and 'connectionName' of 'durableClient' are not supported."


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "At least one binding must be declared."),
        ({"bindings": []}, "At least one binding must be declared."),
        ({"bindings": {"a": 1}}, "'bindings' must be a list of objects."),
        ({"bindings": [ACTIVITY], "scriptFile": "other.py"}, MISSING_SCRIPT),
        ({"bindings": [ACTIVITY], "scriptFile": "x" * 300}, MISSING_SCRIPT),
        ({"bindings": [ACTIVITY], "scriptFile": "\0"}, MISSING_SCRIPT),
        ({"bindings": [{**ACTIVITY, "direction": "sideways"}]}, "'sideways' is not a valid binding direction."),
        (
            {"bindings": [{**ACTIVITY, "name": "a-b"}]},
            "The binding name a-b is invalid. Please assign a valid name to the binding.",
        ),
        (
            {"bindings": [{**ACTIVITY, "name": "a__b"}]},
            "The binding name a__b is invalid. Please assign a valid name to the binding.",
        ),
        (
            {"bindings": [HTTP, {**RETURN, "direction": "in"}]},
            "$return bindings must specify a direction of 'out'.",
        ),
        ({"bindings": [{"name": "a"}]}, "Binding 'a' is invalid. Bindings must specify a Type."),
        (
            {"bindings": [ACTIVITY, {**SMS, "name": "VALUE"}]},
            "Multiple bindings with name 'VALUE' discovered. Binding names must be unique.",
        ),
        ({"bindings": [ACTIVITY, HTTP]}, MULTIPLE_TRIGGERS),
        ({"bindings": [STARTER]}, "No trigger binding specified. A function must have a trigger input binding."),
        (
            {"bindings": [{**ACTIVITY, "direction": "out"}]},
            "No trigger binding specified. A function must have a trigger input binding.",
        ),
        (
            {"bindings": [{"name": "timer", "type": "timerTrigger"}]},
            f"The binding type 'timerTrigger' is not supported by the local host; it knows {KNOWN}.",
        ),
        (
            {"bindings": [ACTIVITY, {"name": "file", "type": "blob"}]},
            f"The binding type 'blob' is not supported by the local host; it knows {KNOWN}.",
        ),
        (
            {"bindings": [{**ACTIVITY, "type": "ActivityTrigger"}]},
            "Write the binding type 'ActivityTrigger' as 'activityTrigger': "
            "Azure's Python worker minds letter case.",
        ),
        (
            {"bindings": [ACTIVITY, {**SMS, "direction": "in"}]},
            "The local host supports 'twilioSms' with direction 'out' only.",
        ),
        (
            {"bindings": [HTTP, {**STARTER, "direction": "out"}]},
            "The local host supports 'durableClient' with direction 'in' only.",
        ),
        ({"bindings": [ACTIVITY, RETURN]}, "An 'http' output needs an 'httpTrigger'."),
        (
            {"bindings": [ORCHESTRATOR, SMS]},
            "An orchestrator is replayed: put the 'twilioSms' output on an activity.",
        ),
        ({"bindings": [HTTP, {**STARTER, "taskHub": "Other"}]}, ONE_HUB),
        ({"bindings": [{**HTTP, "route": 5}]}, "'route' must be a string, found 5."),
        ({"bindings": [{**HTTP, "methods": "get"}]}, "'methods' must be a list of verbs."),
        (
            {"bindings": [{**HTTP, "authLevel": "nobody"}]},
            "'authLevel' must be one of anonymous, function, admin, system, user; found 'nobody'.",
        ),
        (
            {"bindings": [{**HTTP, "route": "Administrators"}]},
            "The specified route conflicts with one or more built in routes.",
        ),
    ],
)
def test_a_wrong_function_json_keeps_the_function_from_being_listed(
    folder: Path, document: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InError) as error:
        read_function(folder, document, "api", outputs=["twilioSms"])

    assert str(error.value) == reason


@pytest.mark.parametrize("name", ["1st", "host", "a.b", "é", "x" * 129])
def test_a_folder_that_is_no_function_name_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()

    with pytest.raises(InError) as error:
        read_function(folder, {"bindings": [ACTIVITY]}, "api")

    assert str(error.value) == f"'{name}' is not a valid function name."


def test_a_bad_route_stops_the_whole_start(folder: Path) -> None:
    with pytest.raises(AppError, match="The route 'api//x' is not valid"):
        read_function(folder, {"bindings": [{**HTTP, "route": "/x"}]}, "api")


@pytest.mark.parametrize(
    ("name", "value", "is_disabled"),
    [
        ("AzureWebJobs.Alert.Disabled", "TRUE", True),
        ("AzureWebJobs_alert_disabled", "1", True),
        ("AzureWebJobs.Alert.Disabled", "false", False),
        ("AzureWebJobs.Other.Disabled", "true", False),
    ],
)
def test_a_setting_disables_a_function_and_function_json_does_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, is_disabled: bool
) -> None:
    monkeypatch.setenv(name, value)

    function = read_function(
        folder, {"bindings": [ACTIVITY], "disabled": True}, "api", disabled=disabled_functions()
    )

    assert function.is_disabled is is_disabled
