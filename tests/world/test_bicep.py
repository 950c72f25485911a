"""What can be told of `infra/` without a Bicep compiler: grammar, names, secrets, and what the docs say of it."""

import json
import re
from typing import Any

import pytest
from pycep import BicepParser

from tests.conftest import ROOT

FILES = ("main.bicep", "app.bicep")
SECRETS = ["twilioAccountSid", "twilioAuthToken", "twilioPhoneNumber", "githubToken"]
WORDS = {
    *("targetScope", "param", "var", "resource", "module", "output", "for", "in", "true", "false"),
    *("string", "int", "object", "array", "bool"),
}
FUNCTIONS = {"guid", "subscription", "subscriptionResourceId", "toLower", "union", "uniqueString"}


def _text(name: str) -> str:
    return (ROOT / "infra" / name).read_text()


def _parsed(name: str) -> dict[str, Any]:
    return dict(BicepParser().parse(text=_text(name)))


def _table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading of docs/azure.md, without its head."""
    section = (ROOT / "docs" / "azure.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:1] == "|"
    ]
    return rows[2:]


def _decorators(parameter: dict[str, Any]) -> dict[str, Any]:
    return {decorator["type"]: decorator.get("argument") for decorator in parameter["decorators"]}


@pytest.mark.parametrize("name", FILES)
def test_every_name_that_is_used_is_declared(name: str) -> None:
    code = re.sub(r"//.*|@description\('.*'\)", "", _text(name))
    literals = re.findall(r"'[^']*'", code)
    expressions = [found for literal in literals for found in re.findall(r"\$\{([^}]*)\}", literal)]
    code = "\n".join([re.sub(r"'[^']*'", "''", code), *expressions])
    used = set(re.findall(r"(?<![@.:\w])[A-Za-z]\w*(?!\w|\s*:(?!:))", re.sub(r"@\w+", "", code)))
    declared = set(
        re.findall(r"^\s*(?:param|var|resource|module|output) (\w+)|\bfor (\w+) in", code, re.MULTILINE)
    )

    assert used - WORDS - FUNCTIONS == {name for pair in declared for name in pair if name}


def test_main_hands_every_parameter_on() -> None:
    given = _parsed("main.bicep")["modules"]["app"]["config"]["params"]

    assert given.keys() == _parsed("app.bicep")["parameters"].keys()
    assert all(given[name] == name for name in given if name != "token")


def test_secrets_are_secure_parameters_all_the_way() -> None:
    for file in FILES:
        parameters = _parsed(file)["parameters"]

        assert [name for name, each in parameters.items() if "secure" in _decorators(each)] == SECRETS


def test_storage_and_telemetry_take_no_keys() -> None:
    resources = _parsed("app.bicep")["resources"]

    assert resources["storage"]["config"]["properties"]["allowSharedKeyAccess"] is False
    assert resources["insights"]["config"]["properties"]["DisableLocalAuth"] is True
    assert not re.search(r"listKeys|AccountKey|SharedAccessKey|sharedKey", _text("app.bicep"))


def test_every_setting_that_the_app_reads_is_set() -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    settings = _parsed("app.bicep")["resources"]["functionApp__settings"]["config"]["properties"]
    # Storage goes by identity, Flex Consumption knows the runtime, and the sandbox is not there.
    local_only = {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME", "GITHUB_API_URL", "TWILIO_API_URL"}

    assert set(example) - local_only <= settings.keys()


def test_every_parameter_is_in_the_parameters_file_and_in_the_docs() -> None:
    parameters = _parsed("main.bicep")["parameters"]
    file = json.loads(_text("main.parameters.json"))["parameters"]
    documented = []
    for name in parameters:
        decorators, default = _decorators(parameters[name]), parameters[name]["default"]
        variable, _, file_default = file[name]["value"].strip("${}").partition("=")
        default_text = {None: "asked for", "": "empty"}.get(default, str(default))
        secret = ", secret" if "secure" in decorators else ""
        documented.append([f"`{name}`", f"`{variable}`", default_text + secret, decorators["description"]])

        assert file_default in ("", default_text)

    assert file.keys() == parameters.keys()
    assert _table("Parameters") == documented


def test_every_type_of_resource_is_in_the_docs() -> None:
    types = [each["type"] for file in FILES for each in _parsed(file)["resources"].values()]
    documented = {name for row in _table("Resources") for name in re.findall("`([^`]+)`", row[1])}

    assert documented == set(types)


def test_the_tag_and_the_output_are_what_azd_looks_for() -> None:
    azure_yaml = (ROOT / "azure.yaml").read_text()

    service = re.search(
        r"services:\n  (\w+):\n    project: \.\n    language: python\n    host: function\n", azure_yaml
    )

    assert service is not None
    assert f"'azd-service-name': '{service[1]}'" in _text("app.bicep")
    assert "'azd-env-name': environmentName" in _text("main.bicep")
