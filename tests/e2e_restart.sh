#!/usr/bin/env bash
# Servers that end, cleanly or not, come back with what they had; only what has changed is sent;
# whatever is found changed in the meantime is taken for that.
. "$(dirname "$0")/e2e_lib.sh"

random_files 400 20000 "$work/A/folder"
pair A B
same A B
all=$(bytes_in B A)
[ "$all" -gt 8000000 ] || fail "8 MB arrived in $all bytes"

stop_cleanly B
start B
await 'A to be connected again' connected A B
settle A B
same A B
again=$(bytes_in B A)
[ "$again" -lt 20000 ] || fail "with nothing new, $again bytes were sent after a restart"
passed "a restart costs nothing ($again bytes)"

stop_cleanly A
echo changed >"$work/A/folder/7"
rm "$work/A/folder/8"
mv "$work/A/folder/9" "$work/A/renamed"
start A
await 'A to be connected again' connected A B
settle A B
same A B
again=$(bytes_in B A)
[ "$again" -lt 60000 ] || fail "three changes cost $again bytes"
passed "what changed while a server was down ($again bytes)"

# Ended in the middle of things.
under_way() {
	[ -n "$(ls "$work/B/.tutti/tmp")" ] || cmp "$work/A/folder/round-99" "$work/B/folder/round-99"
}
for round in 1 2 3; do
	for i in $(seq 200); do
		random_file 30000 "$work/A/folder/round-$i"
	done
	random_file 30000000 "$work/A/large"
	await 'things to be under way' under_way
	stop B KILL
	echo "edited while B was down $round" >"$work/B/folder/1"
	start B
	stop A KILL
	start A
	await 'A to be connected again' connected A B
	settle A B
	await 'both to be the same' is_same A B
	same A B
	[ "$(cat "$work/A/folder/1")" = "edited while B was down $round" ] || fail 'an edit is lost'
	[ -z "$(ls "$work/A/.tutti/tmp" "$work/B/.tutti/tmp" | grep -v : | grep .)" ] ||
		fail "left in tmp: $(ls "$work/A/.tutti/tmp" "$work/B/.tutti/tmp")"
done
passed 'killed in the middle, three times'

# The connection alone is lost: the dialer comes back by itself.
stop_cleanly B
await 'A to notice' grep -q 'B (127.0.0.1:[0-9]*) is gone' "$work/A.err"
echo apart >"$work/A/apart"
start B
await 'A to be connected again' connected A B
settle A B
same A B
passed 'reconnected by itself'

# The index is lost: what is equal stays as it is, nothing is sent again, nothing comes back.
rm "$work/A/folder/3"
settle A B
stop_cleanly B
rm "$work/state-B"/index.db*
start B
await 'A to be connected again' connected A B
settle A B
same A B
[ ! -e "$work/A/folder/3" ] || fail 'a deleted file came back'
again=$(bytes_in B A)
[ "$again" -lt 400000 ] || fail "after a lost index, contents were sent again: $again bytes"
passed "a lost index ($again bytes)"

# ... or is damaged.
stop_cleanly B
printf 'this is no database' >"$work/state-B/index.db"
rm -f "$work/state-B"/index.db-*
start B
await 'A to be connected again' connected A B
settle A B
same A B
passed 'a damaged index'

stop_cleanly A B
for name in A B; do
	! grep -q ' error: ' "$work/$name.err" || fail "$(grep ' error: ' "$work/$name.err")"
done
echo "$checks checks"
