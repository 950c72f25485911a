"""Whether a replay does what its history says was done, judged as the engine does and told in its words.

Not here: how the replay's actions get their ids (`play`).
Source: TaskOrchestrationContext.Handle*Event of DurableTask.Core 3.9.0; the activities' texts as recorded.
"""

from durable_host.engine.actions import CallActivity, CallSubOrchestrator, CreateTimer
from durable_host.engine.events import Event, EventType

NON_DETERMINISTIC = "Non-Deterministic workflow detected: "
_BEFORE = f"{NON_DETERMINISTIC}A previous execution of this orchestration scheduled"
_WAS_CHANGED = "Was a change made to the orchestrator code after this instance had already started running?"
Scheduled = CallActivity | CallSubOrchestrator | CreateTimer  # What takes an id.

KIND_OF: dict[type, EventType] = {
    CallActivity: EventType.TASK_SCHEDULED,
    CallSubOrchestrator: EventType.SUB_ORCHESTRATION_INSTANCE_CREATED,
    CreateTimer: EventType.TIMER_CREATED,
}
SCHEDULING = frozenset((*KIND_OF.values(), EventType.EVENT_SENT))
_ACTION_NAME: dict[type, str] = {
    CallActivity: "ScheduleTaskOrchestratorAction",
    CallSubOrchestrator: "CreateSubOrchestrationAction",
    CreateTimer: "CreateTimerOrchestratorAction",
}


def mismatch(event: Event, action: Scheduled | None) -> str | None:
    """The failure of a replay that has `action` where the history has `event`; None when they agree.

    Names are compared without regard to case; inputs, due times and children's ids are not compared.
    """
    if _agree(event, action):
        return None
    return f"{_BEFORE} {_difference(event, action)} {_WAS_CHANGED}"


def _agree(event: Event, action: Scheduled | None) -> bool:
    if action is None or KIND_OF[type(action)] is not event.type:
        return False
    return isinstance(action, CreateTimer) or action.name.lower() == (event.name or "").lower()


def _difference(event: Event, action: Scheduled | None) -> str:
    """What the history has scheduled and the replay has not, in the engine's words."""
    unscheduled = "but the current replay execution hasn't (yet?) scheduled this task."
    number, name = event.event_id, event.name
    match event.type:
        case EventType.TASK_SCHEDULED:
            if action is None:
                return f"an activity task with sequence ID {number} and name '{name}' (version ''), {unscheduled}"
            head = f"an activity task with sequence number {number} named '{name}',"
            scheduled = "an activity task named '{}' with this sequence number. "  # Two blanks follow there, too.
        case EventType.SUB_ORCHESTRATION_INSTANCE_CREATED:
            head = (
                f"a sub-orchestration task with sequence ID {number} and name '{name}' (version '', "
                f"instance ID '{event.child_id}'),"
            )
            scheduled = "a sub-orchestration task with name '{}' at this sequence number."
            if action is None:
                return f"{head} {unscheduled}"
        case EventType.TIMER_CREATED:
            head, scheduled = f"a timer task with sequence number {number} named", ""
            if action is None:
                return f"a timer task with sequence number {number} {unscheduled}"
        case _:
            return f"an event with sequence number {number} named '{name}', {unscheduled}"
    if not isinstance(action, CreateTimer) and KIND_OF[type(action)] is event.type:
        return f"{head} but the current orchestration replay instead scheduled {scheduled.format(action.name)}"
    produced = f"produced a {_ACTION_NAME[type(action)]} action with this sequence number."
    return f"{head} but the current orchestration replay instead {produced}"
