#!/usr/bin/env bash
# The whole story through Core Tools: Azurite, the sandbox and `func start`; a monitor, a fifth issue, one SMS.
# Runs on a copy of the app in a temporary folder. Exit code: 0 it works, 1 it does not, 77 nothing was tested.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-$PWD/.venv/bin/python}
FUNC_PORT=${FUNC_PORT:-7071} SANDBOX_PORT=${SANDBOX_PORT:-7072} BLOB_PORT=${BLOB_PORT:-10000}
HOST=http://localhost:$FUNC_PORT SANDBOX=http://localhost:$SANDBOX_PORT

command -v func > /dev/null || {
  echo "func-smoke: nothing was tested: func is not here (npm install -g azure-functions-core-tools@4)" >&2
  exit 77
}
[ -x "$PYTHON" ] || { echo "func-smoke: no Python at $PYTHON: run make start once, or set PYTHON" >&2; exit 1; }

work=$(mktemp -d)
pids=()
finish() {
  for signal in TERM KILL; do
    kill -s "$signal" "${pids[@]}" 2> /dev/null || true
    for _ in $(seq 25); do kill -0 "${pids[@]}" 2> /dev/null && sleep 0.2; done
  done
  rm -rf "$work"
}
trap finish EXIT

fail() {
  echo "func-smoke: $1" >&2
  tail -n 20 "$work"/*.log >&2
  exit 1
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local seconds=$1 what=$2
  shift 2
  for _ in $(seq "$((seconds * 5))"); do
    if "$@" > /dev/null 2>&1; then return; fi
    sleep 0.2
  done
  fail "$what: not within $seconds s"
}

# field EXPRESSION: of the JSON on standard input, called `it`.
field() { "$PYTHON" -c "import json, sys; it = json.load(sys.stdin); print($1)"; }
send() { curl --silent --show-error --noproxy '*' --max-time 20 --header 'Content-Type: application/json' "$@"; }
is_open() { (exec 3<> "/dev/tcp/127.0.0.1/$1"); }
has_checked() { [ "$(send "$status_url" | field "bool(it['customStatus'])")" = True ]; }
has_ended() { [ "$(send "$status_url" | field "it['runtimeStatus'] not in ('Pending', 'Running')")" = True ]; }

cp -R HttpStart E3_Monitor E3_TooManyOpenIssues E3_SendAlert host.json requirements.txt "$work"
"$PYTHON" - "$SANDBOX" > "$work/local.settings.json" << 'EOF'
import json
import sys

from sandbox.twilio import ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER

values = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "GITHUB_API_URL": f"{sys.argv[1]}/github",
    "TWILIO_API_URL": f"{sys.argv[1]}/twilio",
    "TwilioAccountSid": ACCOUNT_SID,
    "TwilioAuthToken": AUTH_TOKEN,
    "TwilioPhoneNumber": PHONE_NUMBER,
}
print(json.dumps({"IsEncrypted": False, "Values": values}))
EOF

if ! is_open "$BLOB_PORT" 2> /dev/null; then
  command -v azurite > /dev/null || fail "azurite is not here (npm install -g azurite), and nothing listens on $BLOB_PORT"
  azurite --silent --skipApiVersionCheck --location "$work/azurite" > "$work/azurite.log" 2>&1 &
  pids+=($!)
  wait_for 30 "Azurite" is_open "$BLOB_PORT"
fi
"$PYTHON" -m sandbox --port "$SANDBOX_PORT" > "$work/sandbox.log" 2>&1 &
pids+=($!)
wait_for 10 "the sandbox" send --fail "$SANDBOX/sms"
# Core Tools take the first Python on PATH; and what the environment has, local.settings.json cannot overrule.
mine=(GITHUB_TOKEN GITHUB_API_URL TWILIO_API_URL TwilioAccountSid TwilioAuthToken TwilioPhoneNumber AllowedPhoneNumbers)
(
  cd "$work"
  unset "${mine[@]}"
  export PATH="$(dirname "$PYTHON"):$PATH" NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1
  exec func start --port "$FUNC_PORT" > "$work/func.log" 2>&1
) &
pids+=($!)
wait_for 120 "func start" is_open "$FUNC_PORT"
echo "started: func on $FUNC_PORT, the sandbox on $SANDBOX_PORT"

send -X PUT "$SANDBOX/github/repos/octo/cat" -d '{"open_issues": 2}' > /dev/null
request='{"repo": "octo/cat", "phone": "+14255550100", "interval_seconds": 3, "expiry_seconds": 300}'
try_to_start() { send --fail -X POST "$HOST/orchestrators/E3_Monitor" -d "$request" -o "$work/started.json"; }
wait_for 60 "a start" try_to_start
status_url=$(field "it['statusQueryGetUri']" < "$work/started.json")
wait_for 60 "the first check" has_checked
echo "quiet: $(send "$status_url" | field "it['customStatus']")"

send -X PUT "$SANDBOX/github/repos/octo/cat" -d '{"open_issues": 5}' > /dev/null
wait_for 120 "the alert" has_ended
echo "ended: $(send "$status_url" | field "it['output']")"
[ "$(send "$status_url" | field "it['output']['outcome']")" = alerted ] || fail "it did not end with an alert"
[ "$(send "$SANDBOX/sms" | field "len(it)")" = 1 ] || fail "it was not one SMS: $(send "$SANDBOX/sms")"
echo "SMS: $(send "$SANDBOX/sms" | field "it[0]['body']")"

refused=$(send -X POST "$HOST/orchestrators/E3_Monitor" -d '{"repo": "octo"}' | field "it['error']['message']")
echo "refused: $refused"
echo "func-smoke: it works"
