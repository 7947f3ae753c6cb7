#!/usr/bin/env bash
# Deletions that are too many at once: real servers hold them until a person has spoken.
. "$(dirname "$0")/e2e_lib.sh" || exit 1

peers[B]=A
start A
start B
await 'A and B to meet' connected A B

count() { # NAME
	find "$work/$1" -mindepth 1 -path "$work/$1/.tutti" -prune -o -print | wc -l
}

has_count() { # NAME N
	[ "$(count "$1")" -eq "$2" ]
}

held() { # NAME
	ask "$1" status --json | sed 's/.*"conflicts":[0-9]*,"held":\([0-9]*\).*/\1/'
}

holds() { # NAME N
	[ "$(held "$1")" -eq "$2" ]
}

fill() {
	local i
	for i in {1..100}; do
		echo "content $i" >"$work/A/f$i"
	done
	settle_confirming A B # of what was removed just before, too
	has_count B 100 || fail "B has $(count B) of 100 files"
}

not_in_sync() { # NAME
	! ask "$1" wait --timeout 0.1 2>"$work/why" || fail "$1 says that it is in sync"
}

fill
rm "$work/A"/f{1..80} # at once, however busy the machine is
await 'A to hold the deletions' holds A 80
echo new >"$work/A/new"
await 'the new file on B' test -e "$work/B/new"
has_count B 101 || fail "B has $(count B) of 101 files"
not_in_sync A
not_in_sync B
ask A status >"$work/said" && grep -q '80 deletions held' "$work/said" || fail "no word of it: $(cat "$work/said")"
! grep -q '[0-9] problem' "$work/said" || fail "what is held is a problem: $(cat "$work/said")"
held_there() { ask B status | grep -q '^Not in sync.*: .*80 deletions held on A'; }
await 'B to tell that A holds them' held_there
ask B status >"$work/said" && ! grep -q '[0-9] problem' "$work/said" || fail "what is held is a problem: $(cat "$work/said")"
grep -q 'on A: deleted here, held: 80 deletions at once' "$work/said" && grep -q '^  and 60 others' "$work/said" ||
	fail "not told: $(cat "$work/said")"
[ "$(ask B status --json | grep -o '"reason":"deleted here, held: 80 deletions' | wc -l)" -eq 80 ] ||
	fail "not each is told: $(ask B status --json)"
[ "$(ask B list --filter state:held --json | wc -l)" -eq 80 ] || fail "not each row says it: $(ask B list)"
reason_at A A f7 'deleted here, held: 80 deletions at once wait for a word' || fail "$(ask A status --json)"
await 'B to say why' reason_at B A f7 'held: 80 deletions at once'
for name in A B; do
	await "$name to show it" has_state "$name" f7 held
done
ask A held >"$work/said"
grep -q '80 deletions (.*) on A, held since' "$work/said" && grep -q '^  f1$' "$work/said" &&
	grep -q 'and 60 others' "$work/said" || fail "listed as $(cat "$work/said")"
ask B held | grep -qx 'No deletions are held.' || fail 'B holds what A has not done'
passed 'most of the files deleted: held, and all else goes on'

shown=$(ask A held --json | sed 's/^{"id":"\([0-9a-f]*\)".*/\1/')
echo 'content 7' >"$work/A/f7" # somebody puts one back
await 'one to be out of it' holds A 79
! ask A held delete "$shown" 2>"$work/said" || fail 'another set than the one that was shown was carried out'
grep -q 'not exactly these' "$work/said" || fail "$(cat "$work/said")"
holds A 79 || fail "a refused word has changed something"
passed 'only what was shown is carried out'

decide A delete
await 'B to hold them as well' holds B 79
has_count B 101 || fail "B has deleted something: $(count B) are left of 101"
shows_held() { [ "$(ask A list --filter state:held --json | wc -l)" -eq "$1" ]; }
await 'A to show what is held on B' shows_held 79
reason_at B B f8 'deleted on A, held: 79 deletions' || fail "$(ask B status --json)"
decide B delete
await 'the files to go' has_count B 22
settle A B
same A B
shows_held 0 || fail "A shows still what is gone: $(ask A list)"
passed 'confirmed on both: gone on both'

rm "${work:?}"/A/*
fill
rm -rf "${work:?}"/A/*
await 'A to hold everything' holds A 100
decide A keep
await 'all to be back' has_count A 100
settle A B
same A B
passed 'not confirmed: all comes back'

rm -rf "${work:?}"/A/*
await 'A to hold everything' holds A 100
decide A delete
await 'B to hold what A says' holds B 100
decide B keep
await 'all to be back' has_count A 100
settle A B
same A B
passed "a peer's deletions, not confirmed: all comes back where they were made"

stop_cleanly A
rm -rf "${work:?}"/A/*
start A
await 'A to hold everything' holds A 100
has_count B 100 || fail "B has $(count B) of 100 files"
stop_cleanly A # and it still does after another start
start A
await 'A to hold everything again' holds A 100
decide A keep
await 'all to be back' has_count A 100
settle A B
same A B
passed 'emptied while it was stopped'

mkdir "$work/A/folder"
mv "$work"/A/f[1-9]* "$work/A/folder"
settle A B
mv "$work/A/folder" "$work/A/moved"
settle A B
same A B
holds A 0 && holds B 0 || fail 'a rename is held'
passed 'everything moved, and moved again: nothing is held'

rm "$work/A/moved/f1"
await 'one deletion to arrive' test ! -e "$work/B/moved/f1"
settle A B
passed 'one deletion is not asked for'

stop_cleanly A B
echo "$checks checks"
