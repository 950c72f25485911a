"""What must hold in every world: of each episode as it runs, and of what the hub holds when all has ended."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from durable_host import Host
from durable_host.engine.episode import open_episode
from durable_host.engine.events import EventType, Status
from durable_host.errors import FunctionFailed
from durable_host.hub.records import Filter, Record
from durable_host.hub.taskhub import TaskHub
from tests.simulation.clients import Ledger, Started
from tests.simulation.programs import expected
from tests.simulation.world import World

JSON = Any
# A check may hang for 20 s, an alert for 10 s, and the system's clock is set back at times.
_SLACK = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode as it ran; its history is that of the context."""

    name: str
    context: str
    history: list[JSON]
    answer: str | FunctionFailed

    @property
    def committed(self) -> list[JSON]:
        """The history before this episode, which a crash or a full disk may have undone."""
        kinds = [event["EventType"] for event in self.history]
        return self.history[: len(kinds) - 1 - kinds[::-1].index(EventType.ORCHESTRATOR_STARTED)]


class Invariants:
    """Watches one world. What it finds goes to `world.violated`."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self._world = world
        self._ledger = ledger
        self._runs: dict[str, list[str]] = {}  # By instance id: its executions, in the order of their episodes.
        self._episodes: dict[str, Episode] = {}  # By execution id: the last one.

    def on_episode(self, instance_id: str, name: str, context: str, answer: str | FunctionFailed) -> None:
        """No timer fires early, time never runs back, history only grows, and an instance has one live run."""
        history = json.loads(context.replace('"IsPlayed":false', '"IsPlayed":true'))["history"]
        started = next(event for event in history if event["EventType"] == EventType.EXECUTION_STARTED)
        execution_id = started["OrchestrationInstance"]["ExecutionId"]
        self._world.note(f"episode of {instance_id}, {len(history)} events")
        runs = self._runs.setdefault(instance_id, [])
        if execution_id not in runs:
            runs.append(execution_id)
        elif runs[-1] != execution_id:
            self._world.violated(f"{instance_id}: {execution_id} runs after {runs[-1]} has begun")
        episode = Episode(name, context, history, answer)
        before = self._episodes.get(execution_id)
        if before is not None and before.committed != history[: len(before.committed)]:
            self._world.violated(f"{instance_id}: what an episode has seen is not in the history of the next")
        self._check_times(instance_id, history)
        self._episodes[execution_id] = episode

    def _check_times(self, instance_id: str, history: list[JSON]) -> None:
        episodes = [at(event) for event in history if event["EventType"] == EventType.ORCHESTRATOR_STARTED]
        if episodes != sorted(episodes):
            self._world.violated(f"{instance_id}: time runs back")
        now = episodes[-1]
        for event in history:
            if event["EventType"] == EventType.ORCHESTRATOR_STARTED:
                now = at(event)
            if event["EventType"] == EventType.TIMER_FIRED and datetime.fromisoformat(event["FireAt"]) > now:
                self._world.violated(f"{instance_id}: the timer of {event['FireAt']} fires at {now}")

    def check_hub(self, hub: TaskHub) -> None:
        """What is acknowledged is in the file that the dead host left."""
        for instance_id in sorted(self._ledger.owed):
            if hub.record(instance_id) is None:
                self._world.violated(f"{instance_id} was acknowledged and is lost")
        if hub.skipped < self._ledger.skipped:
            self._world.violated(f"time is back at +{hub.skipped}, after an answer at +{self._ledger.skipped}")

    async def check_end(self, host: Host) -> None:
        """All has come to its end, and to the right one."""
        self.check_hub(host.hub)
        for execution_id in self._ledger.acknowledged - self._episodes.keys():
            self._world.violated(f"{execution_id} was acknowledged and never ran")
        kept = {execution_id for execution_id, episode in self._episodes.items() if episode.committed}
        kept |= {record.execution_id for record in host.instances.page(Filter(), "", 1000)}
        for execution_id in self._ledger.refused & kept:
            self._world.violated(f"{execution_id} was refused and ran")
        if host.hub.next_due() is not None or host.hub.activities():
            self._world.violated("work is left, and nobody is there for it")
        for record in host.instances.page(Filter(), "", 1000):
            self._check_instance(record)
        self._check_monitors()
        await self._check_replays(host)

    def _check_instance(self, record: Record) -> None:
        start = self._start_of(record.id)
        if not record.status.is_terminal:
            self._world.violated(f"{record.id} is still {record.status.name}")
        elif record.status is Status.Terminated:
            if record.id not in self._ledger.terminated:
                self._world.violated(f"{record.id} is Terminated, and nobody asked for it")
        elif start is not None and start.steps is not None:
            output = json.loads(record.output or "null") if record.status is Status.Completed else record.output
            if output != expected(start.steps):
                self._world.violated(f"{record.id} came to {record.output}, not {expected(start.steps)}")
        elif start is not None and start.monitor is not None:
            self._check_monitor(record, start.monitor["phone"])

    def _start_of(self, instance_id: str) -> Started | None:
        """The start that an instance's last run comes from; None for a sub-orchestration."""
        runs = (self._ledger.asked.get(execution_id) for execution_id in reversed(self._runs.get(instance_id, [])))
        return next(filter(None, runs), None)

    def _check_monitor(self, record: Record, phone: str) -> None:
        """What a monitor says is what Twilio did; an alert that was asked for again may have been sent before."""
        sent = self._world.twilio.sent.get(phone, [])
        is_unsent = not sent or phone in self._world.twilio.repeated
        if record.status is Status.Failed:
            if not is_unsent or not str(record.output).endswith((": 403", ": 404")):
                self._world.violated(f"{record.id} failed after {len(sent)} SMS: {record.output}")
            return
        output = json.loads(record.output or "null")
        is_true = {
            "alerted": output.get("message") in sent,
            "alert unconfirmed": True,
            "alert refused": is_unsent and output.get("reason") == "400",
            "expired": is_unsent and output.get("lastError", "429")[-3:] in ("403", "404", "429"),
        }[output["outcome"]]
        if not is_true:
            self._world.violated(f"{record.id} says {output}, and Twilio sent {sent}")

    def _check_monitors(self) -> None:
        """No monitor checks at or after its expiry, and each is over by then, but for what held the host up.

        One that was suspended makes up for the timer that fired meanwhile.
        """
        for episode in self._episodes.values():
            context = json.loads(episode.context)
            instance_id, history = context["instanceId"], episode.history
            if episode.name != "E3_Monitor" or instance_id in self._ledger.suspended:
                continue
            expires_at = _expiry(json.loads(context["input"]), at(history[0]))
            calls = [event for event in history if event["EventType"] == EventType.TASK_SCHEDULED]
            for event in calls:
                if at(event) >= expires_at:
                    self._world.violated(f"{instance_id} calls {event['Name']} after {expires_at}")
            if at(history[-1]) > expires_at + _SLACK + self._world.outage:
                self._world.violated(f"{instance_id} goes on after {expires_at}")

    async def _check_replays(self, host: Host) -> None:
        """The history of each instance, as the hub holds it, comes to what its last episode came to."""
        for record in host.instances.page(Filter(), "", 1000):
            last = self._episodes[record.execution_id]
            function = host.app.find(record.name)
            assert function is not None
            opening = open_episode(record.instance, host.hub.history(record.id), [], record.updated_at)
            answer = await host.worker.ask_orchestrator(function, opening.context)
            if str(answer) != str(last.answer):
                self._world.violated(f"{record.id}: its history comes to {answer}, not {last.answer}")


def at(event: JSON) -> datetime:
    """An event's time."""
    return datetime.fromisoformat(event["Timestamp"])


def _expiry(monitor: JSON, started_at: datetime) -> datetime:
    """When a generation of a monitor that began then must be over."""
    if "progress" in monitor:
        return datetime.fromisoformat(monitor["progress"]["expires"])
    return started_at + timedelta(seconds=monitor["expiry_seconds"])
