"""The command line: `python -m durable_host`.

Not here: what is served (`host`) and how it is shown (`console`).
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from durable_host.dispatch.spawning import spawn
from durable_host.errors import HostError

if TYPE_CHECKING:
    import asyncio

    from durable_host.clock import Clock
    from sandbox.server import Sandbox

_STOP_S = 2.0  # For activities that run when Ctrl+C comes.
_EXAMPLES = """\
examples:
  python -m durable_host                     start the app in this folder
  python -m durable_host --sandbox           ... with stand-ins for the services that it calls
  python -m durable_host --skip-time         ... and jump over every timer as soon as nothing else is left to do
  curl -X POST localhost:7071/durable-host/clock -d '{"skip": "next"}'
                                             jump to the next timer of a host that runs with --sandbox
  python -m durable_host replay saved.json   check a changed orchestrator against a saved history
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl+C; the exit code: 0, 1 for what makes a start impossible, 2 (argparse's) for wrong usage.

    For `replay`: 0 when every history replays, else 1.
    """
    options = _parser().parse_args(arguments)
    root = Path(options.script_root).resolve()
    if options.command == "replay":
        return _replay(root, [Path(file).resolve() for file in options.files], options.python)
    try:
        if not root.is_dir():
            raise HostError(f"{root} is not a folder. Name the app's folder with --script-root.")
        # Early: it imports the SDK while this process imports the host.
        worker = spawn(root, options.python)
        return _run(options, root, worker)
    except (HostError, OSError) as error:
        print(f"durable_host: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, root: Path, worker: "subprocess.Popen[bytes]") -> int:
    import asyncio

    from durable_host.console import Console

    hub = options.hub and Path(options.hub).resolve()
    console = Console(_own(sys.stdout), options.verbose)
    try:
        os.chdir(root)
        asyncio.run(_serve(options, root, hub, worker))
    finally:
        worker.kill()
        console.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m durable_host",
        description="Runs an Azure Durable Functions app (function.json model, Python) on this machine alone.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, help="7071, or what local.settings.json says; 0 takes a free one")
    parser.add_argument("--address", help="where to listen: 127.0.0.1, or what local.settings.json says")
    parser.add_argument("--script-root", default=".", help="the app's folder (default: this one)")
    parser.add_argument(
        "--hub",
        help="the task hub's file (default: .durable_host/NAME.db in the app's folder, "
        "NAME.sandbox.db with --sandbox)",
    )
    parser.add_argument(
        "--skip-time", action="store_true", help="jump over every timer, and allow /durable-host/clock"
    )
    parser.add_argument(
        "--sandbox",
        type=_port,
        nargs="?",
        const=7072,
        metavar="PORT",
        help="serve stand-ins for the services that the app calls, on port 7072 or this one",
    )
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="the app's own Python, 3.11 or newer, with its requirements (default: the one that runs this)",
    )
    parser.add_argument("--verbose", action="store_true", help="log in detail")
    commands = parser.add_subparsers(dest="command", metavar="replay")
    command = commands.add_parser("replay", help="run saved histories through today's orchestrator code")
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="what a status request with showHistory answered"
    )
    command.add_argument("--script-root", default=argparse.SUPPRESS, help="the app's folder (default: this one)")
    command.add_argument("--python", metavar="PATH", default=argparse.SUPPRESS, help="the app's own Python")
    return parser


def _replay(root: Path, files: Sequence[Path], python: str | None) -> int:
    import asyncio

    from durable_host.engine.check import Verdict
    from durable_host.host import replay_files

    try:
        outcomes = asyncio.run(replay_files(root, files, python))
    except HostError as error:
        print(f"durable_host: {error}", file=sys.stderr)
        return 1
    for outcome in outcomes:
        print(outcome)
    return 0 if all(isinstance(each, Verdict) and each.at is None for each in outcomes) else 1


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError(text)
    return port


async def _serve(
    options: argparse.Namespace, root: Path, hub: Path | None, worker: "subprocess.Popen[bytes]"
) -> None:
    import asyncio
    from datetime import timedelta

    from durable_host.clock import RealClock, SkipClock
    from durable_host.console import functions_text, sample_calls
    from durable_host.functions.settings import read_settings
    from durable_host.host import Host

    stopped = _stop_on_signal()
    settings = read_settings(root)
    port = next(port for port in (options.port, settings.http_port, 7071) if port is not None)
    clock = SkipClock() if options.skip_time else RealClock()
    async with AsyncExitStack() as stack:
        sandbox = None if options.sandbox is None else await _start_sandbox(stack, options.sandbox, clock)
        host = Host(
            root,
            hub=hub,
            clock=clock,
            address=options.address or settings.http_address or "127.0.0.1",
            port=port,
            python=options.python,
            process=worker,
            sandbox_url=sandbox.url if sandbox else None,
            stop_s=_STOP_S,
            is_verbose=options.verbose,
        )
        stopping = asyncio.create_task(stopped.wait())
        starting = asyncio.create_task(stack.enter_async_context(host))
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await starting
            return
        await starting
        lines = ["durable_host: Azure Durable Functions on this machine, without Azure", *settings.warnings]
        if options.verbose:
            lines.append(f"Python {sys.version.split()[0]} ({sys.executable}), task hub {host.hub.path}")
        if host.clock.skipped:
            lines.append(f"The clock is {timedelta(seconds=round(host.clock.skipped.total_seconds()))} ahead.")
        lines += [functions_text(host.app, host.url, options.verbose), "", f"Dashboard: {host.url}/"]
        calls = sample_calls(host.app, host.url)
        if sandbox is not None:
            sandbox.allow_frame(host.url)
            lines.append(f"Sandbox:   {sandbox.url}/ ({sandbox.title})")
            calls += sandbox.sample_calls
        if calls:
            lines += ["", "Try it:", "", *(f"  {call}" for call in calls)]
        print("\n".join([*lines, ""]), flush=True)
        running = asyncio.create_task(host.run())
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running


def _stop_on_signal() -> "asyncio.Event":
    """An event that Ctrl+C sets; a second one ends the process at once."""
    import asyncio
    import signal

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        if stopped.is_set():
            os._exit(1)
        loop.call_soon_threadsafe(stopped.set)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)  # Not by the loop, which has no such thing on Windows.
    return stopped


async def _start_sandbox(stack: AsyncExitStack, port: int, clock: "Clock") -> "Sandbox":
    """Start the sandbox, and point the app at it."""
    from durable_host.host import reason
    from sandbox.server import DEFAULT_ADDRESS, Sandbox  # It lies beside this host, and is not there without it.

    try:
        sandbox = await stack.enter_async_context(Sandbox(port=port, now=clock.now))
    except OSError as error:
        raise HostError(
            f"Port {port} is unavailable on {DEFAULT_ADDRESS} ({reason(error)}), and the sandbox needs it. Close "
            "the process using that port, or choose another one with --sandbox PORT."
        ) from None
    os.environ.update(sandbox.settings)  # The environment wins over local.settings.json.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "localhost,127.0.0.1")))
    return sandbox


def _own(stream: TextIO) -> TextIO:
    """The stream, for the thread that writes the logs: where nobody reads, its wait holds up no flush of ours.

    It takes what has no encoding too.
    """
    return open(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="backslashreplace")


if __name__ == "__main__":
    code = main()
    with suppress(OSError):  # Whoever read it may have gone.
        sys.stdout.flush()
    # Threads that wait for a worker's end, or for a console that nobody reads, must not hold the process up.
    os._exit(code)
