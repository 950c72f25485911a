"""The orchestration core: what an episode's answer means for its instance, by pure functions alone.

Stands in for the Durable Task Framework's core (DurableTask.Core) and the part of the durable extension that reads
the SDK's answers. Open `play` first: how actions meet history. `episode` makes a decision of it.
"""
