import json
from pathlib import Path

import pytest

from durable_host.errors import AppError
from durable_host.functions.triggers import read_app
from tests.host.apps import ACTIVITY, HTTP, ORCHESTRATOR, RETURN, loaded, write_function, write_host_json

MS_SAMPLE = Path("tests/fixture_apps/ms_sample")
CODE = "def main(value): pass"
HTTP_CODE = "def main(req): return 'x'"


def test_an_app_of_the_samples_shape_loads(tmp_path: Path) -> None:
    with loaded(MS_SAMPLE) as app:
        assert [f.name for f in app.functions] == [
            "E3_Monitor",
            "E3_SendAlert",
            "E3_TooManyOpenIssues",
            "HttpStart",
        ]
        assert [f.name for f in app.orchestrators] == ["E3_Monitor"]
        assert [f.name for f in app.activities] == ["E3_SendAlert", "E3_TooManyOpenIssues"]
        assert [f.load_error for f in app.functions] == [None] * 4
        assert (app.durable.hub_name, app.route_prefix) == ("SampleHubVS", "api")
        assert (app.index_errors, app.warnings) == ((), ())
        found = app.match("GET", "/api/orchestrators/E3_Monitor")
        assert found == (app.find("httpstart"), {"functionName": "E3_Monitor"})
        assert app.find("Other") is None


def test_a_function_in_error_is_not_listed_and_the_others_run(tmp_path: Path) -> None:
    write_function(tmp_path, "Bad", CODE)
    write_function(tmp_path, "Timer", CODE, {"name": "timer", "type": "timerTrigger"})
    write_function(tmp_path, "good", CODE, ACTIVITY)
    (tmp_path / "no_function").mkdir()

    with loaded(tmp_path) as app:
        assert [f.name for f in app.functions] == ["good"]
        (bad, reason), (timer, why) = app.index_errors
        assert (bad, reason) == ("Bad", "At least one binding must be declared.")
        assert timer == "Timer"
        assert why.startswith("The binding type 'timerTrigger' is not supported by the local host")


def test_code_that_cannot_be_loaded_is_listed_and_routed(tmp_path: Path) -> None:
    write_function(tmp_path, "Broken", "1/0", HTTP, RETURN)

    with loaded(tmp_path) as app:
        found = app.match("GET", "/api/Broken")

    assert found is not None
    assert str(found[0].load_error) == "ZeroDivisionError: division by zero"


def test_functions_are_in_name_order_whatever_their_case_and_the_first_route_that_fits_wins(
    tmp_path: Path,
) -> None:
    write_function(tmp_path, "b", HTTP_CODE, {**HTTP, "route": "z/{a}", "methods": ["get"]}, RETURN)
    write_function(tmp_path, "C", HTTP_CODE, {**HTTP, "route": "z/lit"}, RETURN)
    write_function(tmp_path, "A", CODE, ACTIVITY)

    with loaded(tmp_path) as app:
        by_verb = {verb: app.match(verb, "/api/z/lit") for verb in ("GET", "get", "POST")}

    assert [f.name for f in app.functions] == ["A", "b", "C"]
    assert {verb: found and found[0].name for verb, found in by_verb.items()} == {
        "GET": "b",
        "get": "b",
        "POST": "C",
    }
    assert app.match("GET", "/api/nowhere") is None


def test_one_route_for_overlapping_verbs_is_an_error_of_the_later_function(tmp_path: Path) -> None:
    for name, methods in (("A", ["get", "post"]), ("B", ["POST"]), ("C", ["put"]), ("D", None)):
        write_function(tmp_path, name, HTTP_CODE, {**HTTP, "route": "same", "methods": methods}, RETURN)

    with loaded(tmp_path) as app:
        assert [f.name for f in app.functions] == ["A", "C"]
        assert app.index_errors == (
            ("B", "The route specified conflicts with the route defined by function 'A'."),
            ("D", "The route specified conflicts with the route defined by function 'A'."),
        )


def test_a_disabled_function_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_function(tmp_path, "Activity", CODE, ACTIVITY)
    write_function(tmp_path, "Anonymous", HTTP_CODE, HTTP, RETURN)
    write_function(tmp_path, "Keyed", HTTP_CODE, {**HTTP, "authLevel": "function"}, RETURN)
    for name in ("Activity", "Anonymous", "Keyed"):
        monkeypatch.setenv(f"AzureWebJobs_{name}_Disabled", "1")

    with loaded(tmp_path) as app:
        assert app.activities == ()
        assert app.match("GET", "/api/Anonymous") is None
        # A caller on this machine counts as an admin, who may.
        assert app.match("GET", "/api/Keyed") is not None


def test_the_allow_list_leaves_the_other_functions_out(tmp_path: Path) -> None:
    write_host_json(tmp_path, functions=["one"])
    write_function(tmp_path, "One", CODE, ACTIVITY)
    write_function(tmp_path, "Two", CODE)

    with loaded(tmp_path) as app:
        assert [f.name for f in app.functions] == ["One"]
        assert app.index_errors == ()
        assert app.warnings == (
            "A function allow list has been specified, excluding all but the following functions: [One]",
        )


def test_what_works_here_and_not_on_azure_is_warned_of(tmp_path: Path) -> None:
    write_host_json(tmp_path, extensionBundle=None)
    write_function(tmp_path, "F", "def main(a_value): pass", {**ACTIVITY, "name": "a_value"}, disabled=True)

    with loaded(tmp_path) as app:
        assert app.warnings == (
            "host.json has no extensionBundle: on Azure, bindings other than HTTP need one.",
            "F: Azure's host before 4.1038 refuses the underscore in binding name 'a_value'.",
            "F: 'disabled' in function.json does nothing; set AzureWebJobs.F.Disabled=true.",
        )


def test_a_broken_function_json_stops_the_start(tmp_path: Path) -> None:
    folder = write_function(tmp_path, "F", CODE, ACTIVITY)
    (folder / "function.json").write_text('{\n  "bindings": [}\n}')

    with pytest.raises(AppError) as error:
        read_app(tmp_path)

    assert str(error.value) == f"{folder}/function.json: Line 2, column 16: Expecting value."


def test_an_app_of_the_v2_model_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("")

    with pytest.raises(AppError, match=r"function_app\.py: apps of the v2 model \(decorators\) are not supported"):
        read_app(tmp_path)


def test_without_functions_each_folder_is_named_with_its_reason(tmp_path: Path) -> None:
    write_host_json(tmp_path, functions=["Empty", "Docs"])
    write_function(tmp_path, "Empty", CODE)
    write_function(tmp_path, "Left", CODE, ACTIVITY)
    for name in ("Docs", ".venv", "__pycache__"):
        (tmp_path / name).mkdir()

    with pytest.raises(AppError) as error:
        read_app(tmp_path)

    assert str(error.value) == (
        f"No functions found in {tmp_path}. Looked into: Docs (no function.json), "
        "Empty (At least one binding must be declared.), Left (not in the allow list)."
    )


def test_an_empty_folder_and_a_missing_one_are_no_apps(tmp_path: Path) -> None:
    with pytest.raises(AppError, match=f"^No functions found in {tmp_path}. Looked into: no folder is there.$"):
        read_app(tmp_path)
    with pytest.raises(AppError, match=r"/nowhere is not a folder. Name the one that holds host\.json"):
        read_app(tmp_path / "nowhere")


def test_functions_of_another_language_are_no_app(tmp_path: Path) -> None:
    folder = tmp_path / "F"
    folder.mkdir()
    (folder / "index.js").write_text("")
    (folder / "function.json").write_text(json.dumps({"bindings": [ORCHESTRATOR]}))

    with pytest.raises(AppError, match=r"^Did not find functions with language \[python\]"):
        read_app(tmp_path)
