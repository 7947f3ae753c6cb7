#!/usr/bin/env bash
# An index that is lost, damaged, of another directory, from the future, or an old copy: each is
# recognised, moved aside and begun anew, said in one line; nothing comes back from the dead, nothing is
# sent again, and the servers go on.
. "$(dirname "$0")/e2e_lib.sh"

random_files 100 20000 "$work/A/folder"
pair A B
rm "$work/A/folder/1"
echo changed >"$work/B/folder/2"
settle A B
same A B

id_of() { # NAME: its replica id
	ask "$1" status --json | sed -n 's/^{[^[]*"id":"\([0-9a-f]*\)".*/\1/p'
}

lines() { # NAME PATTERN
	grep -c "$2" "$work/$1.err" || :
}

# A was begun anew, and all is well. Its log begins anew as well.
anew() { # WHAT PATTERN-IN-THE-LOG
	await 'A to be connected again' connected A B
	settle A B
	same A B
	[ ! -e "$work/A/folder/1" ] && [ ! -e "$work/B/folder/1" ] || fail "$1: a deleted file came back"
	[ -z "$(find "$work/A" "$work/B" -name '*.conflict-*' -o -name '*.saved-*')" ] ||
		fail "$1: copies were made"
	[ "$(lines A "$2")" -eq 1 ] || fail "$1: not said in one line"
	[ "$old_id" != "$(id_of A)" ] || fail "$1: it has its old id"
	local in out
	in=$(bytes_in A B)
	out=$(bytes_in B A)
	[ $((in + out)) -lt 400000 ] || fail "$1: contents were sent again: $in and $out bytes"
	ls "$work/state-A"/index.db.bad-* >/dev/null || fail "$1: nothing was moved aside"
	# it goes on both ways
	echo "after $1" >"$work/A/after"
	settle A B
	echo "and back after $1" >"$work/B/after"
	rm "$work/A/folder/$3"
	settle A B
	same A B
	[ ! -e "$work/B/folder/$3" ] || fail "$1: a deletion was not carried out"
	rm -f "$work/state-A"/index.db.bad-*
	cat "$work/A.err" >>"$work/A.before"
	: >"$work/A.err"
	passed "$1 ($((in + out)) bytes)"
}

# ---- damaged in the middle ------------------------------------------------------------------

old_id=$(id_of A)
stop_cleanly A
size=$(stat -c %s "$work/state-A/index.db")
for page in $(seq 1 $((size / 4096 - 1))); do
	dd if=/dev/urandom of="$work/state-A/index.db" bs=4096 seek="$page" count=1 conv=notrunc status=none
done
start A
anew 'a damaged index' 'index.* damaged' 3

# ---- cut short ------------------------------------------------------------------------------

old_id=$(id_of A)
stop_cleanly A
truncate -s 5000 "$work/state-A/index.db"
start A
anew 'an index that was cut short' 'index.* damaged' 4

# ---- from the future ------------------------------------------------------------------------

old_id=$(id_of A)
stop_cleanly A
# the format stands in the head of the database, at byte 60
printf '\0\0\0\143' | dd of="$work/state-A/index.db" bs=1 seek=60 count=4 conv=notrunc status=none
start A
anew 'an index from the future' 'was written by a newer tuttid (format 99' 5

# ---- of another directory -------------------------------------------------------------------

old_id=$(id_of A)
stop_cleanly A
mkdir "$work/C"
echo elsewhere >"$work/C/elsewhere"
start C
stop_cleanly C
cp "$work/state-C/index.db" "$work/state-A/index.db"
start A
anew 'an index of another directory' 'belongs to another directory' 6

# ---- an old copy ----------------------------------------------------------------------------

stop_cleanly A
cp -r "$work/state-A" "$work/old-copy"
start A
await 'A to be connected again' connected A B
old_id=$(id_of A)
for i in $(seq 10 20); do
	echo "changed since $i" >"$work/A/folder/$i"
done
rm "$work/A/folder/21"
settle A B
stop_cleanly A
rm -r "$work/state-A"
mv "$work/old-copy" "$work/state-A"
start A
old_pid=${pid[A]}
await 'the log to say so' grep -q 'an old copy' "$work/A.err"
anew 'an old copy of the index' 'so the index is an old copy' 7
kill -0 "$old_pid" || fail 'the process ended'
[ "$(grep -c '^ready ' "$work/A.out")" -eq 1 ] || fail 'ready was said twice'
[ "$(cat "$work/A/folder/15")" = 'changed since 15' ] || fail 'a change since the copy is lost'
[ ! -e "$work/A/folder/21" ] || fail 'a deletion since the copy is undone'
old_id=$(id_of A)
stop_cleanly A
start A
await 'A to be connected again' connected A B
settle A B
[ "$old_id" = "$(id_of A)" ] || fail 'the new id did not stay'
passed 'the new life lasts'

# ---- an old copy that has gone on ---------------------------------------------------------------

cat "$work/A.err" >>"$work/A.before"
: >"$work/A.err"
stop_cleanly A
cp -r "$work/state-A" "$work/old-copy"
start A
await 'A to be connected again' connected A B
old_id=$(id_of A)
echo 'lost' >"$work/A/folder/30"
echo 'lost' >"$work/A/folder/31"
settle A B
stop_cleanly A
stop_cleanly B
rm -r "$work/state-A"
mv "$work/old-copy" "$work/state-A"
start A
for i in $(seq 31 60); do
	echo "changed offline $i" >"$work/A/folder/$i"
done
settle A
start B
await 'the log to say so' grep -q 'an old copy' "$work/A.err"
await 'A to be connected again' connected A B
settle A B
same A B # what was changed is concurrent with what B had: copies are right
[ "$old_id" != "$(id_of A)" ] || fail 'it has its old id'
[ "$(cat "$work/B/folder/30")" = 'lost' ] || fail 'a change since the copy is lost'
for i in $(seq 31 60); do
	[ "$(cat "$work/B/folder/$i")" = "changed offline $i" ] || fail "the offline change of $i is lost"
done
passed 'an old copy that has gone on'

# ---- a directory without its mark -----------------------------------------------------------

stop_cleanly A
mv "$work/A" "$work/A-away"
mkdir "$work/A"
status=0
timeout 20 "$tuttid" -n A -l 127.0.0.1:0 -s "$work/state-A" --socket "$work/A.sock" "$work/A" \
	>/dev/null 2>"$work/unmarked.err" || status=$?
[ "$status" -eq 1 ] || fail "an empty directory in its place: ended with $status"
grep -q 'is it mounted' "$work/unmarked.err" || fail 'it does not say why'
rmdir "$work/A"
mv "$work/A-away" "$work/A"
start A
await 'A to be connected again' connected A B
settle A B
same A B
passed 'an empty directory in its place'

stop_cleanly A B
echo "$checks checks"
