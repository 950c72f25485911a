import json
import os
from pathlib import Path
from typing import Any

import pytest

from durable_host.errors import AppError
from durable_host.functions.settings import environment, read_settings, resolve, setting


@pytest.fixture(autouse=True)
def no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FUNCTIONS_WORKER_RUNTIME", raising=False)


def write(root: Path, **parts: Any) -> None:
    (root / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, **parts}))


def test_values_are_in_the_environment_while_the_app_runs_and_gone_after(tmp_path: Path) -> None:
    write(tmp_path, Values={"Text": "a", "Empty": "", "Truth": True, "Number": 1, "Fraction": 1.5})
    before = dict(os.environ)

    with environment(tmp_path, read_settings(tmp_path), 7071):
        values = [os.environ[name] for name in ("Text", "Empty", "Truth", "Number", "Fraction")]
        os.environ["MADE_BY_THE_APP"] = "x"
        os.environ["HOME"] = "changed by the app"

    assert values == ["a", "", "True", "1", "1.5"]
    assert dict(os.environ) == before


def test_the_app_finds_what_func_start_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_ENVIRONMENT", "Production")

    with environment(tmp_path, read_settings(tmp_path), 7072):
        assert os.environ["WEBSITE_HOSTNAME"] == "localhost:7072"
        assert setting("AzureWebJobsScriptRoot") == str(tmp_path)
        assert os.environ["AZURE_FUNCTIONS_ENVIRONMENT"] == "Development"
        assert os.environ["FUNCTIONS_WORKER_RUNTIME"] == "python"

    assert os.environ["AZURE_FUNCTIONS_ENVIRONMENT"] == "Production"


def test_the_real_environment_wins_unless_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Taken", "real")
    monkeypatch.setenv("Blank", "")
    write(tmp_path, Values={"Taken": "file", "Blank": "file", "Nothing": None, "": "x"})

    settings = read_settings(tmp_path)

    assert settings.values == {"Blank": "file"}
    assert settings.warnings == (
        "Skipping 'Taken' from local settings as it's already defined in current environment variables.",
        "Skipping 'Nothing' because value is null",
        "Skipping local setting with empty key.",
    )


def test_connection_strings_have_both_shapes(tmp_path: Path) -> None:
    write(tmp_path, ConnectionStrings={"A": "one", "B": {"ConnectionString": "two", "ProviderName": "x"}})

    assert read_settings(tmp_path).values == {"ConnectionStrings:A": "one", "ConnectionStrings:B": "two"}


def test_the_host_part_says_where_to_listen(tmp_path: Path) -> None:
    write(tmp_path, Host={"LocalHttpPort": 7080, "LocalHttpAddress": "0.0.0.0", "CORS": "*"})

    settings = read_settings(tmp_path)

    assert (settings.http_port, settings.http_address) == (7080, "0.0.0.0")
    assert settings.warnings == ("Host.CORS in local.settings.json is ignored: this host allows no other origin.",)


def test_without_the_file_there_are_no_settings(tmp_path: Path) -> None:
    assert read_settings(tmp_path).values == {}


def test_a_broken_file_stops_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": false\n "Values": {}}')

    with pytest.raises(AppError) as error:
        read_settings(tmp_path)

    assert str(error.value) == (
        f"Failed to read app settings file at '{tmp_path}/local.settings.json'. Ensure it is a valid JSON file. "
        "Line 2, column 2: Expecting ',' delimiter."
    )


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"Values": {"A": {"B": 1}}}, "The value of 'A' must be a string, a number or a boolean"),
        ({"Values": ["A"]}, "'Values' must be an object"),
        ({"Values": {"A=B": "x"}}, "'A=B' cannot be an environment variable"),
        ({"Values": {"A": "x\0"}}, "'A' cannot be an environment variable"),
        ({"Values": {"A": "\ud800"}}, "'A' cannot be an environment variable"),
        ({"Host": {"LocalHttpPort": "http"}}, "Host.LocalHttpPort must be a port number, found 'http'"),
        ({"Host": {"LocalHttpPort": 70000}}, "Host.LocalHttpPort must be a port number, found 70000"),
        ({"Host": {"LocalHttpAddress": 5}}, "Host.LocalHttpAddress must be a string, found 5"),
        ({"IsEncrypted": True}, "is encrypted"),
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, parts: dict[str, Any], problem: str) -> None:
    write(tmp_path, **parts)

    with pytest.raises(AppError, match=problem):
        read_settings(tmp_path)


def test_a_file_that_does_not_say_whether_it_is_encrypted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text('{"Values": {"A": "x"}}')

    with pytest.raises(AppError, match='lacks "IsEncrypted": false'):
        read_settings(tmp_path)


def test_another_language_than_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, Values={"FUNCTIONS_WORKER_RUNTIME": "node"})
    with pytest.raises(AppError, match="FUNCTIONS_WORKER_RUNTIME is 'node', but this host runs Python only"):
        read_settings(tmp_path)

    monkeypatch.setenv("FUNCTIONS_WORKER_RUNTIME", "Python")

    assert read_settings(tmp_path).values == {}


def test_settings_are_looked_up_as_dotnet_configuration_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Outer__Inner", "value")

    assert setting("outer:INNER") == "value"
    assert setting("Outer:Other") is None


def test_setting_names_between_percent_signs_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Number", "+1555")
    monkeypatch.setenv("Blank", "")

    assert resolve("call %Number% or %number%") == "call +1555 or +1555"
    with pytest.raises(AppError, match=r"^'%Absent%' does not resolve to a value\.$"):
        resolve("%Absent%")
    with pytest.raises(AppError, match=r"^'%Blank%' does not resolve to a value\.$"):
        resolve("%Blank%")
    with pytest.raises(AppError, match=r"^The '%' at position 4 does not have a closing '%'$"):
        resolve("100 % sure")
