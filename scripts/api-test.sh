#!/usr/bin/env bash
# Generates requests from docs/openapi.json, right and wrong ones, and holds every answer of a real server against
# that document. Usage: scripts/api-test.sh [CASES]
#
# CASES (2000) are generated for each operation that has something to vary, without authentication; then 200 with it by
# an administrator, and 20 by nobody, which meets the refusals that tokens bring. Needs python3; Schemathesis goes into target/. The
# same CASES are the same requests. What it says at length is kept in target/api-test-output.
#
# Not asked for, and why:
# - positive_data_acceptance: what the document cannot say (an agent in the header and another one in the event, a time
#   of a period that is closed, a `from` after its `to`, the `next` of no answer) is refused, and has to be.
# - ignored_auth: without keys the server asks for no token, and the document says that too ("security": [.., {}]).
# - use_after_free, ensure_resource_availability: they need the stateful phase; budgets are counted elsewhere.
# An answer of 413 is a refusal like another, which Schemathesis has to be told: scripts/schemathesis.toml.
set -euo pipefail
cd "$(dirname "$0")/.."
cases=${1:-2000}
case $cases in '' | *[!0-9]* | 0*) echo "usage: scripts/api-test.sh [CASES], a whole number above 0 and not '$cases'" >&2; exit 2 ;; esac
version=4.32.5
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance
checks+=,response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method
checks+=,allow_header_conformance

command -v python3 >/dev/null 2>&1 || { echo "the API test needs python3, and there is none in PATH" >&2; exit 1; }
root=$PWD
tool=$root/target/api-test
if ! [ "$("$tool/bin/schemathesis" --version 2>/dev/null)" = "schemathesis, version $version" ]; then
    python3 -m venv "$tool"
    "$tool/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi
# With a test, so that features of dependencies are those of the tests, and nothing is built again after them.
cargo build --quiet --locked --workspace --bin agentledger --test documents
program=$root/target/debug/agentledger
output=$root/target/api-test-output
rm -rf "$output" && mkdir -p "$output"
work=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null || true; wait "$server" || true; server=; fi
}
trap 'stop; rm -rf "$work"' EXIT

# start NAME [OPTION…]: a server, and its address in $url.
start() {
    local name=$1
    shift
    "$program" up --listen 127.0.0.1:0 --data "$work/$name" "$@" >"$work/$name.ready" 2>"$output/$name-server.log" &
    server=$!
    for _ in $(seq 300); do
        url=$(sed -n 's/^agentledger ready on \(http:[^ ]*\) .*/\1/p' "$work/$name.ready")
        if [ -n "$url" ]; then return 0; fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "the server does not start; $output/$name-server.log says why" >&2
    exit 1
}

# generate NAME CASES [OPTION…]: the requests, and the summary of what came of them.
generate() {
    local name=$1 wanted=$2 failed=
    shift 2
    echo "-- $name: $wanted cases for each operation"
    # One worker: with several, a failure prints the sources of Schemathesis on Python 3.11.
    # In a directory of its own, since it keeps what it finds in the current one and tries that first.
    (cd "$output" && "$tool/bin/schemathesis" --no-color --config-file "$root/scripts/schemathesis.toml" \
        run "$root/docs/openapi.json" --url "$url" --phases examples,coverage,fuzzing \
        --max-examples "$wanted" --seed 1 --workers 1 --continue-on-failure --generation-database none \
        --suppress-health-check all --checks "$checks" --report ndjson --report-ndjson-path "$output/$name.ndjson" "$@" >"$output/$name.txt" 2>"$output/$name.err") ||
        failed=1
    "$tool/bin/python" scripts/api_test_summary.py docs/openapi.json "$output/$name.ndjson" "$wanted" || failed=1
    rm -f "$output/$name.ndjson"
    kill -0 "$server" 2>/dev/null || { echo "the server has died; $output/$name-server.log says why" >&2; failed=1; }
    if [ -n "$failed" ]; then
        sed -n '/^=* SUMMARY/,$p' "$output/$name.txt" >&2
        echo "the API test has failed; $output/$name.txt says how" >&2
        exit 1
    fi
}

start open
generate open "$cases"
stop

"$program" token keygen --out "$work/mint" >/dev/null
mkdir "$work/keys" && mv "$work/mint.pub" "$work/keys/"
printf '[auth]\npublic_keys = "%s"\n' "$work/keys" >"$work/agentledger.toml"
token=$("$program" token mint --key "$work/mint" --role admin --days 1)
start tokens --config "$work/agentledger.toml"
few=$((cases < 200 ? cases : 200))
generate tokens "$few" --header "authorization: Bearer $token"
# Without a token every answer is 401, also to a method that there is not.
generate nobody "$((few < 20 ? few : 20))" --exclude-checks unsupported_method,allow_header_conformance
stop
