"""Measures durable_host, beside peers that do the same work in the same call.

    __main__    `python -m bench [NAME ...]`: runs benches, writes JSON, a table and charts
    monitors    monitors a second, beside other engines; the real app's checks
    starts      from a POST to the 202 that is on disk
    fan_out     1,000 and 4,000 activities at once
    timers      by how much durable timers are late
    growth      what a check costs after many
    sleeping    100,000 sleeping monitors: memory, file, list, purge
    crash       kill -9 with 100,000 sleeping
    startup     from the process's start to the first 202; memory
    hostile     from a POST to the 202 beside attackers
    pipes       pipes between two processes, beside a socket pair
    own         our side of a measurement, as a process of its own
    attack      the attackers, likewise
    endless     monitors with thousands of checks, likewise
    before      this project at an earlier commit
    hub         fills a task hub with sleeping monitors
    processes   hosts as processes: started, looked at, killed
    client      requests to them
    plan        how often, where to
    machine     what it ran on
    figures     a measured figure, its spread, its peer, its goal; the table and the JSON
    charts      SVG
    peers/      other engines: installing them, and the same monitor on each
    app/        the function app that is measured
A machine's speed drifts, so whatever is compared is measured in turns, and only ratios are worth keeping.
Reads memory and CPU time from /proc, so it needs Linux.
"""
