#!/usr/bin/env bash
# Fuzzes every target in fuzz/fuzz_targets, from the seeds in fuzz/seeds. Usage: scripts/fuzz.sh [SECONDS]
#
# Needs no nightly: without a sanitizer only flags of the compiler have to be unlocked. What is fuzzed has no
# unsafe code of its own, and panics, overflows and broken assertions are found without one.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
case $seconds in '' | *[!0-9]*) echo "usage: scripts/fuzz.sh [SECONDS], a whole number and not '$seconds'" >&2; exit 2 ;; esac

command -v cargo-fuzz >/dev/null 2>&1 || cargo install --locked cargo-fuzz
export RUSTC_BOOTSTRAP=1

for source in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    echo "-- $target, $seconds seconds"
    # What is found on the way stays in fuzz/corpus, which is not committed.
    mkdir -p "fuzz/corpus/$target"
    words=()
    if [ -f "fuzz/seeds/$target.dict" ]; then words=("-dict=fuzz/seeds/$target.dict"); fi
    cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        "${words[@]}"
done
