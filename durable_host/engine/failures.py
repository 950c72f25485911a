"""What an instance is told of an activity that failed: the engine's reason and details.

Not here: which events carry them (`events`), and failures of orchestrators (`episode`).
Source: recorded, e_act_fail* and real319-b2-dies; the RpcException and sanitizer of the Functions host 4.1037.
"""

import re

from durable_host.errors import FunctionFailed, WorkerDied
from durable_host.values import JSON, compact

# What follows such a word, up to the next quote or tag, is a credential.
_CREDENTIAL = re.compile(
    r"""(?<!PublicKey)(?:Token=|DefaultEndpointsProtocol=http|AccountKey=|Data\ Source=|Server=|Password=|pwd="""
    r"""|SharedAccessKey=|(?:&amp;|[&?])(?:sig|code)=|key=)[^<"']*""",
    re.IGNORECASE | re.VERBOSE,
)


def sanitize(text: str) -> str:
    """The text without what looks like a credential."""
    return _CREDENTIAL.sub("[Hidden Credential]", text)


def activity_failure(name: str, failure: FunctionFailed) -> tuple[str, str]:
    """Reason and details of a TaskFailed event: a line, and a serialized .NET exception that users parse.

    The frames of the .NET stack are not made up: the fields that hold them are empty.
    """
    message = sanitize(str(failure))
    if isinstance(failure, WorkerDied):
        details = _exception("Microsoft.Azure.WebJobs.Script.Workers.WorkerProcessExitException", message)
        details["InnerException"] = _system_exception("", None)
    else:
        inner = _exception(
            "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException",
            f"Result: Failure\nException: {message}\nStack: {failure.stack}",
            IsUserException=False,
            RemoteStackTrace=failure.stack,
            RemoteMessage=message,
            RemoteTypeName=None,
        )
        details = _system_exception(message, inner)
    return f"Activity function '{name}' failed: {message}", compact(details)


def _exception(type_name: str, message: str, **more: JSON) -> dict[str, JSON]:
    return {
        "$type": f"{type_name}, Microsoft.Azure.WebJobs.Script",
        **more,
        "Message": message,
        "Data": {"$type": "System.Collections.ListDictionaryInternal, System.Private.CoreLib"},
        "InnerException": None,
        "HelpLink": None,
        "Source": "durable_host",
        "HResult": -2146233088,
        "StackTrace": "",
    }


def _system_exception(message: str, inner: JSON) -> dict[str, JSON]:
    return {
        "$type": "System.Exception, System.Private.CoreLib",
        "ClassName": "System.Exception",
        "Message": message,
        "Data": None,
        "InnerException": inner,
        "HelpURL": None,
        "StackTraceString": None,
        "RemoteStackTraceString": None,
        "RemoteStackIndex": 0,
        "ExceptionMethod": None,
        "HResult": -2146233088,
        "Source": None,
        "WatsonBuckets": None,
    }
