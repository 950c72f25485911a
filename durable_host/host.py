"""Wires the host together, once; what the command line and a test hold.

Not here: what any of the parts does.
"""

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self

from durable_host.clock import Clock, RealClock
from durable_host.dispatch.activities import Activities
from durable_host.dispatch.dispatcher import Dispatcher, OnEpisode
from durable_host.dispatch.watchdog import Watchdog
from durable_host.dispatch.workers import OUTPUTS, Worker
from durable_host.engine.check import RunOrchestrator, Verdict, read_histories, replay
from durable_host.engine.registry import Options, Registry, missing_function
from durable_host.errors import AppError, HostError, InstanceNotFound, ProtocolError
from durable_host.functions.settings import environment, read_settings, thread_count
from durable_host.functions.triggers import FunctionApp, read_app
from durable_host.http.clock_api import ClockApi
from durable_host.http.server import Server
from durable_host.http.status_json import status_json
from durable_host.http.webhooks import Webhooks
from durable_host.hub.instances import Instances
from durable_host.hub.taskhub import TaskHub
from durable_host.hub.writer import Writer
from durable_host.values import JSON, compact
from durable_host.worker import sdk


class Host:
    """A function app, running: `async with Host(folder, hub=file) as host:`.

    Args:
        script_root: the app's folder, with host.json and the functions.
        hub: the task hub's file; by default `.durable_host/NAME.db` in the app's folder.
        clock: RealClock, or SkipClock to jump over every wait; a hub's skipped time is taken up again.
        port: 0 takes a free one.
        on_episode: told of each episode: instance id, function name, context, and the answer or failure.
        executor: where synchronous activities and HTTP functions run; by default a thread pool of its own.
        watchdog: names the functions that run for long; by default after 30 s.
        receive_s: how long a caller may take to send the head of a request, and again its body.
        sandbox_url: where stand-ins for what the app calls have a page; the dashboard shows it in a frame.
    Raises: AppError, HubError, or HostError when the port is taken; nothing is started then.

    `instances` has the operations by which the durable HTTP API works; those here take and give plain values.
    """

    url: str
    app: FunctionApp
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
        watchdog: Watchdog | None = None,
        receive_s: float = 7,
        sandbox_url: str | None = None,
    ) -> None:
        self._root = Path(script_root).resolve()
        self._hub_path = hub and Path(hub)
        self.clock: Clock = clock or RealClock()
        self._address = address
        self._port = port
        self._on_episode = on_episode
        self._executor = executor
        self._watchdog = watchdog
        self._receive_s = receive_s
        self._sandbox_url = sandbox_url
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
        rpc_host = f"[{rpc_address}]" if ":" in rpc_address else rpc_address
        stack.enter_context(environment(self._root, settings, port))
        stack.callback(sdk.quiet_warnings())
        app = read_app(self._root, OUTPUTS)
        pool = self._executor or ThreadPoolExecutor(thread_count(), thread_name_prefix="function")
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        watchdog = stack.enter_context(self._watchdog or Watchdog())
        self.worker = worker = Worker(app, self.clock, pool, lambda: self.client_binding(), watchdog)
        stack.callback(worker.unload)
        self.app = worker.app
        stack.callback(sdk.speed_up_replay())
        stack.push_async_callback(sdk.close_session)
        self.hub = stack.enter_context(
            TaskHub(self._hub_path or self._root / ".durable_host" / f"{app.durable.hub_name}.db")
        )
        self.clock.skipped = max(self.clock.skipped, self.hub.skipped)
        writer = Writer(self.hub, self.clock)
        self.instances = Instances(writer, self.clock, app.durable.replaces_live, app.durable.default_version)
        webhooks = Webhooks(self.instances, self.clock, app.durable, self.hub.key)
        self.client_binding = partial(webhooks.client_binding, self.url, f"http://{rpc_host}:{port}")
        activities = Activities(writer, self.clock, worker, app.durable.max_activities)
        self._dispatcher = Dispatcher(writer, self.clock, worker, registry(self.app), activities, self._on_episode)
        clock_routes = ClockApi(self.clock, self.hub, self._dispatcher)
        server = Server(worker, webhooks, self._dispatcher, clock_routes, self.hub.key, self._sandbox_url)
        await server.start(listener, self._receive_s)
        # Last, so that whoever starts a host speaks before its first work item does.
        self._loop = asyncio.create_task(self._dispatcher.run())
        stack.push_async_callback(_cancel, self._loop)
        stack.push_async_callback(server.stop)

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


def replay_files(script_root: Path, files: Sequence[Path]) -> list[Verdict | HostError]:
    """Run saved histories through an app's orchestrators, without a hub; nothing else of the app is called.

    What cannot be replayed, a file that holds no history or an orchestrator that is not there, stands in the list
    as its error.
    Raises: AppError when the app cannot be loaded.
    """
    settings = read_settings(script_root)
    outcomes: list[Verdict | HostError] = []
    with ExitStack() as stack:
        stack.enter_context(environment(script_root, settings, port=0))
        stack.callback(sdk.quiet_warnings())
        pool = stack.enter_context(ThreadPoolExecutor(1))
        watchdog = stack.enter_context(Watchdog())
        worker = Worker(read_app(script_root, OUTPUTS), RealClock(), pool, lambda: "", watchdog)
        stack.callback(worker.unload)
        known = registry(worker.app)

        def run(name: str, context: str) -> str:
            function = worker.app.find(name)
            if function is None or function not in worker.app.orchestrators:
                raise AppError(missing_function(name, "orchestrator", known.orchestrators))
            return worker.run_orchestrator(function, context, "replay")

        for file in files:
            try:
                for status in read_histories(file):
                    outcomes.append(_verdict(status, run, known))
            except ProtocolError as error:
                outcomes.append(error)
    return outcomes


def registry(app: FunctionApp) -> Registry:
    """What the engine goes by of an app."""
    durable = app.durable
    return Registry(
        tuple(function.name for function in app.orchestrators),
        tuple(function.name for function in app.activities),
        Options(durable.default_version, durable.http_sleep_ms, durable.max_actions, durable.store_inputs),
    )


def _verdict(status: JSON, run: RunOrchestrator, registry: Registry) -> Verdict | HostError:
    try:
        return replay(status, run, registry)
    except HostError as error:
        return error


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
