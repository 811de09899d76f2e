#!/usr/bin/env bash
# The AWS crate on a local AWS: the emulator's event source mappings against AWS's rules, the suites of the ledger's
# port, exactly-once histories, each adapter. usage: scripts/aws-tests.sh [HISTORIES]
# Needs bash, curl and python3; installs cargo-nextest if it is missing.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
emulator=$PWD/target/emulator port=${AGENTLEDGER_EMULATOR_PORT:-4630}
# One set of packages for each command that builds for AWS: of another, the SDKs would be built again with other features.
read -ra packages < scripts/aws-packages
tests() { cargo nextest run "${packages[@]}" --locked --features "$(<scripts/aws-features)" -j 2 "$@"; }

command -v cargo-nextest >/dev/null 2>&1 || cargo install --locked cargo-nextest

echo "-- the emulator's event source mappings against AWS's rules"
scripts/emulator/conformance.sh

echo "-- mocks, properties of the AWS crate, and docs/cost.md"
tests -E 'package(aws)'

trap 'scripts/emulator/stop.sh "$emulator" || true' EXIT
scripts/emulator/start.sh "$emulator" "$port"
export AGENTLEDGER_ENDPOINT=http://127.0.0.1:$port
echo "-- adapters, and the ledger's port on DynamoDB"
tests --run-ignored only -E 'package(aws) & (binary(emulator) | binary(ledger))'
echo "-- units of each access pattern"
tests --run-ignored only --no-capture -E 'package(aws) & binary(capacity)'
echo "-- exactly once on DynamoDB, ${1:-15} histories"
AGENTLEDGER_AWS_SEEDS=${1:-15} tests --run-ignored only --no-capture -E 'package(aws) & binary(exactly_once)'
echo "-- the command on AWS"
tests --run-ignored only -E 'package(agentledger) & binary(aws)'
