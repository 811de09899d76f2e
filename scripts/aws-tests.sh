#!/usr/bin/env bash
# The AWS crate on a local AWS: the emulator's event source mappings against AWS's rules, the suites of the ledger's
# port, exactly-once histories, each adapter. usage: scripts/aws-tests.sh [HISTORIES]     Needs bash, curl and python3.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
emulator=$PWD/target/emulator port=${AGENTLEDGER_EMULATOR_PORT:-4630}

echo "-- the emulator's event source mappings against AWS's rules"
scripts/emulator/conformance.sh

echo "-- mocks, and properties of the AWS crate"
cargo test --locked -p aws --features testing --quiet --lib --example cost

trap 'scripts/emulator/stop.sh "$emulator" || true' EXIT
scripts/emulator/start.sh "$emulator" "$port"
export AGENTLEDGER_ENDPOINT=http://127.0.0.1:$port
echo "-- adapters"
cargo test --locked -p aws --features testing --test emulator -- --ignored --test-threads 2
echo "-- the ledger's port on DynamoDB"
cargo test --locked -p aws --features testing --test ledger -- --ignored --test-threads 2
echo "-- units of each access pattern"
cargo test --locked -p aws --features testing --test capacity -- --ignored --nocapture
echo "-- exactly once on DynamoDB, ${1:-15} histories"
AGENTLEDGER_AWS_SEEDS=${1:-15} cargo test --locked -p aws --features testing --test exactly_once -- --ignored --nocapture
echo "-- the command on AWS"
cargo test --locked -p agentledger -p aws --features agentledger/aws,aws/testing --test aws -- --ignored
