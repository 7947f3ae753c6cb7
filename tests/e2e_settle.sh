#!/usr/bin/env bash
# Three servers: conflicts are settled in every way and taken back, what was replaced or deleted is found
# in the trash of any of them and comes back, and the history tells who did it.
. "$(dirname "$0")/e2e_lib.sh"

names=(A B C)
start A
peers[B]=A
start B
peers[C]='A B'
start C
await 'all three to be connected' connected C B
settle A B C

# Each of the named servers changes PATH while the others are away; the last has the latest date.
apart() { # PATH NAME...
	local path=$1 name minute=10
	stop_cleanly "${names[@]}"
	for name in "${@:2}"; do
		mkdir -p "$(dirname "$work/$name/$path")"
		rm -f "$work/$name/$path"
		echo "$path by $name" >"$work/$name/$path"
		touch -d "2026-11-01 12:$minute:00" "$work/$name/$path"
		minute=$((minute + 1))
	done
	together
}

together() {
	for name in "${names[@]}"; do
		start "$name"
	done
	await 'all three to be connected again' all_connected
	settle "${names[@]}"
}

all_connected() {
	connected A B && connected A C && connected B C
}

conflicts() { # NAME
	ask "$1" conflicts --json | sed 's/^{"path":"\([^"]*\)".*/\1/'
}

versions() { # NAME PATH
	ask "$1" conflicts "$2" --json | grep -o '"replica":' | wc -l
}

copy_of() { # NAME PATH REPLICA: the path of that replica's copy
	ask "$1" conflicts "$2" --json | grep -o "\"replica\":\"$3\",[^}]*" | sed 's/.*"copy":"\([^"]*\)".*/\1/'
}

is() { # PATH TEXT: on all
	local name
	for name in "${names[@]}"; do
		[ "$(cat "$work/$name/$1")" = "$2" ] || return 1
	done
}

missing() { # PATH: on all
	local name
	for name in "${names[@]}"; do
		[ ! -e "$work/$name/$1" ] && [ ! -L "$work/$name/$1" ] || return 1
	done
}

no_conflicts() {
	local name
	for name in "${names[@]}"; do
		[ -z "$(conflicts "$name")" ] && ask "$name" status --json | grep -q '"conflicts":0' || return 1
	done
}

settled() { # WHAT
	settle "${names[@]}"
	same "${names[@]}"
	passed "$1"
}

# one second and more before it is deleted, far below
mkdir "$work/A/docs"
echo first >"$work/A/docs/report"
settle A
echo second >"$work/A/docs/report"
settle A

# ---- what has the name ----
apart two.txt A B
[ "$(conflicts C)" = two.txt ] || fail "C does not list the conflict: $(conflicts C)"
[ "$(versions C two.txt)" = 2 ] || fail 'there are not two versions'
ask C conflicts | grep -q 'has the name' || fail 'conflicts in words do not say what has the name'
copy=$(copy_of C two.txt A)
[ -e "$work/C/$copy" ] || fail "there is no copy $copy"
status=0
ask A resolve two.txt --keep nobody 2>/dev/null || status=$?
[ "$status" -eq 1 ] || fail "a version of nobody: $status"
ask A resolve two.txt --keep this
await 'the copy to go' missing "$copy"
await 'no conflict to be left' no_conflicts
is two.txt 'two.txt by B' || fail 'the kept version is not there'
settled 'the version with the name is kept'

status=0
ask A resolve two.txt --keep this 2>"$work/said" || status=$?
[ "$status" -eq 1 ] && grep -q 'no conflict' "$work/said" || fail "settled twice: $status, $(cat "$work/said")"

ask A resolve --undo
await 'the copy to be back' test -e "$work/C/$copy"
settle "${names[@]}"
is "$copy" 'two.txt by A' || fail 'what came back is something else'
[ "$(conflicts A)" = two.txt ] || fail 'what was taken back is no conflict again'
ask A status --json | grep -q '"conflicts":1' || fail 'status does not count it'
ask A list --filter two.txt | grep 'two.txt' | grep -q 'conflict, taken back' ||
	fail "its row does not say so: $(ask A list --filter two.txt)"
ask A list --filter state:conflict --json | grep -q '"path":"two.txt"' || fail 'the filter does not find it'
[ -z "$(ask B list --filter state:conflict --json)" ] || fail 'B shows it as a conflict'
settled 'taken back'

# ---- a copy, by the name of its replica; of one that was taken back ----
ask A resolve two.txt --keep A
await 'the copy to take the name' is two.txt 'two.txt by A'
await 'the copy to be gone' missing "$copy"
await 'no conflict to be left' no_conflicts
[ -z "$(ask A list --filter state:conflict --json)" ] || fail 'it is shown as a conflict still'
settled "a copy is kept by its replica's name"

# over a restart
stop_cleanly A
start A
await 'all three to be connected' all_connected
ask A resolve --undo two.txt
await 'the old one to have the name again' is two.txt 'two.txt by B'
await 'the copy to be back' is "$copy" 'two.txt by A'
settled 'taken back after a restart'
ask A resolve "$copy" --keep this
await 'the copy to take the name' is two.txt 'two.txt by A'
settled "a copy is kept by its own path"

# ---- three ways, both ----
apart dir/three.txt A B C
for name in "${names[@]}"; do
	[ "$(versions "$name" dir/three.txt)" = 3 ] || fail "$name does not see three versions"
done
ask B resolve dir/three.txt --keep both
await 'no conflict to be left' no_conflicts
settle "${names[@]}"
is dir/three.txt 'dir/three.txt by C' || fail 'the winner is not there'
got=$(cat "$work/A/dir/three.2.txt" "$work/A/dir/three.3.txt" | sort)
[ "$got" = $'dir/three.txt by A\ndir/three.txt by B' ] || fail "the copies did not get plain names: $got"
[ "$(find "$work/A/dir" -type f | wc -l)" -eq 3 ] || fail 'there are other files'
settled 'all of three versions are kept'
ask B resolve --undo
await 'the plain names to go' missing dir/three.2.txt
settle "${names[@]}"
[ "$(conflicts B)" = dir/three.txt ] || fail 'not a conflict again'
settled 'that was taken back'
copy=$(copy_of B dir/three.txt B)
ask B resolve dir/three.txt --keep "$copy"
await 'the version of B to have the name' is dir/three.txt 'dir/three.txt by B'
await 'no conflict to be left' no_conflicts
settle "${names[@]}"
[ "$(find "$work/A/dir" -type f | wc -l)" -eq 1 ] || fail 'copies are left'
settled 'one of three is kept, by the path of its copy'

# ---- symlinks, and a file against a folder ----
stop_cleanly "${names[@]}"
ln -s to-A "$work/A/link"
ln -s to-B "$work/B/link"
echo file >"$work/A/thing"
mkdir "$work/B/thing" && echo inside >"$work/B/thing/inside"
together
[ "$(conflicts A)" = $'link\nthing' ] || fail "the conflicts are: $(conflicts A)"
status=0
ask A resolve thing --keep A 2>"$work/said" || status=$?
[ "$status" -eq 1 ] && grep -q folder "$work/said" || fail "a file over a folder: $status, $(cat "$work/said")"
has=$(readlink "$work/A/link")
other=$([ "$has" = to-A ] && echo B || echo A)
ask C resolve link --keep "$other"
await 'the other link to have the name' eval '[ "$(readlink "$work/A/link")" = "to-$other" ]'
ask C resolve --undo link
await 'the first link to have the name again' eval '[ "$(readlink "$work/B/link")" = "$has" ]'
settle "${names[@]}"
ask C resolve --all --keep both
await 'no conflict to be left' no_conflicts
settle "${names[@]}"
[ "$(cat "$work/C/thing.2")" = file ] || fail 'the file beside the folder has no plain name'
[ "$(cat "$work/C/thing/inside")" = inside ] || fail 'the folder is not whole'
[ "$(readlink "$work/C/link.2")" = "to-$other" ] || fail 'the second link has no plain name'
settled 'links, and a file beside a folder'

# ---- changed since ----
apart stale.txt A B
copy=$(copy_of A stale.txt A)
ask A resolve stale.txt --keep this
await 'the copy to go' missing "$copy"
echo 'something else' >"$work/A/$copy"
settle "${names[@]}"
status=0
ask A resolve --undo stale.txt 2>"$work/said" || status=$?
[ "$status" -eq 1 ] && grep -q 'changed since' "$work/said" || fail "taken back over a change: $(cat "$work/said")"
is "$copy" 'something else' || fail 'the change was lost'
passed 'nothing is taken back over a change'
rm "$work/A/$copy"

# ---- the trash ----
rm "$work/A/docs/report"
settle "${names[@]}"
missing docs/report || fail 'it was not deleted everywhere'
ask B trash docs/report --on B --json | grep -c '"path":"docs/report"' | grep -qx 2 ||
	fail "B does not have both in its trash: $(ask B trash --on B)"
ask B trash docs --on B | grep -q 'by A' || fail "the trash does not say who did it: $(ask B trash --on B)"
[ "$(ask B trash docs/report --on A --json | wc -l)" -eq 0 ] || fail 'A has in its trash what a person deleted'
[ "$(ask A trash docs/report --json | wc -l)" -eq 4 ] || fail "all trash, seen from A: $(ask A trash docs/report)"
[ "$(ask A trash docs/report --since 2030-01-01 --json | wc -l)" -eq 0 ] || fail 'since is not heeded'
[ "$(ask A trash --until 2020-01-01 --json | wc -l)" -eq 0 ] || fail 'until is not heeded'
passed 'the trash is listed, by path, time and replica'

# A does not have it: it comes from another replica
ask A restore docs/report
await 'the newest to be back' is docs/report second
settled 'restored from the trash of another replica'
ask C restore docs/report --on C --to old/one/report
await 'the newest to be at another place' is old/one/report second
settled 'restored to another place, with its folders'

# over what is there: that goes to the trash, and comes back in turn
first=$(ask B trash docs/report --on B --json | grep '"size":6,' | tail -1 | sed 's/^{"time":\([0-9.]*\).*/\1/')
at=$(date -d "@${first%.*}" '+%Y-%m-%d %H:%M:%S')
[ "$(date '+%Y-%m-%d %H:%M:%S')" != "$at" ] || fail 'the clock stands still'
ask B restore docs/report --on B --at "$at" >"$work/said" || fail "as of $at: $(ask B trash docs/report --on B)"
await 'the old one to be back' is docs/report first
settled "restored over what is there"
ask B trash docs/report --on B --json | head -1 | grep -q '"by":"B"' || fail 'what was replaced is not in the trash'

# a whole folder
mkdir -p "$work/A/album/more"
for i in 1 2 3; do echo "picture $i" >"$work/A/album/more/$i"; done
settle A
rm -r "$work/A/album"
settle "${names[@]}"
missing album || fail 'the folder was not deleted everywhere'
ask A restore album
await 'the folder to be back' is album/more/3 'picture 3'
settle "${names[@]}"
[ "$(ls "$work/B/album/more" | tr '\n' ' ')" = '1 2 3 ' ] || fail 'not all of the folder is back'
settled 'a folder is restored'
status=0
ask A restore never/was 2>"$work/said" || status=$?
[ "$status" -eq 1 ] && grep -q 'trash' "$work/said" || fail "restored what never was: $status"

# while the one that has it is away
echo precious >"$work/A/precious"
settle A
stop_cleanly C
rm "$work/A/precious"
settle A B
stop_cleanly B
status=0
ask A restore precious 2>/dev/null || status=$?
[ "$status" -eq 1 ] || fail 'restored from nowhere'
start B
start C
await 'all three to be connected' all_connected
ask A restore precious
await 'it to be back' is precious precious
settled 'restored once somebody is there who has it'

# ---- the history ----
rm "$work/B/precious"
settle "${names[@]}"
ask A history precious --json | head -1 | grep -q '"event":"removed".*"replica":"B"' ||
	fail "A does not know who deleted it: $(ask A history precious)"
ask B history precious --json | head -1 | grep -q '"event":"deleted".*"replica":"B"' ||
	fail "B does not know that it deleted it: $(ask B history precious)"
ask C history album | grep -q 'album/more/3' || fail 'the history of a folder is not there'
[ "$(ask C history | wc -l)" -gt 20 ] || fail 'the history of everything is short'
[ "$(ask C history --since 2030-01-01 --json | wc -l)" -eq 0 ] || fail 'since is not heeded'
passed 'the history tells who did it'

# It forgets the oldest lines, soon after there are too many.
extra[D]='--history-lines 50'
start D
for round in {1..10}; do
	for i in {1..20}; do
		echo "$round" >"$work/D/forgotten $round $i"
	done
	settle D
done
short() { [ "$(ask D history | wc -l)" -le 100 ]; }
await 'the history to be short' short
ask D history >"$work/said"
grep -q 'forgotten 10 ' "$work/said" || fail 'the newest lines are not there'
! grep -q 'forgotten 1 ' "$work/said" || fail 'the oldest lines are still there'
stop_cleanly D
passed 'the history is bounded'

stop_cleanly "${names[@]}"
echo "$checks checks"
