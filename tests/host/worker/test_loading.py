import importlib
import logging
import re
import sys
from pathlib import Path

import pytest

from durable_host.errors import AppError
from durable_host.worker.loading import AppCode, load
from durable_host.worker.protocol import Declared
from tests.host.apps import (
    ACTIVITY,
    load_error,
    loaded,
    without_marks,
    write_function,
)


def answer_of(root: Path) -> object:
    """What the app's function F returns, called with None."""
    code = AppCode(root)
    try:
        declared = Declared(
            "F", str(root / "F"), str(script_of(root)), "main", "value", {"value": ("activityTrigger", "in")}
        )
        entry = load(declared, code).entry
        assert entry is not None
        return entry.main(None)
    finally:
        code.unload()


def script_of(root: Path) -> Path:
    run = root / "F" / "run.py"
    return run if run.exists() else root / "F" / "__init__.py"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("", "RuntimeError: cannot load function F: function main() is not present in F/__init__.py"),
        ("main = 5", "RuntimeError: cannot load function F: function main() is not present in F/__init__.py"),
        ("raise ValueError('at import')", "ValueError: at import"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def main(value: 'Nowhere'): pass", "NameError: name 'Nowhere' is not defined"),
        ("def main(value:", "SyntaxError: '(' was never closed (__init__.py, line 5)"),
    ],
)
def test_code_that_cannot_be_loaded_is_told_in_pythons_words(tmp_path: Path, code: str, text: str) -> None:
    assert load_error(tmp_path, code, ACTIVITY) == text


CALLABLE = "class Main:\n    def __call__(self, value): ...\nmain = Main()"


def test_a_callable_object_is_an_entry_point_since_python_3_14(tmp_path: Path) -> None:
    text = load_error(tmp_path, CALLABLE, ACTIVITY)

    # The worker asks typing.get_type_hints, which takes any callable there.
    refused = "" if sys.version_info >= (3, 14) else r"TypeError: .+ is not a module, class, method, or function\."
    assert re.fullmatch(refused, text)


def test_a_missing_module_points_at_requirements_txt(tmp_path: Path) -> None:
    text = load_error(tmp_path, "import nowhere_to_be_found", ACTIVITY)

    assert text.startswith(
        "ModuleNotFoundError: No module named 'nowhere_to_be_found'. Cannot find module. Please check the "
        "requirements.txt file for the missing module. For more info, please refer the troubleshooting guide: "
        f"https://aka.ms/functions-modulenotfound. Current sys.path: [{sys.path[0]!r}"
    )
    assert f"{str(tmp_path)!r}]" in text


def test_a_failure_at_import_shows_the_apps_frames_only(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def burn():\n    raise ValueError('x')\n")
    write_function(tmp_path, "F", "from helper import burn\nburn()\n", ACTIVITY)

    with loaded(tmp_path) as app:
        error = app.functions[0].load_error

    assert error is not None
    assert without_marks(error.stack) == (
        f'  File "{tmp_path}/F/__init__.py", line 2, in <module>\n    burn()\n'
        f"  File \"{tmp_path}/helper.py\", line 2, in burn\n    raise ValueError('x')\n"
    )


def test_a_script_may_lie_beside_the_folders_but_not_outside_the_app(tmp_path: Path) -> None:
    app_root = tmp_path / "app"
    (app_root / "shared").mkdir(parents=True)
    (app_root / "shared" / "x.py").write_text("def other(value): pass")
    (tmp_path / "y.py").write_text("def main(value): pass")
    write_function(app_root, "A", "", ACTIVITY, scriptFile="../shared/x.py", entryPoint="other")
    write_function(app_root, "B", "", ACTIVITY, scriptFile="../../y.py")

    with loaded(app_root) as app:
        inside, outside = app.functions

    assert inside.load_error is None
    assert str(outside.load_error) == (
        f"RuntimeError: script path {tmp_path}/y.py is not relative to the specified directory {app_root}"
    )


def test_a_script_that_is_not_python_cannot_be_loaded(tmp_path: Path) -> None:
    folder = write_function(tmp_path, "A", "", ACTIVITY, scriptFile="run.js")
    (folder / "run.js").write_text("")
    write_function(tmp_path, "B", "def main(value): pass", ACTIVITY)

    with loaded(tmp_path) as app:
        error = app.functions[0].load_error

    assert str(error) == f"RuntimeError: cannot load function A: invalid Python filename {folder}/run.js"


@pytest.mark.parametrize(
    "imports",
    [
        "from ..lib.words import word as far\nfrom .near import word as near",
        "from __app__.lib.words import word as far\nfrom __app__.F.near import word as near",
        "from lib.words import word as far\nfrom F.near import word as near",
    ],
)
def test_code_reaches_its_siblings_in_every_way_that_works_on_azure(tmp_path: Path, imports: str) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "words.py").write_text("word = 'far'")
    folder = write_function(tmp_path, "F", f"{imports}\ndef main(value): return far, near", ACTIVITY)
    (folder / "near.py").write_text("word = 'near'")

    assert answer_of(tmp_path) == ("far", "near")


def test_a_script_with_another_name_runs_after_its_packages_init(tmp_path: Path) -> None:
    folder = write_function(tmp_path, "F", "first = 'init'", ACTIVITY, scriptFile="run.py")
    (folder / "run.py").write_text("from . import first\ndef main(value): return first, __name__")

    assert answer_of(tmp_path) == ("init", "__app__.F.run")


def test_two_apps_with_equal_folders_run_one_after_the_other(tmp_path: Path) -> None:
    found = []
    path, modules = list(sys.path), set(sys.modules)
    for name in ("one", "two"):
        root = tmp_path / name
        (root / "lib" / "deep").mkdir(parents=True)
        (root / "lib" / "deep" / "words.py").write_text(f"word = {name!r}")
        write_function(root, "F", "from lib.deep.words import word\ndef main(value): return word", ACTIVITY)
        found.append(answer_of(root))

    assert found == ["one", "two"]
    assert sys.path == path
    assert set(sys.modules) == modules


def test_two_apps_cannot_be_loaded_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_function(tmp_path / name, "F", "def main(value): pass", ACTIVITY)

    with (
        loaded(tmp_path / "one"),
        pytest.raises(AppError, match=f"^This process runs the app in {tmp_path}/one: end its Host first"),
        loaded(tmp_path / "two"),
    ):
        pass


def test_what_was_imported_before_the_app_stays_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_earlier.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("imported_earlier")

    AppCode(tmp_path).unload()

    assert sys.modules.pop("imported_earlier")
    assert str(tmp_path) in sys.path


@pytest.mark.parametrize("name", ["durable_host.worker.tracebacks", "werkzeug.urls"])
def test_the_host_and_the_packages_stay_imported_when_they_lie_inside_the_app(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delitem(sys.modules, name, raising=False)
    code = AppCode(Path(sys.modules[AppCode.__module__].__file__ or "").parents[2])
    importlib.import_module(name)

    code.unload()

    assert name in sys.modules


def test_log_records_of_an_import_are_not_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    load_error(tmp_path, "import logging\nlogging.info('said at import')\ndef main(value): pass", ACTIVITY)

    assert "said at import" in caplog.messages


def test_an_interrupted_import_leaves_nothing_behind(tmp_path: Path) -> None:
    write_function(tmp_path, "F", "raise KeyboardInterrupt", ACTIVITY)
    with pytest.raises(KeyboardInterrupt), loaded(tmp_path):
        pass

    write_function(tmp_path / "other", "F", "def main(value): pass", ACTIVITY)

    with loaded(tmp_path / "other") as app:
        assert app.functions[0].load_error is None
