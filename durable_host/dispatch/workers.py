"""The one door to the app's code: calls its functions in a worker, and sees to what they write to output bindings.

A worker that dies is followed by another: what it had out is told so, and is the caller's business.
Not here: which function to call and when (`dispatcher`, `activities`, the server), and where a worker lives
(`drivers`).
"""

import asyncio
import itertools
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from durable_host.clock import Clock, stopwatch_s
from durable_host.dispatch import twilio_sms
from durable_host.dispatch.drivers import Driver
from durable_host.errors import FunctionFailed, HostError, WorkerDied
from durable_host.functions.function_json import Function
from durable_host.functions.triggers import FunctionApp
from durable_host.worker.protocol import (
    Activity,
    Call,
    ClientCall,
    Declared,
    Failure,
    HttpRequest,
    Init,
    Log,
    NotReady,
    Orchestrator,
    Ready,
    Reply,
    Result,
    ToHost,
    ToWorker,
)

OUTPUTS = (twilio_sms.BINDING_TYPE,)  # The types of output bindings that are carried out.
_NUMBERS = itertools.count(1)
_BACK_OFF_S = (0, 1, 2, 4, 8, 16, 30)
log = logging.getLogger(__name__)
Done = Callable[[Result | FunctionFailed], None]


@dataclass(frozen=True, slots=True)
class _Out:
    """A call that is out: of an orchestrator, its instance; since when, in real time; and who waits for it."""

    name: str
    instance_id: str | None
    since_s: float
    done: Done


class Worker:
    """An app's functions in a worker, from `start` until `close`.

    Args:
        app: as it is declared; once started, `app` here knows which of its functions could not be loaded.
        clock: by which the console tells how long a call took.
        make_driver: makes a worker; again, when one has died.
        client: answers the calls of the SDK's durable client.
        slow_s: after so many seconds of real time a function that still runs is named.
        blocks_s: the same for an orchestrator, which computes and should not wait.
    """

    def __init__(
        self,
        app: FunctionApp,
        clock: Clock,
        make_driver: Callable[[], Driver],
        client: Callable[[ClientCall], Awaitable[Reply]],
        slow_s: float = 30,
        blocks_s: float = 5,
    ) -> None:
        self.app = app
        self._clock = clock
        self._make_driver = make_driver
        self._driver: Driver | None = None
        self._client = client
        self._slow_s = slow_s
        self._blocks_s = blocks_s
        self._ids = itertools.count(1)
        self._out: dict[int, _Out] = {}
        self._named: set[int] = set()
        self._unsent: list[ToWorker] = []
        self._ready = asyncio.Event()
        self._problem: str | None = None
        self._was_ready = False  # At any time.
        self._deaths = 0
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, init: Init) -> None:
        """Load the app, and return once that is done.

        Raises: HostError when the worker cannot load it at all, or dies over it twice.
        """
        self._init = replace(init, functions=tuple(asdict(declared(each)) for each in self.app.functions))
        self._open()
        await self._ready.wait()
        if self._problem is not None:
            raise HostError(self._problem)

    @property
    def is_ready(self) -> bool:
        """Whether functions can be called now."""
        return self._ready.is_set()

    async def until_ready(self) -> None:
        """Return once functions can be called."""
        await self._ready.wait()

    async def close(self) -> None:
        """End the worker; who still waits for a call is told nothing."""
        for task in self._tasks:
            task.cancel()
        self._out.clear()
        self._is_closed = True
        if self._driver is not None:
            await self._driver.close()

    def _open(self) -> None:
        self._driver = driver = self._make_driver()
        driver.open(self._hear, self._ended)
        driver.send([self._init])

    def _hear(self, message: ToHost) -> None:
        if self._is_closed:
            return
        match message:
            case Result(number) | Failure(number):
                call = self._out.pop(number, None)
                if call is not None:
                    self._deaths = 0
                    call.done(_answer(message))
            case ClientCall():
                self._do(self._reply(message, self._driver))
            case Log():
                _log(message)
            case Ready(errors):
                self.app = self.app.with_errors({name: FunctionFailed(*error) for name, error in errors.items()})
                self._was_ready = True
                self._ready.set()
                self._clock.wake.set()
                self._flush()
            case NotReady(reason) if self._was_ready and self._driver is not None:
                self._do(self._replace(self._driver, reason))
            case NotReady(reason):
                self._problem = reason
                self._ready.set()

    def _do(self, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, call: ClientCall, driver: Driver | None) -> None:
        # Not to the worker that may have followed meanwhile, whose calls have the same numbers.
        reply = await self._client(call)
        if driver is not None:
            driver.send([reply])

    def _ended(self, how: str) -> None:
        """The worker is gone: tell who waits, and start another."""
        out, self._out = self._out, {}
        names = ", ".join(f"'{each.name}'" for each in out.values())
        self._deaths += 1
        if not self._was_ready and self._deaths == 2:
            self._problem = f"The worker ended before the app was loaded: {how}. What it said stands above."
            self._ready.set()
            return
        running = f" It was running {names}." if names else ""
        log.error("The worker has ended: %s.%s Another one is started.", how, running)
        self._ready.clear()
        self._unsent.clear()
        self._do(self._follow())
        for each in out.values():
            each.done(WorkerDied(how))

    async def _replace(self, driver: Driver, reason: str) -> None:
        """End a worker that cannot load the app as an earlier one could, and start another."""
        await driver.close()
        self._ended(reason)

    async def _follow(self) -> None:
        """Start another worker; where that is impossible now, try later."""
        while True:
            after_s = _BACK_OFF_S[min(self._deaths, len(_BACK_OFF_S)) - 1]
            if after_s:
                await asyncio.sleep(after_s)  # noqa: TID251 - Real time, whatever the host's clock shows.
            try:
                self._open()
                return
            except HostError as error:  # No memory for a process, or the interpreter is gone.
                log.error("%s", error)
                self._deaths += 1

    def begin(self, function: Function, reason: str = "(null)") -> "Invocation":
        """Tell the console that a function is called; the default reason is its word for a durable trigger."""
        return Invocation(function.name, self._clock, reason)

    def run_orchestrator(
        self, function: Function, instance_id: str, context_json: str, invocation_id: str, done: Done
    ) -> None:
        """One episode: the durable context in, JSON text; `done` is told the SDK's answer, or how it failed."""
        call = Orchestrator(next(self._ids), function.name, invocation_id, context_json.encode())
        self._call(call, done, instance_id)

    async def ask_orchestrator(self, function: Function, context_json: str) -> str | FunctionFailed:
        """One episode of no instance: the SDK's answer, or how it failed."""
        told: asyncio.Future[Result | FunctionFailed] = asyncio.get_running_loop().create_future()
        self.run_orchestrator(function, "a history", context_json, str(uuid.uuid4()), told.set_result)
        answer = await told
        return state_of(answer) if isinstance(answer, Result) else answer

    def run_activity(self, function: Function, input_text: str | None, invocation_id: str, done: Done) -> None:
        """One activity: JSON text in, None is null; `done` is told once its outputs are seen to."""
        payload = b"null" if input_text is None else input_text.encode()
        call = Activity(next(self._ids), function.name, invocation_id, payload)
        self._call(call, lambda answer: self._finish(function, answer, done))

    async def run_http(self, function: Function, request: HttpRequest) -> Result:
        """One HTTP function; the request's `id` is given here.

        Raises: FunctionFailed, for which the host answers 500 without a body.
        """
        told: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(answer: Result | FunctionFailed) -> None:
            if told.done():
                return  # The caller has gone.
            if isinstance(answer, Result):
                told.set_result(answer)
            else:
                told.set_exception(answer)

        call = replace(request, id=next(self._ids))
        self._call(call, lambda answer: self._finish(function, answer, done))
        return await told

    def _finish(self, function: Function, answer: Result | FunctionFailed, done: Done) -> None:
        """Carry out what a function wrote to its output bindings, and then tell of its end."""
        if isinstance(answer, Result) and answer.outputs:
            self._do(self._carry_out(function, answer, done))
        else:
            done(answer)

    async def _carry_out(self, function: Function, answer: Result, done: Done) -> None:
        try:
            for binding in function.bindings:
                if binding.type in OUTPUTS and binding.name in answer.outputs:
                    output = answer.outputs[binding.name]
                    await twilio_sms.send(binding.properties, output, self.app.extensions)
        except FunctionFailed as failure:
            done(failure)
        except Exception as error:  # A bug of this host: whoever waits must be told.
            log.exception("An output of '%s' could not be sent.", function.name)
            done(FunctionFailed(type(error).__name__, "an output binding could not be carried out"))
        else:
            done(answer)

    def _call(self, call: Call, done: Done, instance_id: str | None = None) -> None:
        self._out[call.id] = _Out(call.function, instance_id, stopwatch_s(), done)
        # Those of one round of the loop go in one write.
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(call)

    def _flush(self) -> None:
        if self._unsent and self._ready.is_set() and self._driver is not None:
            messages, self._unsent = self._unsent, []
            self._driver.send(messages)

    def look(self) -> None:
        """Name the functions that have run for long since the last look."""
        now_s = stopwatch_s()
        for number, call in self._out.items():
            ran_s = now_s - call.since_s
            if ran_s < min(self._slow_s, self._blocks_s):
                break  # The others came later.
            if number in self._named:
                continue
            if call.instance_id is not None and ran_s >= self._blocks_s:
                self._named.add(number)
                text = "%s: orchestrator '%s' has been running for %d s: it must not block. Wait in an activity."
                log.warning(text, call.instance_id, call.name, ran_s)
            elif ran_s >= self._slow_s:
                self._named.add(number)
                log.warning("Function '%s' has been running for %d s.", call.name, ran_s)
        self._named &= self._out.keys()


def _log(message: Log) -> None:
    """A log record of the app, as one of ours."""
    fields = {"name": message.logger, "levelno": message.level, "msg": message.text, "created": message.created_s}
    fields["levelname"] = logging.getLevelName(message.level)
    logging.getLogger(message.logger).handle(logging.makeLogRecord(fields))


def state_of(result: Result) -> str:
    """The SDK's answer to an episode."""
    return result.payload.decode("utf-8", "surrogatepass")


def _answer(message: Result | Failure) -> Result | FunctionFailed:
    if isinstance(message, Result):
        return message
    return FunctionFailed(message.type_name, message.message, message.stack)


def declared(function: Function) -> Declared:
    """What the worker needs of a function to load it."""
    return Declared(
        name=function.name,
        folder=str(function.folder),
        script=str(function.script),
        entry_point=function.entry_point,
        trigger=function.trigger.name,
        bindings={each.name: (each.type, each.direction) for each in function.bindings},
    )


class Invocation:
    """A call that begins now, as the console tells of it: Executing, and then Executed with what came of it.

    `id` is what the function is told.
    """

    def __init__(self, name: str, clock: Clock, reason: str) -> None:
        # A random one costs as much as the rest of this, so it is made only where the console shows it.
        self.id = str(uuid.uuid4()) if log.isEnabledFor(logging.INFO) else str(uuid.UUID(int=next(_NUMBERS)))
        self.name = name
        self._clock = clock
        log.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", name, reason, self.id)
        self._begun_at = clock.now()

    def end(self, problem: str | None = None) -> None:
        """Tell that it is over, and the problem if it has failed; an empty one has been told elsewhere."""
        took_ms = (self._clock.now() - self._begun_at) // timedelta(milliseconds=1)
        if problem is None:
            log.info("Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)", self.name, self.id, took_ms)
        else:
            more = problem and f"\n{problem}"
            log.error(
                "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)%s", self.name, self.id, took_ms, more
            )
