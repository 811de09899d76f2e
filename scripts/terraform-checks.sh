#!/usr/bin/env bash
# Everything that has to hold of terraform/ before a change lands: format, validity, tests with mock providers, checkov,
# and a plan of the profile `direct` without anything that costs when idle. Nothing here reaches AWS.
#
# TF_PLUGIN_MIRROR is a folder with the AWS provider, for a machine that cannot reach the registry; where it is unset, such
# a folder is looked for, and without one the registry is used. CHECKOV is a checkov to use; where it is unset, one is
# installed below target/.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

step() { printf '\n== %s\n' "$*"; }
for tool in terraform python3; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: install it" >&2; exit 1; }
done

work=$(mktemp -d)
stub=
finish() {
    code=$?
    if [ -n "$stub" ]; then kill "$stub" 2>/dev/null || true; fi
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT

# shellcheck source=scripts/terraform-mirror.sh
. scripts/terraform-mirror.sh "$work"

# In a copy: what terraform writes beside its files does not belong among ours.
mkdir "$work/packages"
cp -r terraform docs "$work"
find "$work/terraform" \( -name .terraform -o -name '.terraform.lock.hcl' -o -name '*_override.tf' -o -name '*.tfstate*' \) -exec rm -rf {} +

step "terraform: format"
terraform fmt -check -diff -recursive terraform
python3 terraform/tests/readme.py --check

for dir in . examples/minimal examples/production; do
    step "terraform: validate $dir"
    terraform -chdir="$work/terraform/$dir" init -backend=false -input=false >"$work/init" || { cat "$work/init" >&2; exit 1; }
    terraform -chdir="$work/terraform/$dir" validate -no-color
done

step "terraform: test"
terraform -chdir="$work/terraform" test -no-color

step "terraform: what costs when idle"
python3 terraform/tests/sts.py "$work/port" &
stub=$!
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.1; done
cat >"$work/terraform/examples/minimal/plan_override.tf" <<TF
provider "aws" {
  access_key                  = "plan"
  secret_key                  = "plan"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    sts = "http://127.0.0.1:$(cat "$work/port")"
  }
}
TF
for function in ingest aggregator alerter; do : >"$work/packages/$function-arm64.zip"; done
plan() {
    NO_PROXY=127.0.0.1 terraform -chdir="$work/terraform/examples/minimal" plan -input=false -refresh=false \
        -out="$work/plan" -var "packages_dir=$work/packages" -var "profile=$1" >"$work/log" || { cat "$work/log" >&2; exit 1; }
    terraform -chdir="$work/terraform/examples/minimal" show -json "$work/plan" >"$work/$1.json"
}
plan direct
python3 terraform/tests/idle.py <"$work/direct.json"
# A check that nothing fails proves nothing: this plan has to.
plan kinesis
if python3 terraform/tests/idle.py <"$work/kinesis.json" >"$work/idle"; then
    echo "the check takes a Kinesis stream for free" >&2
    exit 1
fi
grep -q 'aws_kinesis_stream.events' "$work/idle"
python3 terraform/tests/idle_test.py "$work/direct.json"

step "terraform: checkov"
checkov=${CHECKOV:-}
if [ -z "$checkov" ]; then
    checkov=$root/target/checkov/bin/checkov
    if [ ! -x "$checkov" ]; then
        python3 -m venv "$root/target/checkov"
        "$root/target/checkov/bin/pip" --quiet install 'checkov>=3.3,<4'
    fi
fi
"$checkov" --directory terraform --framework terraform --skip-path tests --skip-download --compact --quiet

step "terraform: done"
