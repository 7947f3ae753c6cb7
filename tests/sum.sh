#!/usr/bin/env bash
# Owns the sum of a test run: reads the .trs and .log files under a build folder and prints
# "N passed, N failed". A Check suite counts its checks, any other test counts as one.
# What was skipped, and why, goes to stderr. Exit status: 1 if anything failed or nothing ran.
#   tests/sum.sh BUILD-FOLDER
set -euo pipefail
[ $# -eq 1 ] || { echo 'usage: sum.sh BUILD-FOLDER' >&2; exit 2; }

passed=0 failed=0
while IFS= read -r trs; do
	log=${trs%.trs}.log
	name=$(basename "${trs%.trs}")
	result=$(sed -n 's/^:test-result: *\([A-Z]*\).*/\1/p' "$trs" | head -1)
	checks=0 bad=0
	while read -r c f e; do
		checks=$((checks + c)) bad=$((bad + f + e))
	done < <(sed -nE 's/^[0-9]+%: Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+)$/\1 \2 \3/p' "$log")
	case $result in
	SKIP)
		echo "skipped: $name: $(grep -v '^SKIP ' "$log" | grep . | tail -1)" >&2
		continue
		;;
	PASS) [ "$checks" -gt 0 ] || checks=1 ;;
	*)
		# A suite that broke off, or ended badly after its checks, failed once at least.
		[ "$bad" -gt 0 ] || bad=1
		[ "$checks" -ge "$bad" ] || checks=$((checks + bad))
		echo "failed: $name ($log), which ends:" >&2
		tail -n 40 "$log" >&2
		;;
	esac
	passed=$((passed + checks - bad)) failed=$((failed + bad))
done < <(find "$1" -name '*.trs' | sort)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
