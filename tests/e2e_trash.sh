#!/usr/bin/env bash
# What lies in the trash: what somebody writes to a file after it was replaced comes back beside it, on
# every server; what has expired goes, also if the server is killed meanwhile; and nothing else changes.
. "$(dirname "$0")/e2e_lib.sh"

can_be_faulty B
via[B]='fast 30 B' # a minute lasts two seconds

start A
peers[B]=A
start B
echo 'the first content' >"$work/A/doc.txt"
echo 'to be deleted' >"$work/A/gone"
settle A B
same A B

in_trash() { # NAME: files
	ls "$work/$1/.tutti/trash" | wc -l
}

listed() { # NAME: what the index knows of
	ask "$1" trash --json | wc -l
}

# ---- written to after it was replaced --------------------------------------------------------
exec 7<"$work/B/doc.txt"
echo 'the second content' >"$work/doc.tmp"
mv "$work/doc.tmp" "$work/A/doc.txt"
rm "$work/A/gone"
settle A B
same A B
[ "$(cat "$work/B/doc.txt")" = 'the second content' ] || fail 'not replaced'
echo 'and a late line' >>/proc/self/fd/7
exec 7<&-
[ "$(cat "$work/B/doc.txt")" = 'the second content' ] || fail 'written into the new file'
saved() { # NAME
	[ "$(cat "$work/$1"/doc.saved-*.txt)" = "the first content
and a late line" ]
}
# not while it was written to just now
for file in "$work"/B/doc.saved-*; do
	[ ! -e "$file" ] || fail "$file: too early"
done
fault B 'clock +200' 'mono +4000'
await 'what was written late to be kept' saved B
await 'A to have it too' saved A
fault B 'mono +4000' # this clock never goes back
await 'A to be connected' connected B A
settle A B
same A B
[ "$(in_trash B)" -eq 1 ] || fail "in the trash: $(ls "$work/B/.tutti/trash")"
await 'the index to know' test "$(listed B)" -eq 1
ask B trash --json | grep -q '"path":"gone"' || fail "another one is listed: $(ask B trash)"
passed 'written to after it was replaced'

# ---- killed while it expires ------------------------------------------------------------------
dies() {
	await 'B to be killed' is_dead B
	wait "${pid[B]}" 2>/dev/null || :
	unset "pid[B]"
}

for name in one two three; do
	echo "$name" >"$work/A/$name"
done
settle A B
rm "$work/A/one" "$work/A/two" "$work/A/doc.txt"
settle A B
same A B
[ "$(in_trash B)" -eq 4 ] || fail "in the trash: $(ls "$work/B/.tutti/trash")"
await 'the index to know' eval '[ "$(listed B)" -eq 4 ]'
fault B 'clock +5000000' 'mono +8000' 'unlink KILL */B/.tutti/trash/*'
dies
[ "$(in_trash B)" -eq 4 ] || fail 'something has gone before'
fault B 'clock +5000000'
start B
settle A B
# Killed when all has gone, whether the index knows it yet or not.
fault B 'clock +5000000' 'mono +4000'
await 'all to go' eval '[ "$(in_trash B)" -eq 0 ]'
stop B KILL
[ "$(in_trash B)" -eq 0 ] || fail "in the trash: $(ls "$work/B/.tutti/trash")"
fault B
start B
await 'A to be connected' connected B A
settle A B
fault B 'mono +4000'
await 'the index to know what has gone' eval '[ "$(listed B)" -eq 0 ]'
await 'A to be connected' connected B A
settle A B
same A B
[ "$(cat "$work/B/three")" = three ] || fail 'a file has gone'
[ -z "$(find "$work/A" "$work/B" -name '*.conflict-*')" ] || fail 'copies were made'
passed 'killed while things expire'

stop_cleanly A B
echo "$checks checks"
