"""The app's code: found, loaded, and called through the real SDK.

Stands in for the Azure Functions Python worker. Open `invoke` first: how one function is called. `loading` finds
them.
"""
