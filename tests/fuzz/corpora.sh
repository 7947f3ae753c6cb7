#!/usr/bin/env bash
# Replays the corpus of every fuzzer: all that was found to reach other code, and all that ever broke it.
set -euo pipefail

count=0
for fuzzer in ${TUTTI_FUZZERS:?}; do
	name=${fuzzer##*/fuzz_}
	corpus=$TUTTI_SOURCE/tests/fuzz/corpus/$name
	[ -s "$corpus" ] || {
		echo "$name has no corpus" >&2
		exit 1
	}
	inputs=$("$TUTTI_BUILD/$fuzzer" "$corpus")
	echo "ok: $name: $inputs"
	count=$((count + 1))
done
echo "$count checks"
