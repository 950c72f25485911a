"""Ends the host when it has been told to stop and does not; a process beside it, which `stopping` starts.

A call into C can hold Python's interpreter lock for ever: no handler and no thread of the host gets to run then.
Its interpreter still writes the number of each signal to this process's standard input. Imports nothing of ours.
"""

import os
import signal
import sys

_AFTER_S = 1.5  # The host's own thread comes first.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:  # pragma: no cover - It runs without site-packages, and so without coverage.
    """Wait for the host's end, and bring it about when it is due."""
    host = os.getppid()
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # Ctrl+C goes to this process too.
    signal.signal(signal.SIGALRM, lambda *_: os.kill(host, signal.SIGKILL))
    is_armed = False
    while told := os.read(sys.stdin.fileno(), 1):
        if told[0] in _SIGNALS and not is_armed:
            signal.setitimer(signal.ITIMER_REAL, _AFTER_S)
            is_armed = True


if __name__ == "__main__":
    main()
