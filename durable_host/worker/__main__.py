"""The worker's process, which the host starts in the app's folder: `python -P .../worker/__main__.py`.

It speaks to the host over the pipes that were its standard input and output. Whatever the app prints, and a
crash's last words, go to standard error, which the host reads too. This repository never gets onto sys.path.
Not here: what a message sets off (`serving`).
"""

import asyncio
import contextlib
import importlib
import importlib.util
import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durable_host.worker.protocol import ToHost

_CHUNK = 1 << 20
_HELD = 4  # Episodes whose answers are sent together, while more of them wait.
# Libraries that speak of each request, whose URLs hold tokens.
_QUIET = ("asyncio", "aiohttp", "azure", "urllib3", "opentelemetry")


def main() -> None:
    """Serve until the host closes the pipe; what runs then is ended with the process."""
    reading, writing = _take_pipes()
    _register_package()
    _die_with_the_host()
    asyncio.run(_serve(reading, writing))


def _take_pipes() -> tuple[int, int]:
    """Move the host's pipes out of the way of the app, which finds no input, and whose prints go to the host."""
    reading, writing = os.dup(0), os.dup(1)  # Not inherited by the app's own processes.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    if hasattr(os, "register_at_fork"):

        def forget() -> None:
            # Not closed: what the child opens next would get their numbers, and an answer with them.
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, reading)
            os.dup2(null, writing)
            os.close(null)

        os.register_at_fork(after_in_child=forget)
    return reading, writing


def _register_package() -> None:
    """Make `durable_host` importable from where this file lies, without its folder's neighbours."""
    if "durable_host" in sys.modules:
        return
    package = Path(__file__).parents[1]
    spec = importlib.util.spec_from_file_location(
        "durable_host", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["durable_host"] = module
    spec.loader.exec_module(module)


def _die_with_the_host() -> None:
    """On Linux the kernel sees to it, since a call into C may keep the thread that reads the pipe from running."""
    if sys.platform == "linux":
        import ctypes
        import signal

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class _Outlet:
    """Writes messages to the pipe, from any thread; answers of orchestrators some at a time."""

    def __init__(self, descriptor: int, encode: "Callable[[Any], bytes]") -> None:
        self._descriptor = descriptor
        self._encode = encode
        self._lock = threading.Lock()
        self._held: list[bytes] = []

    def send(self, message: "ToHost") -> None:
        """Write a message, and what was held back."""
        data = self._encode(message)
        with self._lock:
            self._held.append(data)
            self._flush()

    def hold(self, message: "ToHost") -> None:
        """Write a message once some have gathered, or at the next `send` or `flush`."""
        data = self._encode(message)
        with self._lock:
            self._held.append(data)
            if len(self._held) >= _HELD:
                self._flush()

    def flush(self) -> None:
        """Write what was held back."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        data = memoryview(b"".join(self._held))
        self._held.clear()
        while data:
            data = data[os.write(self._descriptor, data[:_CHUNK]) :]


async def _serve(reading: int, writing: int) -> None:
    from durable_host.worker import sdk
    from durable_host.worker.protocol import Decoder, Init, Log, NotReady, encode

    outlet = _Outlet(writing, encode)
    problem = sdk.preload()  # Early, while the host reads the app's files.
    if problem is not None:
        outlet.send(NotReady(problem))
        while os.read(reading, _CHUNK):
            pass
        return
    from durable_host.worker.serving import Serving
    from durable_host.worker.threads import OneByOne, pool

    def tell(record: logging.LogRecord) -> None:
        outlet.send(Log(record.levelno, record.name, _text(record), record.created))

    loop = asyncio.get_running_loop()
    orchestrators = OneByOne(outlet.flush)
    serving = Serving(outlet.send, outlet.hold, loop, orchestrators, pool)

    def read() -> None:
        code = 1  # A bug of ours: the host starts another worker.
        try:
            decoder = Decoder()
            while data := os.read(reading, _CHUNK):
                for message in decoder.feed(data):
                    if isinstance(message, Init):
                        _log_to(tell, message.is_verbose)
                    serving.receive(message)  # type: ignore[arg-type]
            code = 0  # The host has gone, or wants no more of this worker.
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)

    threading.Thread(target=read, name="pipe", daemon=True).start()
    await asyncio.Event().wait()


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    return f"{text}\n{logging.Formatter().formatException(record.exc_info)}" if record.exc_info else text


def _log_to(tell: Callable[[logging.LogRecord], None], is_verbose: bool) -> None:
    """Tell the host of all log records; the app's own handlers and levels are the app's."""
    handler = logging.Handler()
    handler.emit = tell  # type: ignore[assignment,method-assign]
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if is_verbose else logging.INFO, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
