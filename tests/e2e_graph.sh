#!/usr/bin/env bash
# Three servers, in a line and in a triangle: changes anywhere appear everywhere, also those that
# were made while a server or a connection was away.
. "$(dirname "$0")/e2e_lib.sh"

everywhere() { # WHAT
	settle A B C
	await "$1 to be everywhere" all_same
	same A B C
	passed "$1"
}
all_same() { is_same A B && is_same B C; }

for shape in line triangle; do
	case $shape in
	line)
		start B
		peers[A]=B peers[C]=B
		start A
		start C
		;;
	triangle)
		stop_cleanly A B C
		peers[C]='B A'
		start B
		start A
		start C
		await 'C to be connected with A' connected C A
		;;
	esac
	await 'A to be connected with B' connected A B
	await 'C to be connected with B' connected C B

	mkdir -p "$work"/{A,B,C}/"$shape"
	for name in A B C; do
		echo "of $name" >"$work/$name/$shape/$name"
		random_file 3000000 "$work/$name/$shape/large-$name"
	done
	everywhere "$shape: files of all three"
	[ "$(ls "$work/A/$shape" | wc -l)" -eq 6 ] || fail 'not all files are there'

	echo changed >"$work/A/$shape/C"
	rm "$work/C/$shape/B"
	mv "$work/B/$shape/A" "$work/B/$shape/renamed"
	everywhere "$shape: a change, a deletion and a new name"

	stop_cleanly B
	echo apart >"$work/A/$shape/while-B-was-away"
	echo apart >"$work/C/$shape/also-while-B-was-away"
	rm "$work/A/$shape/renamed"
	start B
	await 'A to be connected with B' connected A B
	await 'C to be connected with B' connected C B
	everywhere "$shape: what changed while B was away"

	stop_cleanly C
	echo 'of A' >"$work/A/$shape/contested"
	echo 'of C, later' >"$work/C/$shape/contested"
	settle A B
	start C
	await 'C to be connected with B' connected C B
	everywhere "$shape: both contents of a conflict"
	cat "$work/B/$shape"/contested* >"$work/both"
	grep -q 'of A' "$work/both" || fail 'what A wrote is lost'
	grep -q 'of C, later' "$work/both" || fail 'what C wrote is lost'
	[ "$(ls "$work/B/$shape"/contested* | wc -l)" -eq 2 ] || fail 'not just one copy'

	ask A resync >"$work/resync"
	for name in A B C; do
		grep -q "^$name: looked at" "$work/resync" || fail "resync says: $(cat "$work/resync")"
	done
	[ "$(wc -l <"$work/resync")" -eq 3 ] || fail "resync says: $(cat "$work/resync")"
	passed "$shape: resync asks all of them once"

	ask A status --json >"$work/status"
	grep -q '"in_sync":true' "$work/status" || fail "$(cat "$work/status")"
	passed "$shape: in sync"
done

# A server that is only reached through another one is told of as such, and what it lacks is known.
stop_cleanly A B C
unset 'peers[C]'
peers[C]=B
start B
start A
start C
await 'A to be connected with B' connected A B
await 'C to be connected with B' connected C B
settle A B C
ask A status --json | grep -q '"name":"C"[^}]*"state":"via B"' || fail "$(ask A status --json)"
passed 'a replica behind another one is shown'

stop_cleanly A B C
echo "$checks checks"
