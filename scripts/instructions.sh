#!/usr/bin/env bash
# Counts the instructions that one run of each case of the benchmarks takes, and compares them with
# scripts/instructions/baseline: other programs on the machine change a time, but not a count.
# Usage: scripts/instructions.sh [--update | --tools | GROUP]
#   --update writes the baseline anew, to be committed with the reason. GROUP counts its cases alone, such as those of price.
#   --tools only sees to what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
baseline=scripts/instructions/baseline
# A count is the same each time, whatever else the machine does. But a change also moves what it does not touch, by where
# code and data come to lie: seen were up to 0.4%. One needless clone in the rating of an event is 2 to 3%.
tolerance=2
# Another compiler, C library, valgrind or set of processor features chooses other instructions for the same code, and
# another architecture has others. Both are estimates: wide enough not to fail for nothing, and a case that takes
# twice as many is still seen.
tolerance_toolchain=20
tolerance_target=60
began=$(date +%s)

update=0 tools=0 group=
case "$#:${1:-}" in
0:) ;;
1:--update) update=1 ;;
1:--tools) tools=1 ;;
1:[a-z]*) group=$1 ;;
*) echo "usage: scripts/instructions.sh [--update | --tools | GROUP]" >&2 && exit 2 ;;
esac

if ! command -v valgrind >/dev/null; then
    if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
        echo "valgrind is missing: apt-get install valgrind"
        install() { apt-get install -y -qq --no-install-recommends valgrind >/dev/null; }
        install || { apt-get update -qq && install; } || {
            echo "it could not be installed: install it by hand" >&2
            exit 1
        }
    else
        echo "valgrind is missing: install it with the system's package manager (apt-get install valgrind, dnf install" \
            "valgrind; there is none for macOS on ARM), or leave this check to a machine that has it" >&2
        exit 1
    fi
fi
command -v cc >/dev/null || { echo "cc is missing: install a C compiler (apt-get install gcc)" >&2 && exit 1; }
[ "$tools" = 0 ] || exit 0

# Only what the cases need: no SDK, no SQLite. Flags of one's own would make another program.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS
cargo build --release --locked --quiet -p aggregator --example instructions
built=$(($(date +%s) - began))

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -shared -fPIC -O1 -o "$work/fixed_random.so" scripts/instructions/fixed_random.c
# In the same place for everybody: a path is on the stack of the program, and moves it.
program=$work/instructions
cp "${CARGO_TARGET_DIR:-target}/release/examples/instructions" "$program"
valgrind=$(command -v valgrind)

# collected CASE INPUTS RUNS: the instructions of a whole process.
collected() {
    local log
    log=$(mktemp "$work/log.XXXXXX")
    if ! env -i LD_PRELOAD="$work/fixed_random.so" "$valgrind" --tool=callgrind --callgrind-out-file=/dev/null \
        "$program" "$@" >/dev/null 2>"$log"; then
        echo "$*: did not run under valgrind:" >&2
        cat "$log" >&2
        return 1
    fi
    awk '/Collected :/ { print $4 }' "$log"
}

# count CASE RUNS: a process of one run and one of so many more differ by these, and not by start-up, by making inputs,
# nor by what a first run fills.
count() {
    local one more
    one=$(collected "$1" "$(($2 + 1))" 1) || return 1
    more=$(collected "$1" "$(($2 + 1))" "$(($2 + 1))") || return 1
    [ "${one:-0}" -gt 0 ] && [ "${more:-0}" -gt "$one" ] || { echo "$1: nothing was counted" >&2 && return 1; }
    echo "$1 $(((more - one) / $2))"
}
export -f collected count
export work program valgrind

"$program" | grep "^$group" >"$work/cases" || { echo "there is no group $group" >&2 && exit 2; }
xargs -P "$(nproc)" -L 1 bash -c 'count "$@"' _ <"$work/cases" >"$work/counts"
# In the order of the cases, whichever was done first.
awk 'NR == FNR { count[$1] = $2; next } { print $1, count[$1] }' "$work/counts" "$work/cases" >"$work/now"

{
    echo "rustc = $(rustc --version | cut -d' ' -f2-)"
    echo "target = $(rustc -vV | sed -n 's/^host: //p')"
    # What libraries choose code by, as far as valgrind tells it to them.
    echo "features = $(grep -o -m1 -w avx2 /proc/cpuinfo | head -1 || true)"
    echo "libc = $(getconf GNU_LIBC_VERSION 2>/dev/null || echo other)"
    echo "valgrind = $(valgrind --version)"
} >"$work/made-with"

took="$(($(date +%s) - began)) s, $built of them to build"
status=0
if [ -e "$baseline" ]; then
    awk -v tolerance="$tolerance" -v toolchain="$tolerance_toolchain" -v target="$tolerance_target" \
        -v group="$group" -f scripts/instructions/compare.awk "$baseline" "$work/made-with" "$work/now" || status=$?
else
    echo "there is no $baseline: scripts/instructions.sh --update writes it" >&2
    status=1
fi
echo "instructions counted in $took"

if [ "$update" = 1 ]; then
    {
        echo "# Instructions of one run of each case; written by scripts/instructions.sh --update."
        cat "$work/made-with"
        awk '{ printf "%-32s %12d\n", $1, $2 }' "$work/now"
    } >"$baseline"
    echo "$baseline is written: commit it with the reason"
    exit 0
fi
exit "$status"
