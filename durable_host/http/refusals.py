"""What the durable HTTP API answers when an operation fails: one table from errors to responses.

Not here: which errors an operation raises (`instances`).
Source: recorded from the durable extension 3.19.0; rows name their recordings.
"""

from durable_host.errors import (
    HostError,
    HubError,
    InstanceExists,
    InstanceFinished,
    InstanceNotFound,
    NotAllowed,
)
from durable_host.http.messages import INVALID_OPERATION, WRONG, WebhookReply, failure
from durable_host.values import compact

STORAGE_FAILURE = failure(
    500,
    WRONG,
    "An error occurred while communicating with Azure Storage",
    "DurableTask.AzureStorage.Storage.DurableTaskStorageException",
)


def refusal(operation: str, error: HostError) -> WebhookReply:
    """The response to an error; an operation's own row goes before those of all.

    Raises: the error itself, when it is none that an operation may end with.
    """
    own = _own(operation, error)
    if own is not None:
        return own
    text = str(error)
    match error:
        case InstanceNotFound():
            return WebhookReply(404)
        case InstanceFinished():
            return WebhookReply(410)
        case InstanceExists():
            return WebhookReply(409, compact({"Message": text}))
        case NotAllowed():
            return failure(500, WRONG, text, INVALID_OPERATION)
        case HubError():
            return WebhookReply(503, compact({"Message": text}))
        case _:
            raise error


def _own(operation: str, error: HostError) -> WebhookReply | None:
    text = str(error)
    match operation, error:
        case "rewind", InstanceNotFound():
            return WebhookReply(404, compact(f'No orchestration with instance ID "${text}" found.'))
        case (("rewind" | "purge"), NotAllowed()):
            return WebhookReply(412, compact(text))
        case (("start" | "restart"), NotAllowed()):
            return STORAGE_FAILURE  # The id is too long. Source: recorded, l_id_limit.
        case "restart", InstanceNotFound():
            text = f"No instance with ID '{text}' was found. (Parameter 'instanceId')"
            message = "InstanceId does not match a valid orchestration instance."
            return failure(400, message, text, "System.ArgumentException")
        case "restart", InstanceExists():
            message = "A non-terminal instance with this instance ID already exists."
            kind = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"
            return failure(409, message, text, kind)
        case _:
            return None


def other_hub(operation: str, name: str, segments: tuple[str, ...]) -> WebhookReply:
    """Another task hub is empty here. A start in it would never run, so it is refused, unlike on Azure."""
    if operation == "list":
        return WebhookReply(200, "[]")
    if operation == "start":
        text = f"This host runs no task hub '{name}'; leave taskHub out. Nothing was started."
        return WebhookReply(400, compact({"Message": text}))
    return refusal(operation, InstanceNotFound(*segments[:1]))
