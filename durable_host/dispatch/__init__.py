"""Work items: which are due, which function they are for, and what of its answer is committed.

Stands in for the dispatchers of the Durable Task Framework and the functions host's worker channel. Open
`dispatcher` first; `workers` is the one door to the app's code, and starts a worker again when it has died.
"""
