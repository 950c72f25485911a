"""Other engines doing what `bench/app/Monitor` does, each in an environment that `install` makes.

install                  the environments
restate_server           starts Restate and measures it
durabletask/monitors     runs in its environment: backend, worker, client, and the monitor
restate/service          runs in its environment: the monitor, served for a Restate server, on Python and on Node
"""
