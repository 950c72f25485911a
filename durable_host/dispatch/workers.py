"""The one door to the app's code: loads it, calls its functions, and sees to what they write to output bindings.

Not here: which function to call and when (`dispatcher`, `activities`, the server), and what comes of its answer.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from datetime import timedelta
from typing import Any

from durable_host.clock import Clock
from durable_host.dispatch import twilio_sms
from durable_host.dispatch.watchdog import Watchdog
from durable_host.functions.function_json import Function
from durable_host.functions.triggers import FunctionApp
from durable_host.worker.invoke import Invoker
from durable_host.worker.loading import AppCode, load
from durable_host.worker.protocol import Declared, HttpAnswer, HttpCall

OUTPUTS = (twilio_sms.BINDING_TYPE,)  # The types of output bindings that are carried out.
log = logging.getLogger(__name__)


class Worker:
    """An app's functions, loaded.

    Args:
        app: as it is declared; `app` here knows which of its functions could not be loaded.
        pool: where synchronous functions run.
        clock: by which the console tells how long a call took.
        client_json: makes the text that a client binding (`starter`) receives, at each call.
        watchdog: names the functions that run for long.
    """

    def __init__(
        self,
        app: FunctionApp,
        clock: Clock,
        pool: Executor,
        client_json: Callable[[], str],
        watchdog: Watchdog,
    ) -> None:
        self._code = AppCode(app.root)
        try:
            loaded = {each.name: load(_declared(each), self._code) for each in app.functions}
        except BaseException:
            self._code.unload()
            raise
        self.app = app.with_errors({name: each.error for name, each in loaded.items() if each.error is not None})
        self._clock = clock
        self._watchdog = watchdog
        self._invoker = Invoker(loaded, pool, client_json)

    def unload(self) -> None:
        """Forget the app's modules, and take its root off sys.path; a second call does nothing."""
        self._code.unload()

    def begin(self, function: Function, reason: str = "(null)") -> "Invocation":
        """Tell the console that a function is called; the default reason is its word for a durable trigger."""
        return Invocation(function.name, self._clock, reason)

    def run_orchestrator(self, function: Function, context_json: str, invocation_id: str) -> str:
        """One episode: the durable context in, the SDK's answer out, both JSON text. Raises: FunctionFailed."""
        with self._watchdog.watching(function.name):
            return self._invoker.run_orchestrator(function.name, context_json, invocation_id)

    async def run_activity(self, function: Function, input_text: str | None, invocation_id: str) -> str | None:
        """One activity: JSON text in (None is null), compact JSON text out (None for null).

        Raises: FunctionFailed.
        """
        with self._watchdog.watching(function.name):
            result = await self._invoker.run_activity(function.name, input_text, invocation_id)
            await self._carry_out(function, result.outputs)
        return result.text

    async def run_http(self, function: Function, call: HttpCall, invocation_id: str) -> HttpAnswer:
        """One HTTP function. Raises: FunctionFailed, for which the host answers 500 without a body."""
        with self._watchdog.watching(function.name):
            result = await self._invoker.run_http(function.name, call, invocation_id)
            await self._carry_out(function, result.outputs)
        return result.answer

    async def _carry_out(self, function: Function, outputs: Mapping[str, Any]) -> None:
        for binding in function.bindings:
            if binding.type in OUTPUTS and binding.name in outputs:
                await twilio_sms.send(binding.properties, outputs[binding.name], self.app.extensions)


def _declared(function: Function) -> Declared:
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
        self.id = str(uuid.uuid4())
        self._name = name
        self._clock = clock
        log.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", name, reason, self.id)
        self._begun_at = clock.now()

    def end(self, problem: str | None = None) -> None:
        """Tell that it is over, and the problem if it has failed; an empty one has been told elsewhere."""
        took_ms = (self._clock.now() - self._begun_at) // timedelta(milliseconds=1)
        if problem is None:
            log.info("Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)", self._name, self.id, took_ms)
        else:
            more = problem and f"\n{problem}"
            log.error(
                "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)%s", self._name, self.id, took_ms, more
            )
