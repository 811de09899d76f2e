#!/usr/bin/env bash
# The part of the second tier that needs a local AWS and Terraform: what the AWS crate does, the module's checks, a
# deployment from nothing to nothing in both profiles, the same under faults, and what the functions take.
# Fails if a part cannot run. usage: scripts/aws-tier.sh
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
for tool in curl python3 terraform; do
    command -v "$tool" >/dev/null 2>&1 || { echo "the tests of AWS need $tool, and there is none in PATH" >&2; exit 1; }
done
step() { printf -- '-- %s (%s)\n' "$*" "$(date +%T)"; }

step "the AWS crate"
scripts/aws-tests.sh
step "the Terraform module"
scripts/terraform-checks.sh
step "packages"
cargo xtask package --arch x86_64 --for-this-machine --out target/lambda
export AGENTLEDGER_PACKAGES=$PWD/target/lambda
step "end to end, kinesis"
terraform/tests/e2e.sh kinesis | tee target/e2e-kinesis.log
step "end to end, direct"
terraform/tests/e2e.sh direct | tee target/e2e-direct.log
# No list with &&, in which a difference would not end the script.
diff <(grep '^totals' target/e2e-kinesis.log) <(grep '^totals' target/e2e-direct.log)
echo "both profiles came to the same totals"
step "faults"
# As it was built for the tests before: without tests, features of their dependencies are not on, and the SDKs are built
# again.
read -ra packages < scripts/aws-packages
cargo build --quiet --locked "${packages[@]}" --features "$(<scripts/aws-features)" --bin agentledger --test aws
export AGENTLEDGER_COMMAND=$PWD/target/debug/agentledger
# The full 20,000 events, six minutes, are its default.
scripts/aws-faults.sh 3000
step "what the functions take"
BOOTSTRAPS=$PWD/target/x86_64-unknown-linux-gnu/lambda scripts/lambda-bench/measure.sh --quick
