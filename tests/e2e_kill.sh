#!/usr/bin/env bash
# A server that is killed at each point of applying what came: before and after the journal of intents,
# while contents are written, before names change, in between, before and after the index is stored, and
# in its own recovery; in the middle of what it tells a peer; and while it walks and reads. After the next
# start all is as it would have been, nothing is missing, nothing lies about, and nobody is said to have
# done what our own hand did. And an index whose sync fails.
. "$(dirname "$0")/e2e_lib.sh"

can_be_faulty A B
start A
peers[B]=A # who comes back dials at once
start B
settle A B

# All kinds of operations at once, on A.
prepare() {
	rm -rf "$work/A"/*
	mkdir "$work/A/goes" "$work/A/becomes-a-file" "$work/A/stays"
	for name in changed deleted moved goes/file becomes-a-file/file becomes-a-folder stays/file touched; do
		echo "old $name" >"$work/A/$name"
	done
	ln -s old "$work/A/link"
	settle_confirming A B # what was there before
	same A B
}

work_on() {
	echo new >"$work/A/new"
	echo 'not the old one' >"$work/A/changed.tmp"
	mv "$work/A/changed.tmp" "$work/A/changed"
	rm "$work/A/deleted"
	mv "$work/A/moved" "$work/A/stays/moved"
	rm -r "$work/A/goes" "$work/A/becomes-a-file"
	echo file >"$work/A/becomes-a-file"
	rm "$work/A/becomes-a-folder"
	mkdir -p "$work/A/becomes-a-folder/deep/er"
	echo deep >"$work/A/becomes-a-folder/deep/er/file"
	ln -sfn new "$work/A/link"
	chmod 600 "$work/A/touched"
	random_file 300000 "$work/A/larger"
}

# Lines of B's history that say somebody there did something.
invented() {
	ask B history --json 2>/dev/null |
		grep -cE '"event":"(created|changed|deleted|moved|moved away|conflict|found [a-z]*)"' || :
}

check_all() { # WHAT
	await 'A to be connected again' connected A B
	settle A B
	same A B
	[ "$(invented)" -eq "$before" ] || fail "$1: events were invented: $(ask B history --json)"
	[ -z "$(ls "$work/B/.tutti/tmp")" ] || fail "$1: left in tmp: $(ls "$work/B/.tutti/tmp")"
	[ -z "$(find "$work/A" "$work/B" -name '*.conflict-*' -o -name '*.saved-*')" ] ||
		fail "$1: copies were made"
}

# What was deleted in the rounds before counts with what is deleted now, and may be held.
is_killed() {
	decide A delete
	is_dead B || { decide B delete && is_dead B; }
}

killed_at() { # RULE
	prepare
	before=$(invented)
	fault B "$@"
	work_on
	await "B to be killed at $*" is_killed
	wait "${pid[B]}" 2>/dev/null || :
	unset "pid[B]"
	fault B
	start B
	check_all "$*"
	passed "killed at $*"
}

killed_at "write KILL */B/.tutti/intents"
killed_at "fsync KILL */B/.tutti/intents"
killed_at "write KILL */B/.tutti/tmp/*"
killed_at "fsync KILL */B/.tutti/tmp/*"
killed_at "rename KILL */B/new"
killed_at "rename KILL */B/changed"
killed_at "rename KILL */B/.tutti/trash/*"
killed_at "rename KILL */B/stays/moved"
killed_at "mkdir KILL */B/becomes-a-folder/deep"
killed_at "unlink KILL */B/goes"
killed_at "fsync KILL */B"
killed_at "fsync KILL */B/.tutti/trash"
killed_at "write KILL */state-B/index.db-wal"
killed_at "fsync KILL */state-B/index.db-wal"

# B is started alone, for as long as it lives; $status says how it ended (124: it lived on).
ends_at_once() {
	status=0
	timeout 20 env LD_PRELOAD="$work/fault_shim.so" FAULTS="$work/faults-B" ASAN_OPTIONS=verify_asan_link_order=0 \
		"$tuttid" -n B --plain -l 127.0.0.1:0 -s "$work/state-B" --socket "$work/B.sock" \
		"$work/B" >/dev/null 2>>"$work/B.err" || status=$?
}

# Killed in recovery as well, and again.
prepare
before=$(invented)
fault B "rename KILL */B/new" # before anything says what came of it
kill -STOP "${pid[B]}" # so that all comes at once
work_on
A_has_looked() { ask A list --json | grep -q '"path":"larger"'; }
await 'A to have looked' A_has_looked
kill -CONT "${pid[B]}"
await 'B to be killed' is_killed
wait "${pid[B]}" 2>/dev/null || :
for rule in "write KILL */B/.tutti/intents*" "fsync KILL */B/.tutti/intents*" \
	"unlink KILL */B/.tutti/tmp/*"; do
	fault B "$rule"
	ends_at_once
	[ "$status" -eq 137 ] || fail "recovery with $rule ended with $status"
done
unset "pid[B]"
fault B
start B
check_all 'recovery'
passed 'killed in recovery'

# ---- in the middle of a frame ------------------------------------------------------------------
# 300 new files are told of; half of a large piece of that arrives.
before=$(invented)
fault A 'send KILL /?????*'
kill -STOP "${pid[A]}" # so that it finds them all at once
mkdir "$work/A/many"
for i in $(seq 300); do printf '%02000d\n' "$i" >"$work/A/many/$i"; done
kill -CONT "${pid[A]}"
await 'A to be killed' is_dead A
wait "${pid[A]}" 2>/dev/null || :
unset "pid[A]"
ask B status >/dev/null || fail 'B does not answer'
fault A
start A
check_all 'in the middle of a frame'
rm -r "$work/A/many"
settle_confirming A B
passed 'killed in the middle of a frame'

# ---- while it walks and reads -------------------------------------------------------------------
stop_cleanly B
mkdir "$work/B/walked"
echo new >"$work/B/walked/new"
echo changed >"$work/B/touched"
rm "$work/B/larger"
for rule in 'readdir KILL */B/walked' 'readdir KILL */B' 'read KILL */B/walked/new' 'read KILL */B/touched' \
	'write KILL */state-B/index.db-wal' 'fsync KILL */state-B/index.db-wal'; do
	fault B "$rule"
	# what the last start has read and stored is read once more, and there is something to store
	touch "$work/B/walked/new" "$work/B/touched"
	echo "$rule" >"$work/B/walked/other"
	ends_at_once
	[ "$status" -eq 137 ] || fail "a walk with $rule ended with $status"
done
fault B
start B
await 'A to be connected again' connected A B
settle A B
same A B
[ "$(cat "$work/A/touched" "$work/A/walked/new")" = "changed
new" ] || fail 'what was changed meanwhile did not arrive'
[ -z "$(find "$work/A" "$work/B" -name '*.conflict-*' -o -name '*.saved-*')" ] || fail 'copies were made'
for path in touched walked/new; do
	ask A history "$path" --json | head -1 | grep -q '"event":"received".*"replica":"B"' ||
		fail "A does not know who changed $path: $(ask A history "$path")"
done
ask A history larger --json | head -1 | grep -q '"event":"removed".*"replica":"B"' ||
	fail "A does not know who deleted a file: $(ask A history larger)"
found() { # PATH WHAT
	[ "$(ask B history "$1" --json | grep -c '"event":"found [a-z]*"')" -eq 1 ] &&
		ask B history "$1" --json | head -1 | grep -q "\"event\":\"found $2\".*\"replica\":\"B\"" ||
		fail "not told as found $2: $(ask B history "$1")"
}
found touched changed
found walked/new new
found larger gone
passed 'killed while it walks; what was done meanwhile is in the history, once'

# ---- the index cannot be synced ---------------------------------------------------------------
prepare
fault B "fsync EIO */state-B/index.db-wal"
echo "after the sync has failed" >"$work/A/new"
await 'B to end' is_dead B
status=0
wait "${pid[B]}" || status=$?
unset "pid[B]"
[ "$status" -eq 3 ] || fail "it ended with $status"
grep -q 'this server ends; look after the disk' "$work/B.err" || fail 'it does not say why'
fault B
start B
await 'A to be connected again' connected A B
settle A B
same A B
passed 'an index that cannot be synced'

stop_cleanly A B
echo "$checks checks"
