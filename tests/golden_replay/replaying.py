"""Replays a recording's exchanges on our host, and compares the answers and the histories with the recorded ones.

The recording's clock is the sequence of its episodes: before an exchange is sent, our host is brought as far as
the recorded one was, by waiting and then by skipping to due timers. Where ours is further (it is faster, so an
instance that was caught Pending is Running here) what shows how far it is is left out of the comparison.
"""

import asyncio
import http.client
import json
import re
import sysconfig
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from durable_host import Host
from durable_host.engine.events import Status
from durable_host.errors import FunctionFailed, InstanceNotFound
from tests.golden_replay.binding import Binding
from tests.golden_replay.comparing import Difference, compare, compare_histories
from tests.golden_replay.recording import (
    JSON,
    Episode,
    Exchange,
    Recording,
    beyond,
    generations,
    listed,
    received,
)
from tests.golden_replay.responses import Answer, compare_exchange

_FINISHED = {"Completed", "Failed", "Terminated", "Canceled"}
# Messages that the recording's last exchanges caused, and whose episodes it did not wait for.
_EXTERNAL = {3, 15, 19, 20}
# The recorded engine showed an episode's effect this long after its start, at the soonest.
_SHOWN_AFTER = timedelta(milliseconds=12)
_BEFORE_THE_CUT = 4  # Generations.
_SHORT_OF_A_TIMER = timedelta(seconds=2)
_RECORDED_APP = "/home/site/wwwroot"
_PACKAGES = sysconfig.get_path("purelib")
_RECORDED_PACKAGES = f"{_RECORDED_APP}/.python_packages/lib/site-packages"


@dataclass
class Score:
    """How much was compared.

    Args:
        loose: exchanges that were compared but for how far their instance was.
        rebatched: recorded episodes whose messages came in other batches here.
    """

    exchanges: int = 0
    loose: int = 0
    episodes: int = 0
    rebatched: int = 0


_EFFECTS = {"suspend": Status.Suspended, "resume": Status.Running, "terminate": Status.Terminated}
_EFFECT_S = 2
_LOOP_S = 10


@dataclass
class Seen:
    """Collects what our host hands the orchestrators: its `add` is the host's `on_episode`."""

    app: Path
    episodes: dict[str, list[Episode]] = field(default_factory=dict)

    def add(self, instance_id: str, function: str, context: str, answer: str | FunctionFailed) -> None:
        """Keep one episode."""
        outcome: dict[str, JSON]
        if isinstance(answer, FunctionFailed):
            outcome = {"exception": {"message": self.placed(str(answer)), "stack": self.placed(answer.stack)}}
        else:
            outcome = {"out": json.loads(self.placed(answer))}
        episode = Episode(function, json.loads(self.placed(context)), outcome)
        self.episodes.setdefault(instance_id, []).append(episode)

    def placed(self, text: str) -> str:
        """The text with the app and its packages where the recording had them."""
        return text.replace(str(self.app), _RECORDED_APP).replace(_PACKAGES, _RECORDED_PACKAGES)


class Replay:
    """One run of a recording on a host that was just started."""

    def __init__(self, recording: Recording, host: Host, seen: Seen) -> None:
        self.recording, self.host, self.seen, self.score = recording, host, seen, Score()
        # The same fraction of a second as there, so that times cut to seconds are cut alike; always at least a
        # second ahead, so that code which reads the system's clock differs every time, not now and then.
        phase = (recording.began_at - host.clock.now()) % timedelta(seconds=1)
        self._began_at = host.clock.now() + phase + timedelta(seconds=1)
        if recording.tells_dates:  # The clock is set back for it.
            self._began_at = recording.began_at
        self.binding = Binding(recording, urlsplit(host.url).port or 80)
        self._answers: list[tuple[Answer, set[str]]] = []
        self._diverged: dict[str, datetime] = {}

    async def run(self) -> None:
        """Send every exchange in its turn, and let the rest of the recorded episodes happen."""
        self.host.clock.skip_to(self._began_at)
        previous_at: datetime | None = None
        for exchange in self.recording.exchanges:
            if not self.recording.is_cut:
                await self._catch_up(exchange.at)
                await self._settle(0.3)
            self._keep_time(exchange.at)
            gap = exchange.at - previous_at if exchange.at and previous_at else timedelta(0)
            self._answers.append(await self._exchange(exchange, gap))
            previous_at = exchange.at
        if not self.recording.is_cut:
            await self._catch_up(None)
        await self._settle(1)

    # --- time: how far our host is, and how far it has to be

    def _here(self, instance_id: str) -> list[Episode]:
        return self.seen.episodes.get(self.binding.translate(instance_id, timedelta(0)), [])

    def _recorded(self, instance_id: str, until: datetime | None) -> list[Episode]:
        episodes = self.recording.instances[instance_id]
        return [episode for episode in episodes if until is None or episode.started_at <= until]

    def _distances(self, until: datetime | None) -> dict[str, int]:
        """By recorded id, how many messages our instance is ahead of the recorded one."""
        for instance_id in self.recording.instances:  # Children are named by their parents' execution ids.
            pairs = zip(
                generations(self._recorded(instance_id, None)), generations(self._here(instance_id)), strict=False
            )
            for there, here in pairs:
                self.binding.same(there[0].execution_id, here[0].execution_id)
        return {i: received(self._here(i)) - received(self._recorded(i, until)) for i in self.recording.instances}

    async def _settle(self, limit_s: float) -> bool:
        """Whether our host came to rest; one that runs a long activity does not."""
        try:
            await asyncio.wait_for(self.host.idle(), limit_s)
        except TimeoutError:
            return False
        return True

    async def _is_finished(self, instance_id: str) -> bool:
        status = await self.host.status(self.binding.translate(instance_id, timedelta(0)))
        return status is None or status["runtimeStatus"] in _FINISHED

    async def _catch_up(self, until: datetime | None) -> None:
        """Wait, and skip time, until no live instance is behind where the recording was at that instant."""
        while late := [i for i, ahead in self._distances(until).items() if ahead < 0]:
            before = self._distances(None)
            if not await self._settle(20):
                return
            if self._distances(None) == before:
                if all([await self._is_finished(instance_id) for instance_id in late]):
                    return
                await self.host.skip()
                if self._distances(None) == before:
                    return

    def _keep_time(self, at: datetime | None) -> None:
        """Let pass what passed in the recording, short of the next timer: that one waits for its episode."""
        if at is None:
            return
        now, due = self._began_at + (at - self.recording.began_at), self.host.hub.next_due()
        self.host.clock.skip_to(min(now, due - _SHORT_OF_A_TIMER) if due else now)

    # --- exchanges

    async def _exchange(self, exchange: Exchange, gap: timedelta) -> tuple[Answer, set[str]]:
        if exchange.method != "GET" and self.recording.is_cut:
            await self._see_it_loop()
        answer, ahead = await self._ask(exchange)
        if exchange.method == "GET" and not self.recording.is_cut and self._differs(exchange, answer, ahead):
            await self._settle(3)
            if not self.recording.instances:
                await self.host.advance(gap.total_seconds())
            answer, ahead = await self._ask(exchange)
        for _ in compare_exchange("", exchange, answer, self.binding, ahead):
            pass  # For what it binds: the next requests need it.
        return answer, ahead

    def _differs(self, exchange: Exchange, answer: Answer, ahead: Set[str]) -> bool:
        return any(compare_exchange("", exchange, answer, self.binding.copy(), ahead))

    async def _ask(self, exchange: Exchange) -> tuple[Answer, set[str]]:
        """The answer, and the instances that were further here when it came."""
        if exchange.target == "/rig/starter":  # The recording program's own route: what a client parameter gets.
            answer = Answer(200, {}, self.host.client_binding())
        else:
            request = asyncio.create_task(asyncio.to_thread(self._send, exchange))
            await asyncio.wait({request}, timeout=0.25)
            while not request.done():  # A start that waits for its outcome: time has to pass meanwhile.
                await self._catch_up(exchange.at and exchange.at + timedelta(seconds=exchange.lasted_s))
                await self.host.advance(0.5)
                await asyncio.wait({request}, timeout=0.05)
            answer = request.result()
        until = exchange.at and exchange.at + timedelta(seconds=exchange.lasted_s) - _SHOWN_AFTER
        if self.recording.is_cut:
            await self._see_effect(exchange)
            return answer, set(self.recording.instances)
        ahead = {i for i, distance in self._distances(until).items() if distance > 0} if until else set()
        return answer, ahead

    async def _see_it_loop(self) -> None:
        """Wait until an instance that never rests is past the generations that are compared."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOP_S):
                while any(  # noqa: ASYNC110
                    0 < len(generations(self._here(each))) <= _BEFORE_THE_CUT for each in self.recording.instances
                ):
                    await asyncio.sleep(0.01)  # noqa: TID251 - Nobody tells of it.

    async def _see_effect(self, exchange: Exchange) -> None:
        """Wait until an instance that never rests is what it was told to be; there, seconds went by meanwhile."""
        match = re.search(r"/instances/([^/]+)/(suspend|resume|terminate)\b", exchange.target)
        if match is None:
            return
        instance_id = self.binding.translate(match[1], timedelta(0))
        with suppress(TimeoutError, InstanceNotFound):
            async with asyncio.timeout(_EFFECT_S):
                while self.host.instances.get(instance_id).status is not _EFFECTS[match[2]]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # noqa: TID251 - Nobody tells of it.

    def _send(self, exchange: Exchange) -> Answer:
        later = self.host.clock.now() - (exchange.at or self.recording.began_at)
        body = None if exchange.body is None else self.binding.translate(exchange.body, later).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.binding.port, timeout=30)
        try:
            target = self.binding.translate_target(exchange.target, later)
            connection.putrequest(exchange.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in exchange.headers.items():
                sent = str(len(body or b"")) if name.lower() == "content-length" else value
                connection.putheader(name, self.binding.here.get(sent, self.binding.translate(sent, later)))
            connection.endheaders(body)
            response = connection.getresponse()
            text = self.seen.placed(response.read().decode())
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
        finally:
            connection.close()

    # --- comparing, once all has happened

    def differences(self) -> Iterator[tuple[str, Difference]]:
        """Every difference, with the file that it stands in."""
        self.binding.times.clear()  # Episodes tell times apart best, so they bind them first.
        for difference in self._compare_instances():
            yield f"episodes/{self.recording.name}.json", difference
        for i, (exchange, (answer, ahead)) in enumerate(zip(self.recording.exchanges, self._answers, strict=True)):
            self.score.exchanges += 1
            diverged = {i for i, at in self._diverged.items() if exchange.at is None or at <= exchange.at}
            loose = ahead | diverged if self._differs(exchange, answer, set()) else set()
            self.score.loose += bool(loose)
            for difference in compare_exchange(f"exchanges[{i}]", exchange, answer, self.binding, loose):
                yield f"http/{self.recording.name}.json", difference

    def _compare_instances(self) -> Iterator[Difference]:
        started_first = sorted(self.recording.instances.items(), key=lambda item: item[1][0].started_at)
        for instance_id, episodes in started_first:
            path = f"instances[{instance_id}]"
            there, here = generations(episodes), generations(self._here(instance_id))
            if self.recording.is_cut:
                there, here = there[:_BEFORE_THE_CUT], here[:_BEFORE_THE_CUT]
            if len(there) != len(here):
                yield Difference(f"{path} (generations)", len(there), len(here))
            for g, (there_episodes, here_episodes) in enumerate(zip(there, here, strict=False)):
                is_last = g == len(there) - 1 or self.recording.is_cut
                yield from self._compare_generation(instance_id, g, there_episodes, here_episodes, is_last=is_last)
                if instance_id in self._diverged:
                    break

    def _compare_generation(
        self, instance_id: str, number: int, recorded: list[Episode], here: list[Episode], *, is_last: bool
    ) -> Iterator[Difference]:
        path = f"instances[{instance_id}][{number}]"
        by_messages = {episode.messages: episode for episode in here}
        for n, episode in enumerate(recorded):
            peer = by_messages.get(episode.messages)
            if peer is None:
                self.score.rebatched += 1
                if beyond(episode.messages, here[-1].messages) or beyond(here[0].messages, episode.messages):
                    yield Difference(f"{path}.episodes[{n}].in (messages)", listed(episode), listed(here[-1]))
                continue
            found = list(self._compare_contexts(f"{path}.episodes[{n}].in", episode, peer))
            outcomes = list(compare(f"{path}.episodes[{n}]", episode.outcome, peer.outcome, self.binding))
            self.score.episodes += 1
            yield from found
            if outcomes and not found and episode.fired_early():
                yield Difference(
                    f"{path}.episodes[{n}].out (decided after an early timer)", episode.outcome, peer.outcome
                )
                self._diverged[instance_id] = episode.started_at
                return
            yield from outcomes
        extra = beyond(here[-1].messages, recorded[-1].messages)
        if any(not is_last or key[0] not in _EXTERNAL for key in extra):
            yield Difference(f"{path} (messages)", listed(recorded[-1]), listed(here[-1]))

    def _compare_contexts(self, path: str, recorded: Episode, here: Episode) -> Iterator[Difference]:
        there_rest, here_rest = ({k: v for k, v in e.context.items() if k != "history"} for e in (recorded, here))
        yield from compare(
            path,
            {"function": recorded.function, **there_rest},
            {"function": here.function, **here_rest},
            self.binding,
        )
        yield from compare_histories(f"{path}.history", recorded.history, here.history, self.binding)
