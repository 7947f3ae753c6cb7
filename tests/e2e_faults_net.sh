#!/usr/bin/env bash
# Connections that are dead, half dead, or very slow, peers that stand still, and too few descriptors:
# it is noticed in time and told, others are not disturbed, and later all goes on by itself.
#	F07  no descriptors for connections
#	F18  half-open connections
#	F19  a direction that is dead; networks that are cut
#	F21  a peer that reads a byte a second
#	F50  a peer that is stopped
# Time passes 15 times as fast for the servers: what takes a minute there takes 4 seconds here.
. "$(dirname "$0")/e2e_lib.sh"

if [ "${1-}" = network ]; then
	ip link set lo up
fi
can_be_faulty A B C
for name in A B C; do
	via[$name]="fast 15 $name"
done
mkdir "$work/link"
start B
"$TUTTI_BUILD/tests/odd_link" "$work/link" "${port[B]}" >"$work/link.out" &
pid[link]=$!
await 'the link' test -s "$work/link.out"
port[link]=$(cat "$work/link.out")
peers[A]=link
start A
settle A B

noticed() { # NAME OTHER: it is not connected any more
	! ask "$1" peers --json | grep "\"name\":\"$2\"" | grep -q '"state":"connected"'
}
one_each() { # A and B are connected once
	[ "$(ask A peers --json | grep -c '"state":"connected"')" -eq "$1" ] ||
		fail "A has more than $1 connections: $(ask A peers --json)"
}
tells_offline() { ask A status --json | grep -q '"name":"B"[^}]*"state":"\(offline\|connecting\)"'; }

if [ "${1-}" = network ]; then
	# The interface itself goes down: nobody gets as much as a reset.
	ip link set lo down
	echo 'while it was down' >"$work/A/down"
	echo 'while it was down' >"$work/B/down too"
	await 'A to notice' noticed A B
	await 'B to notice' noticed B A
	await 'A to tell' tells_offline
	ip link set lo up
	await 'a connection' connected A B
	settle A B
	same A B
	one_each 1
	passed 'F18, F19 a network that is cut'
	stop_cleanly A B
	exit 0
fi

# ---- half-open ----------------------------------------------------------------------------
wrong() { # WHAT FILE...: and both notice; then all is well again
	local what=$1 file
	shift
	echo "before: $what" >"$work/A/file"
	settle A B
	for file in "$@"; do : >"$work/link/$file"; done
	echo "during: $what" >"$work/A/file"
	echo "there: $what" >"$work/B/there"
	await "$what: A to notice" noticed A B
	await "$what: B to notice" noticed B A
	await "$what: A to tell" tells_offline
	[ ! -e "$work/link/hold-there" ] || [ "$(cat "$work/B/file")" = "before: $what" ] ||
		fail 'it was not cut'
	for file in "$@"; do rm "$work/link/$file"; done
	await "$what: a connection" connected A B
	settle A B
	same A B
	one_each 1
	passed "$what"
}
wrong 'F18 half-open: nothing passes' hold-there hold-back
wrong 'F19 one way: nothing comes to B' hold-there
wrong 'F19 one way: nothing comes to A' hold-back

for i in 1 2 3; do
	: >"$work/link/cut"
	await 'A to notice' noticed A B
	echo "$i on A" >"$work/A/both"
	echo "$i on B" >"$work/B/both"
	echo "$i" >"$work/A/only-A-$i"
	rm "$work/link/cut"
	await 'a connection' connected A B
	settle A B
	same A B
	[ "$(grep -l "$i on" "$work"/A/both* | wc -l)" -eq 2 ] || fail 'an edit is lost'
	rm "$work/A/both"*
	settle A B
done
passed 'F19 cut and healed three times, with changes on both sides'

# ---- slow, and others are not ---------------------------------------------------------------
peers[C]=A
start C
await 'C to be connected' connected C A
settle A B C
: >"$work/link/slow-there"
for i in $(seq 30); do
	random_file 2000000 "$work/A/large-$i"
done
echo quick >"$work/A/quick"
await 'C to have all' cmp "$work/A/large-30" "$work/C/large-30"
await 'C to have all' cmp "$work/A/quick" "$work/C/quick"
most=$(awk '/^VmHWM/ { print $2 }' "/proc/${pid[A]}/status")
if [ "${TUTTI_SANITIZERS-no}" != yes ]; then
	[ "$most" -lt 120000 ] || fail "A has taken $most kB for a peer that does not read"
fi
rm "$work/link/slow-there"
settle A B C
same A B C
rm "$work"/A/large-*
settle_confirming A B C
passed "F21 a slow peer disturbs nobody (A took $most kB)"

# ---- stopped ------------------------------------------------------------------------------
kill -STOP "${pid[B]}"
echo stopped >"$work/A/stopped"
await 'C to have it' cmp "$work/A/stopped" "$work/C/stopped"
await 'A to notice' noticed A B
await 'A to tell' tells_offline
echo stopped >"$work/B/made while it was stopped"
rm "$work/A/quick"
kill -CONT "${pid[B]}"
await 'a connection' connected A B
settle A B C
same A B C
one_each 2
passed 'F50 a peer that is stopped, and goes on'

# ---- no descriptors ---------------------------------------------------------------------------
fault A 'accept EMFILE'
busy=$(worked A)
("$tutti" -s "$work/A.sock" status >"$work/waited" 2>&1) &
asking=$!
grep_log() { grep -q 'cannot take a connection' "$work/A.err"; }
await 'A to say so' grep_log
echo meanwhile >"$work/A/meanwhile"
await 'existing peers to go on' cmp "$work/A/meanwhile" "$work/C/meanwhile"
[ $(($(worked A) - busy)) -lt 100 ] || fail 'A runs in circles'
fault A
wait "$asking" || fail "the client was not served: $(cat "$work/waited")"
settle A B C
passed 'F07 no descriptors to accept with'

stop_cleanly C
few() { # NAME COMMAND...
	ulimit -n 48
	fast 15 "$@"
}
via[C]='few C'
start C
await 'C to be connected' connected C A
strangers=()
for _ in $(seq 40); do
	exec {fd}<>"/dev/tcp/127.0.0.1/${port[C]}" && strangers+=("$fd")
done 2>/dev/null
for i in $(seq 30); do
	random_file 30000 "$work/A/few-$i"
done
echo 'few descriptors' >"$work/C/few"
await 'C to go on' cmp "$work/A/few" "$work/C/few"
for fd in "${strangers[@]}"; do
	exec {fd}>&-
done
settle A B C
same A B C
ask C status >/dev/null || fail 'C does not answer'
passed 'F07 strangers take all descriptors'

# ---- ended in the middle of everything --------------------------------------------------------
for i in $(seq 20); do
	random_file 3000000 "$work/A/last-$i"
done
echo 1 >"$work/B/last"
begin=$(date +%s%N)
stop_cleanly A C B
took=$((($(date +%s%N) - begin) / 1000000))
[ "$took" -lt 15000 ] || fail "three servers took $took ms to end"
passed "F55 ended while contents were on their way ($took ms for three)"
start B
start A
start C
await 'A to be connected' connected A B
await 'C to be connected' connected C A
settle A B C
same A B C
stop_cleanly A B C

if unshare -Urn ip link set lo up 2>/dev/null; then
	unshare -Urn bash "$0" network
else
	echo 'not tried: F18, F19 with a real network that is cut (no user namespaces, or no ip)'
fi
echo "$checks checks"
