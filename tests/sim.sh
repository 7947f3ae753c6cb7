#!/usr/bin/env bash
# The simulator: its scenarios, tens of thousands of histories, and every wrong rule is caught.
set -euo pipefail

sim=$TUTTI_BUILD/tests/sim/sim
scenarios=("$TUTTI_SOURCE"/tests/sim/scenarios/*.scn)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=24000
[ "${TUTTI_SANITIZERS:-no}" = no ] || seeds=3000

failed=0
"$sim" "${scenarios[@]}" || failed=1
"$sim" --seeds "1-$seeds" --twice 20 --orders 20 --cover "$((seeds / 240))" >"$work/out" || failed=1
cat "$work/out"
seed=$(sed -n 's/^# seed \([0-9]*\):.*/\1/p' "$work/out" | head -1)
[ -z "$seed" ] || "$sim" --seeds "$seed" --shrink || :

# A simulator that finds nothing may be blind: each of these must make it fail. An assertion of the
# engine may be what catches it.
for mutant in $("$sim" --list-mutants); do
	status=0
	"$sim" --mutant "$mutant" --seeds 1-8000 "${scenarios[@]}" >"$work/out" 2>/dev/null || status=$?
	tail -1 "$work/out"
	if [ "$status" -eq 0 ] || tail -1 "$work/out" | grep -q '^seed .*: crashes$'; then
		echo '100%: Checks: 1, Failures: 0, Errors: 0'
	else
		echo '0%: Checks: 1, Failures: 1, Errors: 0'
		failed=1
	fi
done
exit "$failed"
