#!/usr/bin/env bash
# The functions on a local AWS, with 20% of the calls to DynamoDB and SNS failing, functions killed at random and poison
# in the stream: totals exact, every alert delivered, poison put aside and brought back.
# usage: scripts/aws-faults.sh [EVENTS] [SEED]
#   AGENTLEDGER_PACKAGES names a directory of x86_64 packages, AGENTLEDGER_COMMAND the command built with `--features aws`.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
packages=${AGENTLEDGER_PACKAGES:-} command=${AGENTLEDGER_COMMAND:-}
if [ -z "$packages" ]; then
    cargo xtask package --arch x86_64 --for-this-machine --out target/lambda
    packages=$PWD/target/lambda
fi
if [ -z "$command" ]; then
    cargo build --locked -p agentledger --features aws
    command=$PWD/target/debug/agentledger
fi
emulator=$PWD/target/emulator port=${AGENTLEDGER_FAULTS_PORT:-4644}
scratch=$(mktemp -d)
trap 'scripts/emulator/stop.sh "$emulator" || true; rm -rf "$scratch"' EXIT
ESM_BACKOFF_MAX=1 scripts/emulator/start.sh "$emulator" "$port"
"$emulator/venv/bin/python" scripts/aws-faults/run.py "http://127.0.0.1:$port" "$packages" "$scratch" "$command" "$@"
