#!/bin/sh
# Sends generated requests, right and wrong ones, to a service of its own over its own description for MINUTES (10), and
# fails if any answer is a 5xx. SEED repeats a run; RATE (requests per second, 50) leaves the machine to others.
#   scripts/schemathesis.sh [MINUTES]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
minutes=${1:-10}
venv="$root/.venv-schemathesis"
exec 9>"$venv.lock"
flock 9
if [ ! -f "$venv/.ready" ]; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5 >&2
    touch "$venv/.ready"
fi
flock -u 9
cd "$root"
cargo build --quiet -p weft-api --example serve >&2
target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d)
"$target/debug/examples/serve" --listen 127.0.0.1:0 --data "$work/data" >"$work/said" 2>"$work/log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT INT TERM
for _ in $(seq 100); do
    grep -q '^listening on ' "$work/said" && break
    sleep 0.1
done
address=$(sed -n 's/^listening on //p' "$work/said")
[ -n "$address" ] || { echo "the service did not start:" >&2; cat "$work/log" >&2; exit 1; }
# A watch never ends, so it is not asked for; the stateful phase follows links, of which the description has none.
cd "$work"
status=0
"$venv/bin/schemathesis" --no-color run "http://$address/openapi.json" \
    --checks not_a_server_error --phases examples,coverage,fuzzing --exclude-path /watch \
    --max-time "$((minutes * 60))" --rate-limit "${RATE:-50}/s" --request-timeout 20 --continue-on-failure \
    --generation-database none --no-shrink --suppress-health-check all --warnings off ${SEED:+--seed "$SEED"} || status=$?
kill -0 "$server" 2>/dev/null || { echo "the service is gone:" >&2; tail -20 "$work/log" >&2; status=1; }
exit "$status"
