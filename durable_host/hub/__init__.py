"""The task hub: instances, history, messages and activities in flight, in one SQLite file.

Stands in for the storage provider (Azure Storage, Durable Task Scheduler). Open `taskhub` first; `instances` has
the operations that callers may ask for.
"""
