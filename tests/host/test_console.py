import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_host.console import Console, functions_text, sample_calls
from tests.conftest import APPS
from tests.host.apps import ACTIVITY, HTTP, ORCHESTRATOR, RETURN, loaded, write_function

URL = "http://localhost:7071"
TIME = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\]"
CODE = "def main(value): pass"
log = logging.getLogger("tests.console")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the logs are shown on; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {
        name: logging.getLogger(name).level
        for name in ("asyncio", "aiohttp", "azure", "urllib3", "twilio", "opentelemetry")
    }
    root.handlers.clear()
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


# Logs.


def test_each_line_of_a_message_has_its_own_time_in_utc(stream: io.StringIO) -> None:
    console = Console(stream, False)

    log.info("one\n  two %s", "ü")
    log.warning("")
    console.close()

    lines = stream.getvalue().splitlines()
    assert [re.fullmatch(f"{TIME} (.*)", line)[1] for line in lines] == ["one", "  two ü", ""]  # type: ignore[index]


def test_an_exception_is_shown_with_its_traceback(stream: io.StringIO) -> None:
    console = Console(stream, False)

    try:
        raise LookupError("nobody")
    except LookupError:
        log.exception("It failed.")
    console.close()

    lines = stream.getvalue().splitlines()
    assert all(re.match(TIME, line) for line in lines)
    assert lines[0].endswith(" It failed.")
    assert lines[1].endswith(" Traceback (most recent call last):")
    assert lines[-1].endswith(" LookupError: nobody")


@pytest.mark.parametrize(("verbose", "shown"), [(False, ["info"]), (True, ["debug", "info"])])
def test_details_are_shown_when_asked_for(stream: io.StringIO, verbose: bool, shown: list[str]) -> None:
    console = Console(stream, verbose)

    log.debug("debug")
    log.info("info")
    console.close()

    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == shown


@pytest.mark.parametrize("library", ["asyncio", "aiohttp.access"])
def test_libraries_that_tell_of_each_request_are_quiet_but_for_warnings(stream: io.StringIO, library: str) -> None:
    # Their lines hold URLs with account ids, numbers and tokens.
    console = Console(stream, True)

    logging.getLogger(library).info("POST /2010-04-01/Accounts/AC123/Messages.json")
    logging.getLogger(library).warning("careful")
    console.close()

    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["careful"]


@pytest.mark.usefixtures("stream")
def test_a_terminal_gets_colours_by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    console = Console(terminal, False)

    for level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "said")
    console.close()

    lines = terminal.getvalue().splitlines()
    assert [re.sub(f"{TIME}", "TIME", line) for line in lines] == [
        f"\033[90mTIME\033[0m \033[{colour}msaid\033[0m" for colour in (36, 33, 31, 31)
    ]


@pytest.mark.usefixtures("stream")
def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()

    console = Console(terminal, False)
    log.error("said")
    console.close()

    assert "\033" not in terminal.getvalue()


# Functions.


def test_functions_are_listed_as_func_start_does() -> None:
    with loaded(APPS / "ms_sample") as app:
        text = functions_text(app, URL, verbose=False)

    assert text == (
        "\nFunctions:\n\n"
        "\tHttpStart: [POST,GET] http://localhost:7071/api/orchestrators/{functionName}\n\n"
        "\tE3_Monitor: orchestrationTrigger\n\n"
        "\tE3_SendAlert: activityTrigger\n\n"
        "\tE3_TooManyOpenIssues: activityTrigger\n\n"
        "For detailed output, run with --verbose."
    )


def test_a_function_for_every_verb_lists_none(tmp_path: Path) -> None:
    write_function(tmp_path, "Any", "def main(req): return 'x'", HTTP, RETURN)

    with loaded(tmp_path) as app:
        assert f"\tAny:  {URL}/api/Any\n" in functions_text(app, URL, verbose=True)


def test_what_is_wrong_with_functions_stands_at_the_end_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_function(tmp_path, "Bare", CODE)
    write_function(tmp_path, "Broken", "import no_such_module", ACTIVITY)
    write_function(tmp_path, "Off", CODE, ACTIVITY)
    write_function(tmp_path, "Old", CODE, ACTIVITY, disabled=True)
    monkeypatch.setenv("AzureWebJobs_Off_Disabled", "true")

    with loaded(tmp_path) as app:
        text = functions_text(app, URL, verbose=True)

    head, tail = text.split("Function Off is disabled.\n")
    assert "Bare" not in head
    said = tail.splitlines()
    assert said[0] == "The 'Bare' function is in error: At least one binding must be declared."
    assert said[1] == "Worker failed to load function: 'Broken'."
    assert said[2].startswith("\tModuleNotFoundError: No module named 'no_such_module'. Cannot find module.")
    assert f'\t  File "{tmp_path}/Broken/__init__.py", line 1, in <module>' in said
    assert said[-1].startswith("Old: 'disabled' in function.json does nothing")


# Calls to try.


def sample(folder: Path, body: str) -> None:
    (folder / "sample.dat").write_text(body)


def test_a_function_with_a_sample_has_a_command_to_try(tmp_path: Path) -> None:
    starter = {**HTTP, "route": "orchestrators/{functionName}/{instanceId?}"}
    sample(write_function(tmp_path, "Start", CODE.replace("value", "req"), starter, RETURN), '{"a": "it\'s"}\n')
    write_function(tmp_path, "Main", CODE.replace("value", "context"), ORCHESTRATOR)

    with loaded(tmp_path) as app:
        calls = sample_calls(app, URL)

    assert calls == [f"""curl -X POST {URL}/api/orchestrators/Main -d '{{"a": "it'\\''s"}}'"""]


def test_without_a_sample_or_with_parameters_left_there_is_no_command(tmp_path: Path) -> None:
    http = CODE.replace("value", "req")
    sample(write_function(tmp_path, "Open", http, {**HTTP, "route": "open/{id}"}, RETURN), "{}")
    sample(write_function(tmp_path, "Start", http, {**HTTP, "route": "start/{functionName}"}, RETURN), "{}")
    sample(write_function(tmp_path, "Activity", CODE, ACTIVITY), "{}")
    write_function(tmp_path, "None", http, HTTP, RETURN)
    for name in ("One", "Two"):
        write_function(tmp_path, name, CODE.replace("value", "context"), ORCHESTRATOR)

    with loaded(tmp_path) as app:
        assert sample_calls(app, URL) == []
