#!/usr/bin/env bash
# F08: a server that gets no more memory ends at once and says why; at its next start nothing is lost, half
# done, or invented.
export E2E_PLAIN=1
. "$(dirname "$0")/e2e_lib.sh"

if grep -aq __asan_init "$tuttid"; then
	echo 'not tried: too little memory (sanitizers need more than there is)'
	exit 0
fi
mkdir -p "$work/A/many"
(
	cd "$work/A/many"
	for i in $(seq 4000); do echo "$i" >"a rather long name of a small file, number $i"; done
)
start A

# B, without anything yet but a file of its own, takes over what A has, with so much memory. $status says
# how it ended (124: it had enough).
with_memory() { # kB
	rm -rf "$work/B" "$work/state-B"
	mkdir "$work/B"
	echo "mine $1" >"$work/B/mine $1"
	: >"$work/B.err"
	status=0
	(
		ulimit -v "$1" -c 0
		exec timeout 5 "$tuttid" -n B --plain -l 127.0.0.1:0 -p "127.0.0.1:${port[A]}" -s "$work/state-B" \
			--socket "$work/B.sock" "$work/B"
	) >/dev/null 2>>"$work/B.err" || status=$?
}

ended=0
peers[B]=A
for memory in 56000 52000 48000 44000 40000 36000 32000 28000 24000; do
	with_memory "$memory"
	[ "$status" -ne 124 ] || continue
	[ "$status" -eq 134 ] || [ "$status" -eq 1 ] || fail "with $memory kB it ended with $status"
	grep -qi 'memory' "$work/B.err" || fail "with $memory kB it does not say why: $(cat "$work/B.err")"
	start B
	await 'A to be connected' connected A B
	settle A B
	same A B
	[ "$(cat "$work/A/mine $memory")" = "mine $memory" ] || fail 'what B had did not arrive'
	[ -z "$(find "$work/A" "$work/B" -name '*.conflict-*' -o -name '*.saved-*')" ] || fail 'copies were made'
	[ -z "$(ls "$work/B/.tutti/tmp")" ] || fail "left over: $(ls "$work/B/.tutti/tmp")"
	stop_cleanly B
	passed "ended with $memory kB of memory, and nothing is lost"
	ended=$((ended + 1))
	[ "$ended" -lt 3 ] || break
done
[ "$ended" -eq 3 ] || fail 'it mostly had enough: too little was tested'

stop_cleanly A
echo "$checks checks"
