#!/usr/bin/env bash
# Holds the emulator's event source mappings against what AWS documents of them, before anything else rests on them.
# usage: scripts/emulator/conformance.sh [--prove] [CHECK…]     half a minute; EMULATOR_DIR, EMULATOR_PORT
#   --prove breaks the poller in each rule instead, and fails if the rule's check does not notice (about 5 minutes).
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(realpath -m "${EMULATOR_DIR:-target/emulator-conformance}") port=${EMULATOR_PORT:-4577}
rm -rf "$dir/notes"
mkdir -p "$dir/notes"
trap 'scripts/emulator/stop.sh "$dir"' EXIT
if [ "${1:-}" = --prove ]; then
    # Installs, and says whether it starts at all.
    scripts/emulator/start.sh "$dir" "$port"
    scripts/emulator/stop.sh "$dir"
    "$dir/venv/bin/python" scripts/emulator/broken.py "$port" "$dir" "${@:2}"
else
    ESM_BACKOFF_MAX=0.5 scripts/emulator/start.sh "$dir" "$port"
    "$dir/venv/bin/python" scripts/emulator/conformance.py "$port" "$dir/notes" "$@"
fi
