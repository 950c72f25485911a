"""What is reported of an exception that came out of a function app's code.

Not here: how the failure of an activity is worded (`failures`).
"""

import importlib
import sys
import traceback
from pathlib import Path

from durable_host.errors import FunctionFailed

_WORKER = Path(__file__).parent
_IMPORT_SYSTEM = ("<frozen importlib", importlib.__file__)


def failed(error: BaseException) -> FunctionFailed:
    """An exception as the host sees it: bare type name, text, and the frames from the first that is not ours.

    Source: azure-functions-python-worker 4.34, utils/tracing.py; recorded, e_act_fail.
    """
    return FunctionFailed(type(error).__name__, _text(error), _frames(error))


def failed_import(error: ImportError) -> FunctionFailed:
    """As `failed`, with the worker's hint at requirements.txt.

    Source: azure-functions-python-worker 4.34, loader.py and extend_exception_message.
    """
    text = (
        f"{(error.msg or str(error)).rstrip('.')}. Cannot find module. Please check the requirements.txt file for "
        "the missing module. For more info, please refer the troubleshooting guide: "
        f"https://aka.ms/functions-modulenotfound. Current sys.path: {sys.path}"
    )
    return FunctionFailed(type(error).__name__, text, _frames(error))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - An app's __str__ may raise anything; the failure must still be told.
        return f"<unprintable {type(error).__name__} object>"


def _frames(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_IMPORT_SYSTEM)]
    while frames and Path(frames[0].filename).parent == _WORKER:
        frames.pop(0)
    return "".join(traceback.StackSummary.from_list(frames).format())
