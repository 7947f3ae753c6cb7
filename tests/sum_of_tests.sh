#!/usr/bin/env bash
# Tests tests/sum.sh, which the gate believes: no way to fail may be counted as passed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

result() { # NAME RESULT LOG-LINE...
	printf ':test-result: %s\n:global-test-result: %s\n' "$2" "$2" >"$work/tests/$1.trs"
	local name=$1
	shift 2
	printf '%s\n' "$@" >"$work/tests/$name.log"
}

expect() { # WHAT STATUS LINE
	local got status=0
	got=$(bash "$TUTTI_SOURCE/tests/sum.sh" "$work" 2>"$work/stderr") || status=$?
	if [ "$got" != "$3" ] || [ "$status" -ne "$2" ]; then
		echo "$1: got '$got' ($status), wanted '$3' ($2)" >&2
		exit 1
	fi
	rm -rf "$work/tests"
	mkdir "$work/tests"
}
mkdir "$work/tests"

expect 'nothing ran' 1 '0 passed, 0 failed'
result shell PASS 'fine'
expect 'a shell test counts one' 0 '1 passed, 0 failed'
result suite PASS '100%: Checks: 12, Failures: 0, Errors: 0' 'PASS tests/suite (exit status: 0)'
result other PASS '100%: Checks: 3, Failures: 0, Errors: 0' '100%: Checks: 4, Failures: 0, Errors: 0'
expect 'suites count their checks' 0 '19 passed, 0 failed'
result suite FAIL '80%: Checks: 10, Failures: 1, Errors: 1'
expect 'failures and errors' 1 '8 passed, 2 failed'
result suite FAIL 'Running suite(s): x'
expect 'a suite that broke off' 1 '0 passed, 1 failed'
result suite FAIL '100%: Checks: 5, Failures: 0, Errors: 0' 'a leak was found'
expect 'a suite that fails after its checks' 1 '4 passed, 1 failed'
for bad in ERROR XPASS; do
	result shell $bad 'x'
	expect "$bad" 1 '0 passed, 1 failed'
done
result ok PASS 'fine'
result skipped SKIP 'no root' 'SKIP tests/skipped.sh (exit status: 77)'
expect 'a skipped test is not a passed one' 0 '1 passed, 0 failed'
grep -qx 'skipped: skipped: no root' "$work/stderr"
echo 'the sum of tests can be believed'
