"""What functions there are, as the Functions host's `/admin/functions` tells it; the dashboard's start form asks.

Not here: who may ask (`server`).
Source: azure-functions-host 4.1037, FunctionsController and FunctionMetadataExtensions, and recordings of it.
"""

import os
from pathlib import Path
from urllib.parse import quote

from durable_host.errors import AppError
from durable_host.functions.function_json import Function
from durable_host.functions.triggers import FunctionApp
from durable_host.values import JSON, read_object


def functions_json(app: FunctionApp, host: str) -> JSON:
    """All functions that are listed, by name; `host` is the Host header, to which the links lead.

    Their links are https ones, whatever was asked by, and those of one function http.
    """
    return [_function_json(function, f"https://{host}") for function in app.functions]


def function_json(app: FunctionApp, name: str, host: str) -> JSON | None:
    """The function of this name in any letter case; None when there is none."""
    function = app.find(name)
    return function and _function_json(function, f"http://{host}")


def _function_json(function: Function, origin: str) -> JSON:
    # The real host keeps test data elsewhere, where only the portal writes it.
    sample = function.folder / "sample.dat"
    has_sample = sample.is_file()
    template = function.http and f"{origin}/{function.http.route.template}".lower()
    return {
        "name": function.name,
        "script_root_path_href": f"{_file_url(origin, function.folder)}/",
        "script_href": _file_url(origin, function.script),
        "config_href": _file_url(origin, function.folder / "function.json"),
        "test_data_href": _file_url(origin, sample) if has_sample else None,
        "href": f"{origin}/admin/functions/{function.name}",
        "invoke_url_template": template,
        "language": "python",
        "config": _config(function.folder / "function.json"),
        "files": None,
        "test_data": sample.read_text(encoding="utf-8-sig", errors="replace") if has_sample else None,
        "isDisabled": function.is_disabled,
        "isDirect": False,
        "isProxy": False,
    }


def _file_url(origin: str, path: Path) -> str:
    return f"{origin}/admin/vfs/{quote(os.path.normpath(path).replace(os.sep, '/').lstrip('/'))}"


def _config(path: Path) -> JSON:
    """function.json as it is now; {} when it has become unreadable meanwhile, as on the real host."""
    try:
        return read_object(path, "")
    except AppError:
        return {}
