"""What can go wrong in the host, one class per thing that a caller tells apart.

Not here: the HTTP status of an error (`webhooks` has that table) and failures that are an instance's own
outcome (those are history events).
"""


def one_line(text: str) -> str:
    """The text with all that is not printable, but tabs, as escapes: line ends, controls, lone surrogates."""
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


class HostError(Exception):
    """Base of all that the host reports in one line: what, where, and what to do."""


class AppError(HostError):
    """The function app, its host.json or its settings make a start impossible."""

    def __str__(self) -> str:
        # It quotes names and values of the app, which may hold anything.
        return one_line(super().__str__())


class HubError(HostError):
    """The task hub file cannot be used: locked by another host, foreign, newer, corrupt, or not writable."""


class ProtocolError(HostError):
    """An answer of the SDK, or a saved history, has not the shape that the protocol gives it."""


class FunctionFailed(Exception):
    """A user's function raised, or could not be loaded or converted.

    Args:
        type_name: the exception's bare class name.
        message: its text; may be empty.
        stack: the traceback's frames as Azure's worker prints them, without header and exception line.
    """

    def __init__(self, type_name: str, message: str, stack: str = "") -> None:
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message
        self.stack = stack


class WorkerDied(FunctionFailed):
    """The worker's process ended while it ran the function; the text says how.

    Source: recorded, real319-b2-dies.
    """

    def __init__(self, how: str) -> None:
        super().__init__("", how)

    def __str__(self) -> str:
        return self.message


class InstanceExists(HostError):
    """A start names an instance that is still live.

    Args:
        runtime_status: the live instance's status.
    """

    def __init__(self, runtime_status: str) -> None:
        super().__init__(f"An Orchestration instance with the status {runtime_status} already exists.")
        self.runtime_status = runtime_status


class InstanceNotFound(HostError):
    """No instance has this id."""


class InstanceFinished(HostError):
    """The instance is Completed, Failed, Terminated or Canceled, so there is nothing to send it."""


class NotAllowed(HostError):
    """The instance's status does not allow the operation; the text is the engine's."""
