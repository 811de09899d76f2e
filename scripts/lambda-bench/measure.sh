#!/usr/bin/env bash
# Measures the Lambda functions on this machine: what a start costs, what they hold in memory, what a request costs.
# usage: scripts/lambda-bench/measure.sh [--quick] [--json FILE]
#   Starts the emulator and packages the functions for x86_64; BOOTSTRAPS=DIR takes the binaries DIR/NAME-lambda instead.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(realpath -m "${EMULATOR_DIR:-target/emulator-bench}") port=${EMULATOR_PORT:-4579}
if [ -z "${BOOTSTRAPS:-}" ]; then
    cargo xtask package --arch x86_64 --for-this-machine
    BOOTSTRAPS=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu/lambda
fi
trap 'scripts/emulator/stop.sh "$dir"' EXIT
scripts/emulator/start.sh "$dir" "$port"
"$dir/venv/bin/python" scripts/lambda-bench/measure.py "$port" "$dir" "$BOOTSTRAPS" "$@"
