"""What the host knows of a function app: host.json, its settings, its functions with their triggers and routes.

Stands in for the script host (Microsoft.Azure.WebJobs.Script). Open `triggers` first. Nothing here imports the
app.
"""
