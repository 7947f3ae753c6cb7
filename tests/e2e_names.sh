#!/usr/bin/env bash
# Machines that are called by name, with a name service of our own: what a name stands for is asked at each
# attempt, its addresses are tried in turn, and what comes of it is said in words.
. "$(dirname "$0")/e2e_lib.sh"

if [ "${1-}" != inside ]; then
	if unshare -Urnm true 2>/dev/null; then
		trap - EXIT
		rm -rf "$work"
		exec unshare -Urnm bash "$0" inside
	fi
	echo 'skipped: no namespaces here, in which names are ours'
	exit 77
fi
ip link set lo up
names() { # LINE...: all names that there are
	printf '%s\n' '127.0.0.1 localhost' "$@" >"$work/hosts"
}
names '::1 turn.lan' '127.0.0.1 turn.lan' '192.0.2.7 far.lan'
echo 'hosts: files' >"$work/nsswitch"
: >"$work/resolv"
mount --bind "$work/hosts" /etc/hosts
for file in nsswitch resolv; do
	[ ! -e "/etc/$file.conf" ] || mount --bind "$work/$file" "/etc/$file.conf"
done
absent='no such host|no answer from the name service'

says() { # NAME REGEX: in what it tells of its peers
	ask "$1" peers --json | grep -Eq "$2"
}

# ---- a peer by name ---------------------------------------------------------------------------
start A
echo a >"$work/A/a"
extra[B]="-p $("$tuttid" id -s "$work/state-A")@turn.lan:${port[A]}"
start B
await 'B to find A at its second address' connected A B
settle A B
same A B
says B "\"address\":\"turn.lan:${port[A]}\"" || fail "$(ask B peers --json)"
stop_cleanly B
passed 'a peer is called by its name, and its addresses are tried in turn'

# ---- what a name stands for changes -----------------------------------------------------------
extra[B]="-p ${identity[A]}@moved.lan:${port[A]}"
start B
await 'B to say that there is no such name' says B "$absent"
names '127.0.0.1 moved.lan'
await 'B to ask again' connected A B
stop_cleanly A
names '127.0.0.3 moved.lan'
"$tuttid" -n A -l "127.0.0.3:${port[A]}" -s "$work/state-A" --socket "$work/A.sock" "$work/A" \
	>"$work/A.out" 2>>"$work/A.err" &
pid[A]=$!
await 'A to be ready elsewhere' is_ready A
await 'B to find where A has gone' connected A B
stop_cleanly A B
passed 'a name is looked up again at each attempt'

# ---- listening by name --------------------------------------------------------------------------
names '::1 turn.lan' '127.0.0.1 turn.lan' '192.0.2.7 far.lan'
listens() { # ARGUMENT...
	: >"$work/C.out"
	mkdir -p "$work/C"
	"$tuttid" -n C -s "$work/state-C" --socket "$work/C.sock" "$@" "$work/C" >"$work/C.out" 2>"$work/C.err" &
	pid[C]=$!
	await 'C to be ready' is_ready C
}
listens -l turn.lan:0
[ "$(grep -c 'listening on \(127\.0\.0\.1\|\[::1\]\):' "$work/C.err")" -eq 2 ] || fail "$(cat "$work/C.err")"
stop_cleanly C
status=0
timeout "$DEADLINE" "$tuttid" -n C -s "$work/state-C" --socket "$work/C.sock" -l nobody.lan:0 "$work/C" \
	>"$work/out" 2>"$work/why" || status=$?
[ "$status" -eq 1 ] && grep -Eq "cannot listen on nobody.lan:0: ($absent)" "$work/why" || fail "$(cat "$work/why")"
passed 'a name to listen on stands for all its addresses'

# ---- without encryption, on loopback only ---------------------------------------------------------
listens --plain -l 127.0.0.1:0 -p far.lan:7075
await 'C to refuse an address that is not loopback' says C 'far.lan:7075.*without encryption'
! grep -q 'connected with' "$work/C.err" || fail 'it went out'
port[C]=$(sed -n 's/^ready .*:\([0-9]*\)$/\1/p' "$work/C.out")
"$tutti" -s "turn.lan:${port[C]}" list >/dev/null || fail 'the client does not find it by name'
status=0
"$tutti" -s "far.lan:${port[C]}" list 2>"$work/why" || status=$?
[ "$status" -eq 3 ] && grep -q 'ID@HOST:PORT' "$work/why" || fail "$status: $(cat "$work/why")"
stop_cleanly C
passed '--plain takes no name that leads out of the machine'

# ---- clients --------------------------------------------------------------------------------------
listens -l 127.0.0.1:0
read -r _ _ id at <"$work/C.out"
ask C trust "$("$tuttid" id -s "$XDG_STATE_HOME/tutti/.client")" --role viewer >/dev/null
"$tutti" -s "$id@turn.lan:${at##*:}" list >/dev/null || fail 'the client does not find it by name'
status=0
"$tutti" -s "$id@nobody.lan:1" list 2>"$work/why" || status=$?
[ "$status" -eq 3 ] && grep -Eq "$absent" "$work/why" || fail "$status: $(cat "$work/why")"
stop_cleanly C
passed 'a client finds a server by name'
echo "$checks checks"
