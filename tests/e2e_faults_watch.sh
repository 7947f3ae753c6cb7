#!/usr/bin/env bash
# The kernel tells too little, too late, or nothing: every change is found all the same, and what is
# walked instead of watched is told.
#	F12  the queue of events overflows
#	F13  no watches, no inotify at all: walking
#	F14  races: folders that are made, filled, moved in and out at once
#	     files written twice within the grain of the clock
#	F45  a mapping that is written to and kept
#	F50  a machine that slept for a day
#	F62  a network file system: watches tell nothing of what others do there, names cannot be
#	     exchanged, files go stale
. "$(dirname "$0")/e2e_lib.sh"

can_be_faulty A
via[A]='fast 30 A' # a minute lasts two seconds

pair A B

# ---- overflow -----------------------------------------------------------------------------
queue=$(cat /proc/sys/fs/inotify/max_queued_events)
mkdir "$work/A/many"
settle A B
kill -STOP "${pid[A]}"
(
	cd "$work/A/many"
	for i in $(seq 200); do echo "$i" >"file-$i"; done
	# each touch is an event; two in a row at one name are one
	for ((i = 0; i < queue / 2 + 2000; i += 200)); do
		touch file-{1..200}
		chmod 600 file-{1..200}
		chmod 644 file-{1..200}
	done
	echo 'after the overflow' >late
	mkdir -p deep/er && echo deep >deep/er/file
	rm file-7
)
kill -CONT "${pid[A]}"
await 'what came after the overflow' cmp "$work/A/many/late" "$work/B/many/late"
settle A B
same A B
grep -q 'dropped events' "$work/A.err" || fail "no overflow of $queue events: nothing was tested"
passed "F12 an overflow of $queue events"

# ---- races --------------------------------------------------------------------------------
for i in $(seq 40); do
	mkdir -p "$work/A/race-$i/a/b/c" && echo "$i" >"$work/A/race-$i/a/b/c/file" &&
		echo "$i" >"$work/A/race-$i/a/file" && mv "$work/A/race-$i/a/b" "$work/A/race-$i/moved"
	echo "$i" >"$work/A/race-$i/moved/c/later"
done
mkdir -p "$work/outside/x/y"
echo outside >"$work/outside/x/y/file"
mv "$work/outside" "$work/A/inside"
echo more >"$work/A/inside/x/y/more"
settle A B
same A B
passed 'F14 folders filled and moved while they are new'
mv "$work/A/inside" "$work/out"
echo unseen >"$work/out/x/y/unseen"
settle A B
[ ! -e "$work/B/inside" ] || fail 'B still has it'
mv "$work/out" "$work/A/again"
echo seen >"$work/A/again/x/y/seen"
mv "$work/A/again" "$work/A/and-again"
mv "$work/A/and-again" "$work/A/race-1/again"
echo seen >"$work/A/race-1/again/x/y/seen too"
settle A B
same A B
# back to the same name before anybody has looked
mv "$work/A/race-2" "$work/out" && mv "$work/out" "$work/A/race-2"
echo seen >"$work/A/race-2/a/after"
settle A B
echo seen >"$work/A/race-2/moved/c/after"
settle A B
same A B
passed 'F14 a folder that is moved out, in, about, and back'

# Folders that take the place of others, with folders of the same names in them.
for name in here there; do
	mkdir -p "$work/A/$name/same/deep/er" "$work/away-$name/same/deep/er"
	for i in same same/deep same/deep/er; do
		echo "$name" >"$work/A/$name/$i/in $name"
		echo "away $name" >"$work/away-$name/$i/away $name"
	done
done
settle A B
for round in 1 2 3 4 5; do
	"$TUTTI_BUILD/tests/odd_writer" swap "$work/A/here" "$work/A/there" "$round"
	"$TUTTI_BUILD/tests/odd_writer" swap "$work/A/here/same" "$work/away-here/same" 1
	echo "$round" >"$work/A/here/same/deep/er/round"
	mv "$work/A/there" "$work/A/aside" && mv "$work/away-there" "$work/A/there" &&
		mv "$work/A/aside" "$work/away-there"
	settle A B
	same A B
	echo "$round again" >"$work/A/here/same/deep/er/round"
	echo "$round" >"$work/A/there/same/deep/round"
	settle A B
	same A B
done
passed 'F14 folders that take the place of others'

# ---- within the grain of the clock ----------------------------------------------------------
# Same size, same inode, and the date of before: only reading it again can tell.
for i in $(seq 30); do
	printf 'content %02d' "$i" >"$work/A/grain"
	printf 'CONTENT %02d' "$i" >"$work/A/grain"
	touch -d '2020-01-01 00:00:00' "$work/A/grain"
done
settle A B
same A B
stop_cleanly A
printf 'one' >"$work/A/grain"
start A
await 'A to be connected' connected A B
settle A B
same A B
passed 'files written again within the grain of the clock'

# ---- what nothing tells ---------------------------------------------------------------------
stop_cleanly A
extra[A]='--rehash-days 1'
via[A]='faulty A'
start A
await 'A to be connected' connected A B
echo 'as it was at first' >"$work/A/mapped"
settle A B
"$TUTTI_BUILD/tests/odd_writer" hold "$work/A/mapped" 'as it is now' >"$work/stored" &
pid[writer]=$!
await 'the store' test -s "$work/stored"
echo beside >"$work/A/beside"
settle A B
[ "$(cat "$work/B/mapped")" = 'as it was at first' ] || fail 'the kernel tells of mappings: nothing was tested'
busy=$(worked A)
fault A 'mono +86400' # a day later
await 'it to be found by reading all again' cmp "$work/A/mapped" "$work/B/mapped"
settle A B
same A B
[ $(($(worked A) - busy)) -lt 200 ] || fail 'A runs in circles'
kill "${pid[writer]}"
unset 'pid[writer]'
stop_cleanly A
extra[A]=
via[A]='fast 30 A' # a minute lasts two seconds
fault A
start A
await 'A to be connected' connected A B
passed 'F45 a store through a mapping is found when all is read again; F50 a machine that slept'

# ---- no watches ---------------------------------------------------------------------------
fault A 'watch ENOSPC */A/race-*'
mkdir -p "$work/A/race-x/y"
await 'A says that it walks' note A 'max_user_watches'
echo unwatched >"$work/A/race-x/y/file"
echo watched >"$work/A/watched"
await 'what is watched to arrive' cmp "$work/A/watched" "$work/B/watched"
await 'what is not watched to be found by walking' cmp "$work/A/race-x/y/file" "$work/B/race-x/y/file"
echo changed >"$work/A/race-x/y/file"
await 'a change to be found by walking' cmp "$work/A/race-x/y/file" "$work/B/race-x/y/file"
settle A B
for i in $(seq 20); do # who waits is not told of what was before the last walk
	echo "waited for $i" >"$work/A/race-x/y/file"
	settle A
	cmp -s "$work/A/race-x/y/file" "$work/B/race-x/y/file" || fail 'a wait ended before an unwatched folder was seen'
done
note A 'max_user_watches' || fail 'A has watches: nothing was tested'
rm -r "$work/A/race-x/y"
gone() { [ ! -e "$work/B/$1" ]; }
await 'a deletion to be found by walking' gone race-x/y
settle A B
same A B
fault A
watched() { ! note A max_user_watches; }
await 'A to watch again when it can' watched
passed 'F13 the limit of watches'

stop_cleanly A
fault A 'inotify EMFILE'
start A
await 'A to be connected' connected A B
await 'A says that it walks' note A 'max_user_instances'
echo 'no inotify' >"$work/A/many/none"
await 'a change to be found by walking' cmp "$work/A/many/none" "$work/B/many/none"
settle A B
same A B
passed 'F13 the limit of instances'

# ---- a network file system ------------------------------------------------------------------
# As the kernel's NFS (type 0x6969) behaves while another machine changes the files.
stop_cleanly A
nfs=('statfs +26985' 'watch DEAF' 'rename EINVAL')
fault A "${nfs[@]}"
mkdir "$work/A/shared"
echo first >"$work/A/shared/file"
start A
await 'A to be connected' connected A B
await 'A says what it is on' note A 'on a network file system: changes made by other machines are found by walking'
await 'A says what else is missing' note A 'cannot swap two names'
settle A B
same A B
passes_by() { # FILE: all that is done there is on B at last, and nobody has told A of it
	mkdir -p "$work/A/shared/deep/er"
	echo "$1" >"$work/A/shared/$1"
	echo "$1" >"$work/A/shared/deep/er/$1"
	await "$1 to be found by walking" cmp "$work/A/shared/$1" "$work/B/shared/$1"
	await "$1 to be found by walking, in a new folder" cmp "$work/A/shared/deep/er/$1" "$work/B/shared/deep/er/$1"
	echo "$1 again" >"$work/A/shared/deep/er/$1"
	await "a change of $1 to be found" cmp "$work/A/shared/deep/er/$1" "$work/B/shared/deep/er/$1"
	rm "$work/A/shared/$1"
	await "the end of $1 to be found" gone "shared/$1"
}
passes_by one
for i in $(seq 10); do # who waits is told of what was before
	echo "waited for $i" >"$work/A/shared/file"
	settle A
	cmp -s "$work/A/shared/file" "$work/B/shared/file" || fail 'a wait ended before a change was seen'
done
# and what comes from a peer is put there, without an exchange of names
echo 'by B' >"$work/B/shared/file"
mv "$work/B/shared/deep" "$work/B/shared/moved"
mkdir "$work/B/shared/new"
ln -s moved "$work/B/shared/link"
random_file 3000000 "$work/B/shared/new/large"
settle B A
same A B
[ "$(cat "$work/A/shared/file")" = 'by B' ] || fail 'the change of B is not on A'
fault A "${nfs[@]}" 'stat ESTALE */A/shared/*' 'open ESTALE */A/shared/*'
echo 'while it was stale' >"$work/A/shared/file"
echo 'while it was stale' >"$work/B/shared/other"
await 'A to say that it is stale' note A '[Ss]tale'
[ -e "$work/B/shared/moved/er/one" ] && [ -e "$work/B/shared/file" ] || fail 'what cannot be read counts as deleted'
fault A "${nfs[@]}"
settle A B
same A B
passes_by two
stop_cleanly A
fault A
start A
await 'A to be connected' connected A B
settle A B
! note A 'network file system' || fail 'A takes this for a network file system'
passed 'F62 a network file system is walked'

# ---- what the server itself has put there -------------------------------------------------
stop_cleanly A
fault A
start A
await 'A to be connected' connected A B
settle A B
fault A 'read EIO */A/received'
head -c 200000 /dev/urandom >"$work/B/received"
await 'the file on A' cmp "$work/A/received" "$work/B/received"
settle A B
! grep -q 'received' <(ask A status --json) || fail 'what was received is read again'
echo more >>"$work/A/received"
await 'A to read what somebody here changed' reason_at A A received '.'
fault A
settle A B
same A B
passed 'what the server has put there itself is not read again'

stop_cleanly A B
echo "$checks checks"
