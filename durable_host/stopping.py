"""Ctrl+C: asks for a stop, and ends the process within 2 s where none comes, as when a function hangs.

What is committed stays, and what was running is run again by the next host. Not here: what is stopped (`host`).
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading

from durable_host import guard

_THREAD_AFTER_S = 0.9
_LOOK_S = 1.0


def stop_on_signal() -> asyncio.Event:
    """An event that Ctrl+C sets. A loop that does not come round to it is ended by a thread, or by the guard."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    # Started now: what the app has done to its process may keep a thread from being started later.
    asked = threading.Event()
    threading.Thread(target=_end_after, args=(asked,), name="stopping", daemon=True).start()

    def stop(*_: object) -> None:
        asked.set()
        loop.call_soon_threadsafe(stopped.set)

    def listen() -> None:
        # Again and again: the app's code may have set handlers of its own.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, stop)
        loop.call_later(_LOOK_S, listen)

    listen()
    if os.name == "posix":
        _start_guard()
    return stopped


def _end_after(asked: threading.Event) -> None:
    asked.wait()
    threading.Event().wait(_THREAD_AFTER_S)
    os._exit(0)


def _start_guard() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    nothing = subprocess.DEVNULL
    subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__], stdin=reading, stdout=nothing, stderr=nothing, cwd="/"
    )
    os.close(reading)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
