#!/usr/bin/env bash
# The tests that need more than Rust: many more histories, a real process killed again and again, the commands of the
# pages, requests generated from the description of the interface, and, where they are present beside the checkout,
# recorded provider responses. Fails if one that can run was skipped. Usage: scripts/second-tier.sh [CASES]
#
# CASES (200) are those of scripts/api-test.sh for each operation, whose own default takes minutes. Needs bash, curl and
# python3.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in curl python3; do
    command -v "$tool" >/dev/null 2>&1 || { echo "the second tier needs $tool, and there is none in PATH" >&2; exit 1; }
done

# Of the whole workspace: of a package alone, its dependencies would be built again with other features.
echo "-- the commands of the pages"
cargo test --locked --workspace --test documents -- --ignored --nocapture

echo "-- requests generated from docs/openapi.json"
scripts/api-test.sh "${1:-200}"

echo "-- exactly once, 1,500 further histories"
AGENTLEDGER_SEEDS=1500 AGENTLEDGER_FIRST_SEED=100000 \
    cargo test --locked --workspace --test exactly_once -- --nocapture exactly_once_over_random_histories

echo "-- exactly once, as a process: 30 kills"
# Of the build of the tests: another one takes longer than the kills.
PROFILE=dev scripts/crash-test.sh 30

echo "-- load of every kind, every total compared"
target/debug/loadtest local --scenario all --duration 4s --agentledger target/debug/agentledger

echo "-- extraction, a gigabyte in each framing"
cargo test --locked --workspace --test flat_memory -- --ignored --nocapture

echo "-- LiteLLM's list of prices"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m pip download --quiet --no-deps --dest "$scratch" litellm==1.106.2
python3 -m zipfile -e "$scratch"/litellm-*.whl "$scratch/litellm"
AGENTLEDGER_LITELLM=$scratch/litellm/litellm/model_prices_and_context_window_backup.json \
    cargo test --locked --workspace --test prices_data -- --ignored --nocapture the_list_of_litellm

corpus=${AGENTLEDGER_CORPUS:-../shared/corpus}
if [ -d "$corpus" ]; then
    echo "-- extraction against recorded responses"
    AGENTLEDGER_CORPUS=$(realpath "$corpus") cargo test --locked --workspace --test corpus --test frames --test price_corpus -- --ignored --nocapture
elif [ -n "${AGENTLEDGER_CORPUS:-}" ]; then
    echo "extraction against recorded responses: AGENTLEDGER_CORPUS names '$corpus', which is no directory" >&2
    exit 1
else
    echo "-- extraction against recorded responses: there are none here"
fi

prices=${AGENTLEDGER_PRICES:-../shared/prices/genai_prices_0.2.3.json}
if [ -f "$prices" ]; then
    echo "-- the embedded price book is what its source makes"
    AGENTLEDGER_PRICES=$(realpath "$prices") \
        cargo test --locked --workspace --test prices_data -- --ignored --nocapture the_embedded_book
elif [ -n "${AGENTLEDGER_PRICES:-}" ]; then
    echo "the embedded price book: AGENTLEDGER_PRICES names '$prices', which is no file" >&2
    exit 1
else
    echo "-- the embedded price book: its source is not here"
fi
