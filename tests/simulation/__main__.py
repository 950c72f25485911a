"""Plays seeds again, each thing that happens on a line: `python -m tests.simulation SEED ...`."""

import sys

from tests.simulation.simulation import simulate, simulated_app

with simulated_app() as (app, hub):
    reports = [simulate(int(seed), app, hub) for seed in sys.argv[1:]]
for report in reports:
    print(*report.log, report, sep="\n")
sys.exit(any(report.violations for report in reports))
