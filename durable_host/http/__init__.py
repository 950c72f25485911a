"""The host's port: HTTP functions, the durable HTTP API, /admin/functions, the clock, the dashboard.

Stands in for the functions host's web server and the durable extension's HTTP API. Open `server` first; `webhooks`
has the durable HTTP API.
"""
