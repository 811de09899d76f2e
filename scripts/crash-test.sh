#!/usr/bin/env bash
# Runs `agentledger up` under load, kills it with SIGKILL at random moments, and compares the totals with what
# was sent. Usage: scripts/crash-test.sh [KILLS] [SEED]
#   PROFILE=dev takes the build of the tests, in which less is sent in the same time.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
# With a test, so that features of dependencies are those of the tests, and nothing is built again after them.
cargo build --locked --workspace --profile "$profile" --bin agentledger --bin loadtest --test documents
built=target/${profile/#dev/debug}
exec "$built/loadtest" crash --kills "${1:-30}" --seed "${2:-1}" --agentledger "$built/agentledger"
