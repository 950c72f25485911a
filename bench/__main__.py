"""The command line: `python -m bench [NAME ...]`.

Not here: what is measured.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import crash, fan_out, growth, hostile, machine, monitors, pipes, sleeping, starts, startup, timers
from bench.figures import Figure, table
from bench.plan import Plan
from bench.processes import ROOT

_BENCHES: dict[str, Callable[[Plan], list[Figure]]] = {
    module.NAME: module.measure
    for module in (monitors, starts, fan_out, timers, growth, sleeping, crash, startup, hostile, pipes)
}
_CHARTS: dict[str, Callable[[Sequence[Figure]], str]] = {
    monitors.NAME: monitors.chart,
    growth.NAME: growth.chart,
}
_IMAGES = ROOT / "docs" / "images"


def main() -> int:
    """Run benches; the exit code is 0 also when a goal is not reached: a figure is a figure."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures durable_host, beside peers. Writes NAME.json, the table NAME.md and charts to "
        "bench/out; all benches together write bench.json and bench.md, and the charts to docs/images.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_BENCHES)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="how often each thing is measured (default: 5)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in _BENCHES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; expected {', '.join(_BENCHES)}")
    if not Path("/proc/self/status").exists():
        parser.error("memory and CPU time are read from /proc: run it on Linux")
    # Each start would compile our sources again, and the peers' imports not: users' shells keep bytecode.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    out = ROOT / "bench" / "out"
    out.mkdir(exist_ok=True)
    _run(options.names or list(_BENCHES), Plan(options.runs, out), is_all=not options.names)
    return 0


def _run(names: Sequence[str], plan: Plan, is_all: bool) -> None:
    head = machine.line()
    began = time.perf_counter()
    figures: list[Figure] = []
    for name in names:
        plan.tell(name)
        found = _BENCHES[name](plan)
        figures += found
        if name in _CHARTS:
            target = _IMAGES if is_all else plan.out
            (target / f"bench-{name}.svg").write_text(_CHARTS[name](found), encoding="utf-8")
    took_s = time.perf_counter() - began
    how = f"{plan.runs} runs in turns, median and spread; {took_s:.0f} s in all."
    text = f"{head}. {how}\n\n{table(figures)}\n"
    stem = "bench" if is_all else "-".join(names)
    (plan.out / f"{stem}.md").write_text(text, encoding="utf-8")
    result = {
        "machine": head,
        "runs": plan.runs,
        "seconds": took_s,
        "figures": [each.to_json() for each in figures],
    }
    (plan.out / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
