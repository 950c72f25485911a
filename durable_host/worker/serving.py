"""What a worker does with each message of the host: it loads the app, and calls its functions where they belong.

Orchestrators run one at a time in a thread without an event loop, synchronous functions in a pool of threads,
coroutines in the event loop. Where exactly is the driver's choice: a process (`__main__`), a thread of a test's
own process, or inline, where all run at once in the caller's thread.
Not here: how messages come and go, and one call (`invoke`).
"""

import asyncio
import itertools
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from functools import partial
from pathlib import Path

from durable_host.errors import FunctionFailed, HostError
from durable_host.worker import sdk
from durable_host.worker.invoke import Functions
from durable_host.worker.loading import AppCode, load
from durable_host.worker.protocol import (
    Call,
    ClientCall,
    Declared,
    Failure,
    Init,
    NotReady,
    Orchestrator,
    Ready,
    Reply,
    Result,
    ToHost,
    ToWorker,
)


class Serving:
    """An app in a worker, from `Init` until `close`.

    Args:
        emit: takes what the host is told, in whatever thread it comes about.
        emit_state: the same for what an orchestrator answered; it may wait for some more of them.
        loop: of the coroutine functions; the app is imported there too.
        orchestrators: where orchestrators run.
        make_pool: makes where other synchronous functions run, once the app's settings are in the environment.
    """

    def __init__(
        self,
        emit: Callable[[ToHost], None],
        emit_state: Callable[[ToHost], None],
        loop: asyncio.AbstractEventLoop,
        orchestrators: Executor,
        make_pool: Callable[[], Executor],
    ) -> None:
        self._emit = emit
        self._emit_state = emit_state
        self._loop = loop
        self._orchestrators = orchestrators
        self._make_pool = make_pool
        self._pool: Executor | None = None
        self._functions = Functions({}, "")
        self._code: AppCode | None = None
        self._undo: list[Callable[[], None]] = []
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def receive(self, message: ToWorker) -> None:
        """Take a message; in any thread, but always the same one."""
        match message:
            case Init():
                self._loop.call_soon_threadsafe(self.load, message)
            case Reply():
                self._loop.call_soon_threadsafe(self._told, message)
            case Orchestrator():
                self._submit(self._orchestrators, message, self._emit_state)
            case _ if self._functions.is_async(message.function):
                self._loop.call_soon_threadsafe(self._spawn, message)
            case _:
                assert self._pool is not None  # The host calls nothing before the app is loaded.
                self._submit(self._pool, message, self._emit)

    def load(self, init: Init) -> None:
        """Import the app, and tell what came of it."""
        os.environ.update(init.environment)  # What the interpreter's own start has set besides stays.
        # Not the host's, where the app has an interpreter of its own.
        os.environ["FUNCTIONS_WORKER_RUNTIME_VERSION"] = f"{sys.version_info.major}.{sys.version_info.minor}"
        self._pool = self._make_pool()
        self._undo.append(sdk.quiet_warnings())
        try:
            self._code = AppCode(Path(init.root))
        except HostError as error:
            self._emit(NotReady(str(error)))
            return
        loaded = {each["name"]: load(Declared(**each), self._code) for each in init.functions}
        self._functions = Functions(loaded, init.client)
        self._undo += [sdk.speed_up_replay(), sdk.speed_up_client(init.client_base, self._ask)]
        failed = {name: each.error for name, each in loaded.items() if each.error is not None}
        self._emit(Ready({name: (e.type_name, e.message, e.stack) for name, e in failed.items()}))

    async def close(self) -> None:
        """End what runs in the loop, and forget the app, so that another one may be loaded in this process."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        await sdk.close_session()
        for undo in reversed(self._undo):
            undo()
        if self._code is not None:
            self._code.unload()

    def _submit(self, executor: Executor, call: Call, emit: Callable[[ToHost], None]) -> None:
        # In a context of its own: what a call sets there, the thread's next call must not find.
        try:
            running = executor.submit(copy_context().run, self._outcome, call)
        except RuntimeError as error:  # No thread can be made, for want of memory or by what the app has done.
            emit(Failure(call.id, "RuntimeError", str(error), ""))
            return

        def tell(ended: "Future[Result | Failure]") -> None:
            if not ended.cancelled():
                emit(ended.result())

        running.add_done_callback(tell)

    def _outcome(self, call: Call) -> Result | Failure:
        try:
            return self._functions.run(call)
        except FunctionFailed as failure:
            return _failure(call, failure)

    def _spawn(self, call: Call) -> None:
        task = self._loop.create_task(self._run_async(call))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run_async(self, call: Call) -> None:
        try:
            told: Result | Failure = await self._functions.run_async(call)
        except FunctionFailed as failure:
            told = _failure(call, failure)
        self._emit(told)

    async def _ask(self, method: str, url: str, payload: bytes) -> Reply:
        """A call of the SDK's client, answered by the host."""
        number = next(self._numbers)
        told: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = told
        try:
            self._emit(ClientCall(number, method, url, payload))
            return await told
        finally:
            del self._waiting[number]

    def _told(self, reply: Reply) -> None:
        told = self._waiting.get(reply.id)
        if told is not None and not told.done():
            told.get_loop().call_soon_threadsafe(partial(_settle, told, reply))


def _settle(told: "asyncio.Future[Reply]", reply: Reply) -> None:
    if not told.done():
        told.set_result(reply)


def _failure(call: Call, failure: FunctionFailed) -> Failure:
    return Failure(call.id, failure.type_name, failure.message, failure.stack)
