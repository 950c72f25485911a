"""Fuzzing the loader: whatever its JSON files say, an app is refused in one line, or works."""

import itertools
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_host.console import functions_text, sample_calls
from durable_host.errors import AppError, one_line
from durable_host.functions.function_json import InError, read_function
from durable_host.functions.routes import compile_route
from durable_host.functions.settings import environment, read_settings
from durable_host.functions.triggers import FunctionApp
from durable_host.values import read_object
from durable_host.worker.entry_points import FunctionLoadError, fit
from tests.conftest import rounds
from tests.host.apps import ACTIVITY, HTTP, RETURN, loaded, write_function
from tests.hostile.conftest import Count
from tests.hostile.odd_apps import (
    ENCODINGS,
    HOST_JSON,
    KINDS,
    RAW,
    ROUTES,
    Change,
    apps,
    changed,
    changes,
    raw_changes,
    text_of,
)
from tests.processes import mains, running

PATHS = ["/", "/x", "/x/1", "/X/%31/", "/a/b/c", "//", "/%00/%ff", "/%2f", "/{a}", "/" + "9" * 30, "/a" * 50]


def many(number: int) -> settings:
    return settings(max_examples=number, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def is_a_line(text: str) -> bool:
    return text != "" and text.replace("\t", " ").isprintable()


@rounds(200, soak=2_000)
def test_any_function_json_is_refused_in_a_line_or_fits_its_code_or_not(
    rounds: int, tmp_path: Path, count: Count
) -> None:
    seen = Counter[str]()
    folders = [write_function(tmp_path, f"F{number}", code) for number, (_, code) in enumerate(KINDS)]
    mains: list[dict[str, Any]] = [{} for _ in KINDS]
    for (_, code), names in zip(KINDS, mains, strict=True):
        exec(code, names)

    @many(rounds)
    @given(*[st.integers(0, 2)] * 2, st.lists(changes, min_size=1, max_size=3), st.sampled_from(["", "api"]))
    def read(kind: int, code: int, chosen: list[Change], prefix: str) -> None:
        document = changed({"scriptFile": "__init__.py", "bindings": KINDS[kind][0]}, *chosen)
        said, result = None, "fits"
        try:
            function = read_function(folders[kind], document, prefix)
            fit(function.name, mains[code]["main"], {b.name: (b.type, b.direction) for b in function.bindings})
        except (InError, AppError) as error:
            said, result = one_line(str(error)), "refused"
        except FunctionLoadError:
            result = "does not fit"
        assert said is None or is_a_line(said)
        seen[result] += 1

    read()

    assert min(seen[each] for each in ("refused", "does not fit", "fits")) > rounds / 50, seen
    count(seen.total())


@rounds(150, soak=1_000)
def test_any_route_is_refused_in_a_line_or_matches_or_not(rounds: int, count: Count) -> None:
    seen = Counter[str]()

    @many(rounds)
    @given(st.sampled_from(ROUTES) | st.text("{}[]:/()?*=,.a1^$\\%~|+-<>P'\" \n", max_size=30) | st.text())
    def compile_and_match(template: str) -> None:
        said, result = None, ""
        try:
            route = compile_route(template)
            result = "matches" if any(route.match(path) is not None for path in PATHS) else "does not match"
        except AppError as error:
            said, result = str(error), "refused"
        assert said is None or is_a_line(said)
        seen[result] += 1

    compile_and_match()

    assert min(seen[each] for each in ("refused", "matches", "does not match")) > rounds / 100, seen
    count(seen.total())


@rounds(100, soak=1_000)
def test_any_file_is_read_or_refused_in_a_line(rounds: int, tmp_path: Path, count: Count) -> None:
    seen, file = Counter[str](), tmp_path / "host.json"

    @many(rounds)
    @given(
        (raw_changes | changes).map(lambda change: text_of(changed(HOST_JSON, change)))
        | st.text('{}[]",:/*\\ \n1ea\ufeff\u2028', max_size=20),
        st.sampled_from(ENCODINGS),
    )
    def read(text: str, encode: Callable[[str], bytes]) -> None:
        file.write_bytes(encode(text))
        said = None
        try:
            read_object(file, "It cannot be read.")
        except AppError as error:
            said = str(error)
        assert said is None or (is_a_line(said) and re.match(r"It cannot be read\. (Line \d|It |Expected )", said))
        seen["read" if said is None else "refused"] += 1

    read()

    assert min(seen["read"], seen["refused"]) > rounds / 10, seen
    count(seen.total())


def outcome(app: FunctionApp) -> str:
    """What came of an app, in a word."""
    # It is all printed, to a terminal that takes UTF-8.
    "\n".join([functions_text(app, "http://localhost", True), *sample_calls(app, "http://localhost")]).encode()
    assert all(is_a_line(reason) for _, reason in app.index_errors)
    for path in PATHS:
        app.match("GET", path)
    good = app.find("Good")
    assert good is None or good.load_error is None
    return "in part" if app.index_errors or any(function.load_error for function in app.functions) else "whole"


@rounds(60, soak=500)
def test_any_app_is_refused_in_a_line_or_what_is_right_in_it_works(
    rounds: int, tmp_path: Path, app_settings: None, count: Count
) -> None:
    seen, numbers = Counter[str](), itertools.count()

    @many(rounds)
    @given(apps())
    def load(files: dict[str, bytes]) -> None:
        root = tmp_path / str(next(numbers))  # Python keeps what it has compiled of a file, by its path.
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        said = None
        try:
            with environment(root, read_settings(root), 7071), loaded(root) as app:
                result = outcome(app)
        except AppError as error:
            said, result = str(error), "refused"
        assert said is None or is_a_line(said)
        seen[result] += 1

    load()

    assert min(seen[each] for each in ("refused", "in part", "whole")) > rounds / 25, seen
    count(seen.total())


# The findings, through the command line.
ODD_FILES = [
    *(("host.json", text) for text in (RAW["@deep"], f'{{"version": {RAW["@digits"]}}}')),
    ("host.json", '{"version": "2.0\\r\\nTraceback"}'),
    ("host.json", '{"version": "2.0", "extensions": {"durableTask": {"hubName": "\\ud800\\u001b[2J"}}}'),
    ("local.settings.json", '{"IsEncrypted": false, "Host": {"LocalHttpAddress": 5}}'),
    ("local.settings.json", '{"IsEncrypted": false, "Host": {"LocalHttpAddress": "\\u0000"}}'),
    ("local.settings.json", '{"IsEncrypted": false, "Values": {"a": "\\ud800"}}'),
    *(
        ("A/function.json", text_of({"bindings": [{**HTTP, "route": route}, RETURN]}))
        for route in ("{n" + ":a(b)" * 40 + "(}", "{a:regex(a{{99999999999}})}")
    ),
]


async def test_the_command_line_says_it_in_one_line(tmp_path: Path, count: Count) -> None:
    for number, (name, text) in enumerate(ODD_FILES):
        write_function(tmp_path / str(number), "A", "def main(value): ...", ACTIVITY)
        (tmp_path / str(number) / name).write_text(text)

    ended = await mains(
        *(("--port", "0", "--script-root", tmp_path / str(number)) for number in range(len(ODD_FILES)))
    )

    for code, printed, errors in ended:
        assert (code, printed) == (1, "")
        assert re.fullmatch("durable_host: [^\n]+\n", errors), errors
        assert is_a_line(errors[:-1])
    count(len(ended))


async def test_what_is_odd_in_one_function_is_printed_and_the_others_run(tmp_path: Path, count: Count) -> None:
    write_function(tmp_path, "Good", "def main(req): return 'good'", HTTP, RETURN)
    write_function(tmp_path, "a\udcff\nb", "", ACTIVITY)
    write_function(tmp_path, "B", "", {**ACTIVITY, "type": "\ud800\n\x1b[2JTrigger"})
    write_function(tmp_path, "C", "", ACTIVITY, scriptFile="x" * 300)
    write_function(tmp_path, "D", "def main(req): ...", {**HTTP, "route": "\ud800\x1b"}, RETURN)
    write_function(tmp_path, "E", "def main(req): ...", {**HTTP, "route": "{a:regex([[a])}"}, RETURN)
    (tmp_path / "Good" / "sample.dat").write_bytes(b"\xff")

    async with (
        running("--script-root", tmp_path) as host,
        ClientSession(host.url) as client,
        client.get("/api/Good") as answer,
    ):
        assert await answer.text() == "good"

    assert r"The 'a\udcff\nb' function is in error: 'a\udcff\nb' is not a valid function name." in host.printed
    assert (
        r"The 'B' function is in error: The binding type '\ud800\n\x1b[2JTrigger' is not supported" in host.printed
    )
    assert "The 'C' function is in error: Invalid script file name configuration." in host.printed
    assert rf"D:  {host.url}/api/\ud800\x1b" in host.printed
    assert "Traceback" not in host.printed
    assert "Warning" not in host.printed
    count(5)
