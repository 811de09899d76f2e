#!/usr/bin/env bash
# From nothing to an alert and back to nothing, on a local AWS: packages the functions, applies examples/minimal, sends
# the README's request and a few more, looks for the record, the totals, the metrics and the message of a crossed
# budget, plans again, destroys, and looks for what is left.
# usage: terraform/tests/e2e.sh [kinesis|direct]
#   AGENTLEDGER_PACKAGES names a directory of packages that were made before. Needs Terraform, curl and python3.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
profile=${1:-kinesis}
port=${AGENTLEDGER_E2E_PORT:-4640}
for tool in terraform curl python3; do
    command -v "$tool" >/dev/null 2>&1 || { echo "$tool is missing: install it" >&2; exit 1; }
done
began=$(date +%s)
scratch=$(mktemp -d)
emulator=$PWD/target/emulator
finish() { scripts/emulator/stop.sh "$emulator" || true; rm -rf "$scratch"; }
trap finish EXIT
step() { printf -- '-- %s (%ss)\n' "$*" $(($(date +%s) - began)); }

step "packages"
packages=${AGENTLEDGER_PACKAGES:-}
if [ -z "$packages" ]; then
    cargo xtask package --arch x86_64 --for-this-machine --out target/lambda
    packages=$PWD/target/lambda
fi
packages=$(realpath "$packages")

step "a local AWS"
scripts/emulator/start.sh "$emulator" "$port"

step "terraform apply ($profile)"
. scripts/terraform-mirror.sh "$scratch"
cp -r terraform "$scratch/terraform"
example=$scratch/terraform/examples/minimal
python3 terraform/tests/override.py "http://127.0.0.1:$port" > "$example/local_override.tf"
vars=(-var "profile=$profile" -var "packages_dir=$packages" -var architecture=x86_64 -var 'budgets=[{name="everything",scope="org",limit_tokens=1000,period="day"}]')
terraform -chdir="$example" init -input=false -no-color > "$scratch/init.log" || { cat "$scratch/init.log"; exit 1; }
if [ "$profile" = direct ]; then
    terraform -chdir="$example" plan -input=false -no-color "${vars[@]}" -out="$scratch/plan" > /dev/null
    terraform -chdir="$example" show -json "$scratch/plan" > "$scratch/plan.json"
    python3 terraform/tests/idle.py < "$scratch/plan.json"
fi
# Twice, as the emulator now and then finds a conflict in what it has just made.
apply() { terraform -chdir="$example" apply -input=false -no-color -auto-approve "${vars[@]}" > "$scratch/apply.log" 2>&1; }
apply || { step "terraform apply, again"; apply; } || { tail -40 "$scratch/apply.log"; exit 1; }
grep -E '^Apply complete' "$scratch/apply.log"
terraform -chdir="$example" output -json > "$scratch/outputs.json"

step "events"
"$emulator/venv/bin/python" terraform/tests/e2e.py "http://127.0.0.1:$port" "$scratch/outputs.json" README.md

step "a second plan"
terraform -chdir="$example" plan -input=false -no-color "${vars[@]}" -out="$scratch/again" > /dev/null
terraform -chdir="$example" show -json "$scratch/again" | python3 terraform/tests/drift.py

step "terraform destroy"
# Twice as well: an answer that is lost is asked for again, and that a dashboard is gone already is an error of the
# emulator with another name than AWS's, which the provider does not know. What is left is looked for below.
destroy() {
    terraform -chdir="$example" destroy -input=false -no-color -auto-approve "${vars[@]}" > "$scratch/destroy.log" 2>&1
}
destroy || { tail -5 "$scratch/destroy.log"; step "terraform destroy, again"; destroy; } \
    || { tail -40 "$scratch/destroy.log"; exit 1; }
grep -E '^Destroy complete' "$scratch/destroy.log"
"$emulator/venv/bin/python" terraform/tests/left.py "http://127.0.0.1:$port"
step "done"
