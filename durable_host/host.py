"""Wires the host together, once; what the command line and a test hold.

Not here: what any of the parts does.
"""

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self

from durable_host.clock import Clock, RealClock, SkipClock
from durable_host.dispatch.activities import Activities
from durable_host.dispatch.dispatcher import Dispatcher, OnEpisode
from durable_host.dispatch.drivers import Driver, Inline, Thread
from durable_host.dispatch.process import Process
from durable_host.dispatch.workers import OUTPUTS, Worker
from durable_host.engine.check import Verdict, replay
from durable_host.engine.registry import Options, Registry, missing_function
from durable_host.errors import AppError, HostError, InstanceNotFound, ProtocolError
from durable_host.functions.settings import environment, read_settings
from durable_host.functions.triggers import FunctionApp, read_app
from durable_host.http.clock_api import ClockApi
from durable_host.http.server import Server
from durable_host.http.status_json import status_json
from durable_host.http.webhooks import RPC_BASE, Webhooks
from durable_host.hub.instances import Instances
from durable_host.hub.taskhub import TaskHub
from durable_host.hub.writer import Writer
from durable_host.values import JSON, compact
from durable_host.worker.protocol import ClientCall, Init, Reply


class Host:
    """A function app, running: `async with Host(folder, hub=file) as host:`.

    Args:
        script_root: the app's folder, with host.json and the functions.
        hub: the task hub's file; by default `.durable_host/NAME.db` in the app's folder, NAME.sandbox.db beside a
            sandbox.
        clock: RealClock, or SkipClock to jump over every wait; a hub's skipped time is taken up again.
        port: 0 takes a free one.
        on_episode: told of each episode: instance id, function name, context, and the answer or failure.
        executor: where synchronous activities and HTTP functions run; all else of the app then runs in this event
            loop, so that things happen in one order.
        in_process: the app runs in a thread of this process, where fixtures, fakes and a debugger reach it.
        python: the interpreter for the app's process, which has its requirements; by default this one.
        process: the app's process, if it was spawned early.
        slow_s: after so many seconds a function that still runs is named.
        receive_s: how long a caller may take to send the head of a request, and again its body.
        may_skip: POST /durable-host/clock moves the clock; beside a sandbox, and with a SkipClock, it always does.
        stop_s: at the end, so many seconds are given to activities that run, and what they answer is stored.
        is_verbose: the app's log records from DEBUG on are told.
        sandbox_url: where stand-ins for what the app calls have a page; the dashboard shows it in a frame.
    Raises: AppError, HubError, or HostError when the port is taken or the worker cannot load the app; nothing is
        started then.

    `instances` has the operations by which the durable HTTP API works; those here take and give plain values.
    """

    url: str
    worker: Worker
    instances: Instances

    def __init__(
        self,
        script_root: Path | str,
        *,
        hub: Path | str | None = None,
        clock: Clock | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        on_episode: OnEpisode | None = None,
        executor: Executor | None = None,
        in_process: bool = False,
        python: str | None = None,
        process: "subprocess.Popen[bytes] | None" = None,
        slow_s: float = 30,
        receive_s: float = 7,
        sandbox_url: str | None = None,
        may_skip: bool = False,
        stop_s: float = 0,
        is_verbose: bool = False,
    ) -> None:
        self._root = Path(script_root).resolve()
        self._hub_path = hub and Path(hub)
        self.clock: Clock = clock or RealClock()
        self._address = address
        self._port = port
        self._on_episode = on_episode
        self._executor = executor
        self._in_process = in_process
        self._python = python
        self._process = process
        self._slow_s = slow_s
        self._is_verbose = is_verbose
        self._receive_s = receive_s
        self._sandbox_url = sandbox_url
        self._stop_s = stop_s
        self._may_skip = may_skip or sandbox_url is not None or isinstance(self.clock, SkipClock)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        self.clock.wake = asyncio.Event()  # The clock may have served another loop.
        settings = read_settings(self._root)
        listener = _listen(self._address, self._port)
        stack.callback(listener.close)
        port: int = listener.getsockname()[1]
        self.url = f"http://localhost:{port}"
        rpc_address = "127.0.0.1" if self._address in ("0.0.0.0", "localhost") else self._address
        rpc_origin = f"http://{f'[{rpc_address}]' if ':' in rpc_address else rpc_address}:{port}"
        stack.enter_context(environment(self._root, settings, port))
        app = read_app(self._root, OUTPUTS)
        # What was started with stand-ins for the world must never go on in the world itself.
        name = app.durable.hub_name + (".sandbox" if self._sandbox_url else "")
        path = self._hub_path or self._root / ".durable_host" / f"{name}.db"
        self.hub = stack.enter_context(TaskHub(path))
        self.clock.skipped = max(self.clock.skipped, self.hub.skipped)
        writer = Writer(self.hub, self.clock)
        self.instances = Instances(writer, self.clock, app.durable.replaces_live, app.durable.default_version)
        webhooks = Webhooks(self.instances, self.clock, app.durable, self.hub.key)
        self.client_binding = partial(webhooks.client_binding, self.url, rpc_origin)
        self.worker = Worker(
            app, self.clock, self._make_driver, lambda call: server.answer_client(call, rpc_origin), self._slow_s
        )
        activities = Activities(self.hub, self.clock, self.worker, app.durable.max_activities)
        self._dispatcher = Dispatcher(
            writer, self.clock, self.worker, registry(app), activities, self._on_episode, self._executor is None
        )
        clock_routes = ClockApi(self.clock, self.hub, self._dispatcher, self._may_skip)
        server = Server(self.worker, webhooks, self._dispatcher, clock_routes, self.hub.key, self._sandbox_url)
        await server.start(listener, self._receive_s)
        stack.push_async_callback(server.stop)
        self._loop = asyncio.create_task(self._dispatcher.run())
        stack.push_async_callback(_cancel, self._loop)
        stack.push_async_callback(self.worker.close)
        stack.push_async_callback(self._dispatcher.stop, self._stop_s)
        client, base = self.client_binding(), f"{rpc_origin}{RPC_BASE}/"
        await self.worker.start(Init(str(self._root), (), dict(os.environ), client, base, self._is_verbose))
        # Whoever starts a host speaks before its first work item does.
        self.clock.wake.set()

    def _make_driver(self) -> Driver:
        if self._executor is not None:
            return Inline(self._executor)
        if self._in_process:
            return Thread()
        process, self._process = self._process, None
        return Process(self._root, self._python, process)

    @property
    def app(self) -> FunctionApp:
        """The app, as it is loaded."""
        return self.worker.app

    async def run(self) -> None:
        """Serve until cancelled.

        Raises: what ended the dispatcher; that is a bug of the host.
        """
        await asyncio.shield(self._loop)

    async def start(self, name: str, input: JSON = None, instance_id: str | None = None) -> str:  # noqa: A002
        """Start an instance as the SDK's `start_new` does, and return its id.

        Raises: InstanceExists.
        """
        text = None if input is None else compact(json.dumps(input))
        return await self.instances.start(name, text, instance_id)

    async def status(self, instance_id: str, history: bool = False) -> dict[str, JSON] | None:
        """An instance's status as the durable HTTP API shows it, its history if asked; None when there is none."""
        try:
            record = self.instances.get(instance_id)
        except InstanceNotFound:
            return None
        past = self.instances.history(instance_id) if history else None
        return status_json(record, history=past, show_outputs=True)

    async def wait(self, instance_id: str, timeout_s: float = 10) -> dict[str, JSON]:
        """The status of an instance once it is finished.

        Raises: InstanceNotFound; TimeoutError after `timeout_s` seconds of real time, saying where it stands.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self.instances.get(instance_id).status.is_terminal:
                    await self._dispatcher.finished(instance_id)
        except TimeoutError:
            status = self.instances.get(instance_id).status.name
            raise TimeoutError(f"{instance_id} is still {status} after {timeout_s} s.") from None
        return status_json(self.instances.get(instance_id))

    async def raise_event(self, instance_id: str, name: str, value: JSON = None) -> None:
        """Send an external event as the durable HTTP API does; the orchestrator gets `value` as it is.

        Raises: InstanceNotFound, InstanceFinished.
        """
        await self.instances.raise_event(instance_id, name, compact(value))

    async def terminate(self, instance_id: str, reason: str | None = None) -> None:
        """End an instance. Raises: InstanceNotFound, InstanceFinished."""
        await self.instances.terminate(instance_id, reason)

    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Suspend an instance. Raises: InstanceNotFound, InstanceFinished, NotAllowed."""
        await self.instances.suspend(instance_id, reason)

    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Resume an instance. Raises: InstanceNotFound, InstanceFinished, NotAllowed."""
        await self.instances.resume(instance_id, reason)

    async def purge(self, instance_id: str) -> None:
        """Remove a finished instance. Raises: InstanceNotFound, NotAllowed."""
        await self.instances.purge(instance_id)

    async def idle(self) -> None:
        """Return once no work item is due and no function runs."""
        await self._dispatcher.idle()

    async def skip(self) -> datetime | None:
        """Jump to the next due timer, and return it once all is idle again; None when no timer waits."""
        return await self._dispatcher.skip()

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, from one due timer to the next."""
        await self._dispatcher.advance(timedelta(seconds=seconds))


async def replay_files(
    script_root: Path, files: Sequence[Path], python: str | None = None, in_process: bool = False
) -> list[Verdict | HostError]:
    """Run saved histories through an app's orchestrators, without a hub; nothing else of the app is called.

    What cannot be replayed, a file that holds no history or an orchestrator that is not there, stands in the list
    as its error.
    Raises: AppError when the app cannot be loaded.
    """
    outcomes: list[Verdict | HostError] = []
    async with AsyncExitStack() as stack:
        stack.enter_context(environment(script_root, read_settings(script_root), port=0))
        app = read_app(script_root, OUTPUTS)

        async def no_client(call: ClientCall) -> Reply:
            return Reply(call.id, 503, b"")

        worker = Worker(
            app, RealClock(), lambda: Thread() if in_process else Process(script_root, python), no_client
        )
        stack.push_async_callback(worker.close)
        await worker.start(Init(str(script_root), (), dict(os.environ), "", ""))
        for file in files:
            try:
                for status in read_histories(file):
                    outcomes.append(await _verdict(status, worker))
            except ProtocolError as error:
                outcomes.append(error)
    return outcomes


async def _verdict(status: JSON, worker: Worker) -> Verdict | HostError:
    known = registry(worker.app)
    replaying = replay(status, known)
    try:
        context = next(replaying)
        function = worker.app.find(status["name"])
        if function is None or function not in worker.app.orchestrators:
            return AppError(missing_function(status["name"], "orchestrator", known.orchestrators))
        while True:
            context = replaying.send(await worker.ask_orchestrator(function, context))
    except StopIteration as end:
        verdict: Verdict = end.value
        return verdict
    except HostError as error:
        return error


def read_histories(path: Path) -> list[JSON]:
    """The statuses in a saved file: one, or a list of them.

    Raises: ProtocolError when the file holds no status with a history.
    """
    try:
        saved = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ProtocolError(f"{path}: expected the JSON of a status request, found none ({error}).") from None
    statuses = saved if isinstance(saved, list) else [saved]
    for status in statuses:
        if not isinstance(status, dict) or not isinstance(status.get("historyEvents"), list):
            wanted = (
                "an instance's status with historyEvents; ask for it with showHistory=true&showHistoryOutput=true"
            )
            raise ProtocolError(f"{path}: expected {wanted}.")
    return statuses


def registry(app: FunctionApp) -> Registry:
    """What the engine goes by of an app."""
    durable = app.durable
    return Registry(
        tuple(function.name for function in app.orchestrators),
        tuple(function.name for function in app.activities),
        Options(
            durable.default_version,
            durable.http_sleep_ms,
            durable.max_actions,
            durable.store_inputs,
            durable.max_episodes,
        ),
    )


def _listen(address: str, port: int) -> socket.socket:
    if not _may_be_an_address(address):
        raise HostError(f"{address!r} is no address to listen on: name one with --address.")
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=512)
    except OSError as error:
        raise HostError(
            f"Port {port} is unavailable on {address} ({reason(error)}). Close the process using that port, or "
            "specify another port using --port."
        ) from None


def _may_be_an_address(text: str) -> bool:
    try:
        return b"\0" not in text.encode("idna")
    except UnicodeError:
        return False


def reason(error: OSError) -> str:
    """The system's own words for an error; asyncio's repeat the address."""
    # A name that is not found has a number below zero, which is not the system's.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
