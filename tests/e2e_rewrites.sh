#!/usr/bin/env bash
# F17: a script that runs wild, or a program that encrypts all it finds, rewrites the files of one machine. The
# others carry it out, as nobody can tell it from work; but they tell it, also after another start, and what
# the files held before stays in the trash, whatever its bounds say, and comes back from there.
. "$(dirname "$0")/e2e_lib.sh"

can_be_faulty B
via[B]='fast 30 B' # a minute lasts two seconds
fault B 'disk +1000000'
extra[B]='--trash-percent 10'
pair B A
files() { # CONTENT: 40 files of 10 kB
	local i
	for i in {1..40}; do
		(printf '%s %s' "$1" "$i" && head -c 10000 /dev/zero) >"$work/new"
		mv "$work/new" "$work/A/doc-$i"
	done
}
in_trash() { # REGEX: how many files of the trash of B have it
	grep -lr "$1" "$work/B/.tutti/trash" | wc -l
}
told() { note B 'A has given very many files new contents since'; }
in_sync() { ask A wait --timeout 0.3 && ask B wait --timeout 0.3; }
arrive() { await 'A and B to be in sync' in_sync; }
files good
head -c 90000 /dev/zero >"$work/A/large"
for i in {1..60}; do echo "$i" >"$work/A/small-$i"; done
arrive
for i in {1..19}; do echo "work $i" >"$work/A/small-$i"; done
echo 'other content' >"$work/A/large"
arrive
! told || fail "ordinary work is told: $(ask B status)"
passed 'ordinary work is not told'

files encrypted
for i in {20..40}; do echo "encrypted $i" >"$work/A/small-$i"; done
arrive
same A B
await 'B to tell' told
ask B status | grep -q 'A has given very many files new contents since 20.*: [4-9][0-9]; .*in the trash.*tutti trash --since' ||
	fail "it says: $(ask B status)"
grep -q ' warning: A has given very many files' "$work/B.err" || fail 'nothing is logged'
[ "$(grep -c ' warning: A has given' "$work/B.err")" -eq 1 ] || fail 'it is logged again and again'
! note A 'very many files' || fail 'A tells what was done there'
[ "$(in_trash good)" -eq 40 ] || fail "in the trash of B: $(in_trash good)"
passed 'very many files rewritten: told'

stop B KILL
start B
await 'B to tell after another start' told
await 'B to be connected' connected B A
arrive
passed 'it is told after another start'

# ---- the trash is full ----------------------------------------------------------------------
for round in 1 2; do
	head -c 70000 /dev/zero >"$work/A/large-$round"
	arrive
	rm "$work/A/large-$round"
	arrive
done
went() { # N: so many went before their time, as B says
	grep -q " warning: the trash took more than 10% of the disk: the oldest there, $1 of .*before .* time" "$work/B.err"
}
fault B 'disk +1000000' 'mono +4000'
await 'what is too much to go, and that to be told' went 1
[ "$(in_trash good)" -eq 40 ] || fail "in the trash of B: $(in_trash good)"
[ "$(find "$work/B/.tutti/trash" -name '*-large-*' | wc -l)" -eq 1 ] || fail "not as it should be: $(ls "$work/B/.tutti/trash")"
passed 'what was rewritten is spared when the trash is full, and what goes is told'

await 'B to be connected' connected B A
for i in {1..40}; do
	ask B restore --on B "doc-$i" >/dev/null || fail "doc-$i does not come back"
	grep -q good "$work/B/doc-$i" || fail "doc-$i is not as it was"
done
arrive
same A B
grep -q 'good 7' "$work/A/doc-7" || fail 'A has it not'
passed 'all come back'

fault B 'disk -1000000' 'mono +8000'
gone() { [ "$(find "$work/B/.tutti/trash" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')" -le 100000 ]; }
await 'the trash to give way when the disk is short' gone
passed 'nothing is spared when the disk is short'

stop_cleanly A B
echo "$checks checks"
