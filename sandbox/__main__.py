"""The command line: `python -m sandbox`. Not its business: what is served."""

import argparse
import asyncio
import errno
import json
import sys
from collections.abc import Sequence

from sandbox.server import DEFAULT_ADDRESS, DEFAULT_PORT, Sandbox

EXAMPLES = f"""\
examples:
  python -m sandbox
  python -m sandbox --port 7080
  curl -X PUT http://localhost:{DEFAULT_PORT}/github/repos/octo/cat -d '{{"open_issues": 5}}'
  curl -X PUT http://localhost:{DEFAULT_PORT}/github/repos/octo/cat -d '{{"status": 429}}'
  curl http://localhost:{DEFAULT_PORT}/sms
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl+C; the exit code: 0, 1 when the port cannot be had, 2 (argparse's) for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="GitHub and Twilio without accounts: stand-ins for both, in memory, on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument("--address", default=DEFAULT_ADDRESS, help="where to listen (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(options.port, options.address))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        reason = "the port is taken" if is_taken else error.strerror
        remedy = (
            "stop what listens there, or choose another --port"
            if is_taken
            else "choose another --port or --address"
        )
        print(f"sandbox: cannot listen on {options.address}:{options.port}: {reason}; {remedy}", file=sys.stderr)
        return 1
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")
    return int(text)


async def _serve(port: int, address: str) -> None:
    async with Sandbox(port=port, address=address) as sandbox:
        values = json.dumps(sandbox.settings, indent=4).strip("{}\n")
        print(
            f"Sandbox: GitHub and Twilio without accounts\n"
            f"\n"
            f"    Page    {sandbox.url}/\n"
            f"    GitHub  {sandbox.github_url}\n"
            f"    Twilio  {sandbox.twilio_url}\n"
            f"    SMS     {sandbox.url}/sms\n"
            f"\n"
            f'Set these under "Values" in local.settings.json, and run `func start`:\n'
            f"\n"
            f"{values}\n"
            f"\n"
            f"Ctrl+C ends it, and forgets everything.",
            flush=True,
        )
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
