"""An app's Python code: imports its entry points, and forgets its modules in the end.

Not here: whether an entry point fits its bindings (`entry_points`) and calling it (`invoke`).
Source: azure-functions-python-worker 4.34, loader.py, texts and order of checks included.
"""

import importlib
import os
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from durable_host.errors import AppError, FunctionFailed
from durable_host.worker.entry_points import EntryPoint, fit
from durable_host.worker.protocol import Declared
from durable_host.worker.tracebacks import failed, failed_import

_NAMESPACE = "__app__"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A function and its code; when `error` is set, there is no `entry`, and each call of it fails with that."""

    declared: Declared
    entry: EntryPoint | None
    error: FunctionFailed | None


def load(declared: Declared, code: "AppCode") -> Loaded:
    """Import a function's script, and check its entry point."""
    try:
        main = code.callable_of(declared.name, Path(declared.script), declared.entry_point)
        return Loaded(declared, fit(declared.name, main, declared.bindings), None)
    except ImportError as error:
        return Loaded(declared, None, failed_import(error))
    # The app's own code runs here: it may raise anything, sys.exit() included.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return Loaded(declared, None, failed(error))


class AppCode:
    """The app's modules in this process, from its making until `unload`.

    Its root is searched last, after installed packages, and is the package `__app__`; one app at a time.
    """

    def __init__(self, root: Path) -> None:
        if (loaded := sys.modules.get(_NAMESPACE)) and list(loaded.__path__) != [str(root)]:
            raise AppError(f"This process runs the app in {next(iter(loaded.__path__))}: end its Host first.")
        self._root = root
        self._earlier = frozenset(sys.modules)
        self._on_path = str(root) in sys.path
        namespace = ModuleType(_NAMESPACE)
        namespace.__path__ = [str(root)]
        sys.modules.setdefault(_NAMESPACE, namespace)
        if not self._on_path:
            sys.path.append(str(root))
        importlib.invalidate_caches()

    def callable_of(self, function: str, script: Path, entry_point: str) -> Callable[..., Any]:
        """Imports a script and finds the entry point in it. Raises whatever the import raises, or RuntimeError."""
        script = Path(os.path.normpath(script))
        if not script.is_relative_to(self._root):
            raise RuntimeError(f"script path {script} is not relative to the specified directory {self._root}")
        if script.suffix != ".py":
            raise RuntimeError(f"cannot load function {function}: invalid Python filename {script}")
        relative = script.relative_to(self._root)
        parts = [_NAMESPACE, *relative.parent.parts]
        if script.stem.lower() != "__init__":
            parts.append(script.stem)
        main = getattr(importlib.import_module(".".join(parts)), entry_point, None)
        if not callable(main):
            raise RuntimeError(
                f"cannot load function {function}: function {entry_point}() is not present in {relative}"
            )
        return typing.cast("Callable[..., Any]", main)

    def unload(self) -> None:
        """Forgets each module under the root that was not there before; a second call does nothing."""
        # All are judged first: the path of a package inside a namespace package is read through its parent.
        forgotten = [
            name
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] == _NAMESPACE or (name not in self._earlier and self._owns(module))
        ]
        for name in forgotten:
            del sys.modules[name]
        if not self._on_path and str(self._root) in sys.path:
            sys.path.remove(str(self._root))

    def _owns(self, module: ModuleType) -> bool:
        # Not by getattr: a lazy module may import at that, and fail.
        attributes = getattr(module, "__dict__", {})
        file = attributes.get("__file__") or next(iter(attributes.get("__path__", [])), None)
        if file is None or not Path(file).is_relative_to(self._root):
            return False
        # This package, and a virtual environment, may lie under the root too.
        foreign = [f for f in (Path(__file__).parents[1], Path(sys.prefix)) if f.is_relative_to(self._root)]
        return not any(Path(file).is_relative_to(f) for f in foreign)
