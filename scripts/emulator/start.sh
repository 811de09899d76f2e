#!/usr/bin/env bash
# A local AWS on loopback, without Docker: ministack, with event source mappings that follow AWS's rules (poller.py).
# usage: scripts/emulator/start.sh [DIR] [PORT]
#   DIR (default target/emulator) holds its virtual environment, state, temporary files, log, and its pid while it runs.
#   Stop it with scripts/emulator/stop.sh DIR. PERSIST=1 keeps state over a stop (not over kill -9).
#   POLLER names another poller than poller.py: the conformance test breaks copies of it.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
dir=$(realpath -m "${1:-$here/../../target/emulator}") port=${2:-4566}
versions=(ministack==1.5.33 cbor2==6.3.0 boto3==1.43.106)

mkdir -p "$dir"
if [ -f "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; then
    echo "an emulator runs in $dir already, with pid $(cat "$dir/pid")" >&2; exit 1
fi
if curl -sS -m1 -o /dev/null "http://127.0.0.1:$port/" 2>/dev/null; then
    echo "something answers on port $port already" >&2; exit 1
fi
# The stamp is written last: an installation that broke off is made anew.
if [ "$(cat "$dir/installed" 2>/dev/null)" != "${versions[*]}" ]; then
    rm -rf "$dir/venv"
    python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" -q --disable-pip-version-check install "${versions[@]}"
    echo "${versions[*]}" > "$dir/installed"
fi
mkdir -p "$dir/state" "$dir/s3" "$dir/tmp"
cd "$dir"
# Functions inherit this environment: a credential of the user's has no business in it.
env -u AWS_CA_BUNDLE -u AWS_PROFILE -u AWS_SESSION_TOKEN \
    AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 \
    GATEWAY_PORT="$port" BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 MINISTACK_REGION=us-east-1 \
    LAMBDA_EXECUTOR=local AWS_ENDPOINT_URL="http://127.0.0.1:$port" TMPDIR="$dir/tmp" \
    PERSIST_STATE="${PERSIST:-0}" STATE_DIR="$dir/state" S3_PERSIST="${PERSIST:-0}" S3_DATA_DIR="$dir/s3" \
    LOG_LEVEL="${LOG_LEVEL:-INFO}" PYTHONDONTWRITEBYTECODE=1 \
    setsid "$dir/venv/bin/python" "${POLLER:-$here/poller.py}" > "$dir/log" 2>&1 < /dev/null &
echo $! > "$dir/pid"
for _ in $(seq 300); do
    curl -fsS -m1 -o /dev/null "http://127.0.0.1:$port/_ministack/health" 2>/dev/null && exit 0
    kill -0 "$(cat "$dir/pid")" 2>/dev/null || break
    sleep 0.1
done
echo "the emulator did not start; the end of $dir/log:" >&2
tail -5 "$dir/log" >&2
"$here/stop.sh" "$dir"
exit 1
