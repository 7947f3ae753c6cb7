#!/usr/bin/env bash
# The simulator: its scenarios, then tens of thousands of histories.
set -euo pipefail

sim=$TUTTI_BUILD/tests/sim/sim
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=8000
[ "${TUTTI_SANITIZERS:-no}" = no ] || seeds=3000

failed=0
"$sim" "$TUTTI_SOURCE"/tests/sim/scenarios/*.scn || failed=1
"$sim" --seeds "1-$seeds" --twice 20 --cover "$((seeds / 240))" >"$work/out" || failed=1
cat "$work/out"
seed=$(sed -n 's/^# seed \([0-9]*\):.*/\1/p' "$work/out" | head -1)
[ -z "$seed" ] || "$sim" --seeds "$seed" --shrink || :
exit "$failed"
