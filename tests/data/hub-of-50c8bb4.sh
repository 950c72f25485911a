#!/bin/sh
# Makes hub-of-50c8bb4.db: the hub that the app of commit 50c8bb4 left behind, its log taken into the file.
#
#     git worktree add ../old 50c8bb4
#     cd ../old && sh .../tests/data/hub-of-50c8bb4.sh PYTHON HUB
#
# Four monitors, by id: first-generation (3 checks), later-generation (14 checks), finished ("alerted") and failed.
# The two that wait check each hour and expire after 30 days; the last check of later-generation was refused.
# What was sent lies in that run's sandbox and is gone.
set -eu
python=$1 hub=$2 host=http://localhost:7071 github=http://localhost:7072/github/repos/octo

start() {
  curl -sf -X POST "$host/orchestrators/E3_Monitor/$1" -d "{\"repo\": \"octo/$1\", \"phone\": \"+14255550100\", $2}"
  sleep 2
}
advance() {
  curl -sf -X POST $host/durable-host/clock -d "{\"advance_seconds\": $1}"
  sleep 2
}

"$python" -m durable_host --sandbox --hub "$hub" &
until curl -sf $host/runtime/webhooks/durabletask/instances >/dev/null; do sleep 1; done
start later-generation '"interval_seconds": 3600, "expiry_seconds": 2592000'
advance 39700
start first-generation '"threshold": 2, "interval_seconds": 3600, "expiry_seconds": 2592000'
advance 7000
curl -sf -X PUT $github/later-generation -d '{"status": 404}'
advance 3000
curl -sf -X PUT $github/finished -d '{"open_issues": 5}'
start finished '"threshold": 4'
curl -sf -X PUT $github/failed -d '{"status": 404}'
start failed '"threshold": 4'
curl -sf "$host/runtime/webhooks/durabletask/instances?showInput=true"
kill -INT $!
wait $! || true
"$python" -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())' "$hub"
