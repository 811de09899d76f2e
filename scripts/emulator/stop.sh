#!/usr/bin/env bash
# Stops the emulator of a directory, and the functions that it runs.
# usage: scripts/emulator/stop.sh [DIR]
set -euo pipefail
dir=${1:-$(dirname "$(realpath "$0")")/../../target/emulator}
[ -f "$dir/pid" ] || exit 0
pid=$(cat "$dir/pid")
# It leads a session of its own, in which its functions run.
kill "$pid" 2>/dev/null || true
for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
kill -KILL -- "-$pid" 2>/dev/null || true
rm -f "$dir/pid"
