"""The worker, a process of its own: loads the app's code, and calls it through the real SDK.

Stands in for the Azure Functions Python worker. Open `invoke` first: how one function is called. `protocol` has
what host and worker tell each other.
"""
