#!/usr/bin/env bash
# Runs `agentledger up` under load, kills it with SIGKILL at random moments, and compares the totals with what
# was sent. Usage: scripts/crash-test.sh [KILLS] [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --locked --release -p agentledger -p loadtest
exec target/release/loadtest crash --kills "${1:-30}" --seed "${2:-1}" --agentledger target/release/agentledger
