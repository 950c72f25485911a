from pathlib import Path
from typing import Any

import pytest

from durable_host.errors import AppError
from durable_host.functions.host_json import read_host_json
from tests.host.apps import write_host_json


@pytest.fixture(autouse=True)
def no_site_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSITE_SITE_NAME", raising=False)


def durable(root: Path, **settings: Any) -> None:
    write_host_json(root, extensions={"DurableTask": settings})


def test_without_a_file_or_with_an_empty_one_the_defaults_apply(tmp_path: Path) -> None:
    absent = read_host_json(tmp_path)
    (tmp_path / "host.json").write_text("{}")

    assert read_host_json(tmp_path) == absent
    assert (absent.route_prefix, absent.durable.hub_name, absent.only, absent.has_bundle) == (
        "api",
        "TestHubName",
        None,
        True,
    )
    assert not (tmp_path / "host.json").read_text().strip("{}")


def test_what_this_host_honours_is_read_in_any_letter_case(tmp_path: Path) -> None:
    write_host_json(
        tmp_path,
        Extensions={
            "HTTP": {"RoutePrefix": ""},
            "durabletask": {"HubName": "SampleHubVS", "maxConcurrentActivityFunctions": 3},
            "twilio": {"from": "+1555"},
        },
        functions=["A", "b"],
    )

    host = read_host_json(tmp_path)

    assert (host.route_prefix, host.durable.hub_name, host.durable.max_activities) == ("", "SampleHubVS", 3)
    assert (host.extensions["twilio"], host.only) == ({"from": "+1555"}, ("a", "b"))


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable(tmp_path, hubName="FromFile")
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__durableTask__hubName", "FromEnvironment")
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__http__routePrefix", "v2")
    monkeypatch.setenv("AzureFunctionsJobHost__functions__0", "A")

    host = read_host_json(tmp_path)

    assert (host.durable.hub_name, host.route_prefix, host.only) == ("FromEnvironment", "v2", ("a",))


def test_a_hub_name_may_be_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable(tmp_path, hubName="%HUB%")
    with pytest.raises(AppError, match=r"hubName: '%HUB%' does not resolve to a value\."):
        read_host_json(tmp_path)

    monkeypatch.setenv("HUB", "Mine")

    assert read_host_json(tmp_path).durable.hub_name == "Mine"


@pytest.mark.parametrize("name", ["ab", "1abc", "with-dash", "a" * 46, "x%HUB%"])
def test_a_bad_hub_name_stops_the_start(tmp_path: Path, name: str) -> None:
    durable(tmp_path, hubName=name)

    with pytest.raises(AppError) as error:
        read_host_json(tmp_path)

    assert str(error.value) == (
        f"Task hub name '{name}' should contain only alphanumeric characters, start with a letter, "
        "and have length between 3 and 45."
    )


@pytest.mark.parametrize(
    ("site", "hub"),
    [("my-site", "mysite"), ("1st", "t1st"), ("a-", "aHub"), ("x" * 60, "x" * 45), ("--", "TestHubName")],
)
def test_a_site_name_gives_the_hub_its_default_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str, hub: str
) -> None:
    monkeypatch.setenv("WEBSITE_SITE_NAME", site)

    assert read_host_json(tmp_path).durable.hub_name == hub


MISSING = (
    "The host.json file is missing the required 'version' property. "
    "See https://aka.ms/functions-hostjson for steps to migrate the configuration file."
)
INVALID = (
    "'{}' is an invalid value for host.json 'version' property. "
    "We recommend you set the 'version' property to '2.0'. "
    "{}See https://aka.ms/functions-hostjson for more information on this configuration file."
)
NOT_RUNTIME = (
    "This does not correspond to the function runtime version, only to the schema version of the host.json file. "
)


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (None, MISSING),
        ("", MISSING),
        ("1.0", INVALID.format("1.0", "")),
        (2.0, INVALID.format("2", "")),
        ("3.0", INVALID.format("3.0", NOT_RUNTIME)),
    ],
)
def test_a_bad_version_stops_the_start_in_the_hosts_words(tmp_path: Path, version: Any, text: str) -> None:
    write_host_json(tmp_path, version=version)

    with pytest.raises(AppError) as error:
        read_host_json(tmp_path)

    assert str(error.value) == text


def test_a_broken_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"\n')

    with pytest.raises(AppError) as error:
        read_host_json(tmp_path)

    assert str(error.value) == (
        f"Unable to parse host configuration file '{tmp_path}/host.json'. "
        "Line 2, column 1: Expecting ',' delimiter."
    )


@pytest.mark.parametrize("option", ["maxConcurrentActivityFunctions", "maxConcurrentOrchestratorFunctions"])
@pytest.mark.parametrize("count", [0, -1, "many", 1.5])
def test_the_number_of_functions_at_once_is_a_whole_number_above_zero(
    tmp_path: Path, option: str, count: Any
) -> None:
    durable(tmp_path, **{option: count})

    with pytest.raises(AppError, match=f"'{option}' must be a whole number of 1 or more, found"):
        read_host_json(tmp_path)


def test_the_durable_options_that_this_host_goes_by_are_read(tmp_path: Path) -> None:
    durable(
        tmp_path,
        overridableExistingInstanceStates="anyState",
        useAppLease=False,
        defaultVersion="1.0",
        maxOrchestrationActions=5,
        maxConcurrentOrchestratorFunctions=7,
        storeInputsInOrchestrationHistory=True,
        httpSettings={"defaultAsyncRequestSleepTimeMilliseconds": 2000},
        someUnknownOption=5,
    )

    options = read_host_json(tmp_path).durable

    assert (options.replaces_live, options.has_lease) == (True, False)
    assert (options.default_version, options.http_sleep_ms) == ("1.0", 2000)
    assert (options.max_actions, options.store_inputs, options.max_episodes) == (5, True, 7)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("extendedSessionsEnabled", True, "extendedSessionsEnabled is for .NET apps"),
        ("overridableExistingInstanceStates", "Bogus", "must be NonRunningStates or AnyState, found 'Bogus'"),
        ("useAppLease", "perhaps", "'useAppLease' must be true or false, found 'perhaps'"),
    ],
)
def test_an_option_that_stops_azures_host_stops_the_start(
    tmp_path: Path, option: str, value: Any, problem: str
) -> None:
    durable(tmp_path, **{option: value})

    with pytest.raises(AppError, match=problem):
        read_host_json(tmp_path)


def test_no_actions_at_all_means_the_default(tmp_path: Path) -> None:
    durable(tmp_path, maxOrchestrationActions=0)

    assert read_host_json(tmp_path).durable.max_actions == 100_000


def test_the_allow_list_is_a_list_of_names(tmp_path: Path) -> None:
    write_host_json(tmp_path, functions="A")

    with pytest.raises(AppError, match="'functions' must be a list of function names"):
        read_host_json(tmp_path)


def test_an_old_bundle_is_warned_of(tmp_path: Path) -> None:
    write_host_json(tmp_path, extensionBundle={"id": "x", "version": "[3.*, 4.0.0)"})

    assert read_host_json(tmp_path).warnings == (
        "host.json: extension bundle [3.*, 4.0.0) is out of support; write [4.*, 5.0.0).",
    )
