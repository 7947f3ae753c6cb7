#!/usr/bin/env bash
# Servers that dial each other, or the same one at two addresses, end up with one connection that
# stays.
. "$(dirname "$0")/e2e_lib.sh"

one_connection() { # NAME...: each is connected, and nobody has had a new connection for a while
	local name now
	now=$(cat "$work"/*.err | grep -c ' connected with ' || :)
	[ "$now" = "${before-}" ] && quiet=$((${quiet-0} + 1)) || quiet=0
	before=$now
	for name in "$@"; do
		ask "$name" peers --json | grep -q '"state":"connected"' || return 1
		! ask "$name" peers --json | grep -q '"state":"connecting"' || return 1
	done
	[ "$quiet" -ge 20 ] # more than a second: an attempt would have come by now
}

has_one_connection() {
	[ "$(ss_count)" -le 2 ] # each end counts
}

check() { # WHAT
	echo "$1" >"$work/A/$1"
	echo "$1" >"$work/B/from B, $1"
	settle A B
	same A B
	await "one connection that stays: $1" one_connection A B
	# Each side lists the other as connected, and counts the same connection.
	[ "$(ask A peers --json | grep -c '"state":"connected"')" -eq "${2-1}" ] ||
		fail "$1: $(ask A peers --json)"
	await "the other connection to go: $1" has_one_connection
	passed "$1 ($(cat "$work"/*.err | grep -c ' connected with ' || :) times connected)"
}

# Established TCP connections that end at the port of A or B, both directions counted.
ss_count() {
	local a b
	printf -v a '%04X' "${port[A]}"
	printf -v b '%04X' "${port[B]}"
	awk -v a=":$a" -v b=":$b" '$4 == "01" && (substr($2, 9) == a || substr($3, 9) == a ||
		substr($2, 9) == b || substr($3, 9) == b)' /proc/net/tcp | wc -l
}

# Ports for both, known before either starts.
start A
start B
stop_cleanly A B
peers[A]=B peers[B]=A

for round in 1 2; do
	start A
	start B
	await 'a connection' connected A B
	check "both dial, round $round"
	stop_cleanly B
	start B
	await 'a connection' connected A B
	check "B again, round $round"
	stop_cleanly A
	start A
	await 'a connection' connected A B
	check "A again, round $round"
	stop_cleanly A B
	rm "$work/A.err" "$work/B.err"
	unset before quiet
done

# B listens at two addresses, and A knows both.
peers[A]=B peers[B]=
extra[B]='-l 127.0.0.1:0'
start B
second=$(sed -n 's/.* listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/B.err" | tail -n 1)
[ "$second" != "${port[B]}" ] || fail 'B has no second address'
extra[B]="-l 127.0.0.1:$second" extra[A]="-p 127.0.0.1:$second"
start A
await 'a connection' connected A B
check 'the same server at two addresses' 2
stop_cleanly B
start B
await 'a connection' connected A B
check 'the same server at two addresses, again' 2
stop_cleanly A B
echo "$checks checks"
