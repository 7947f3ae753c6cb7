#!/usr/bin/env bash
# Enemies on the network, a peer gone bad, and other users: each loses its own connection at most. The
# servers stay up, memory stays flat, others go on, nothing outside is touched, and what happened is told.
# Where each attack of the catalogue is tried:
#	F18-F21  dead, cut, double and slow connections: e2e_faults_net.sh, e2e_dials.sh, t_conn; deaf: here
#	F22  silence, half a frame: here, t_conn, t_tls
#	F23  thousands of connections: here
#	F24  garbage, other protocols: here, e2e_bad.sh, t_tls
#	F25  lengths of frames: here, t_conn
#	F26  an end inside a frame, or without close-notify: here, t_conn, t_tls
#	F27  what is no good msgpack: t_wire, t_message, fuzz_wire, fuzz_message
#	F28  messages at the wrong time, answers to nothing, wrong contents: t_net, t_message
#	F29  another version: here, e2e_bad.sh, t_net
#	F30  what was recorded: t_tls; an index twice: here
#	F31  floods: here, t_engine, t_codec
#	F32  our own id, and counters above ours: here, t_engine, e2e_index.sh
#	F33-F35  names that cannot be, odd and reserved ones: here, t_path, t_net, t_scan, e2e_odd_names.sh
#	F36  ways through symlinks: t_apply, t_root, paths.sh
#	F56  clients that are slow or hostile servers: t_session, t_commands, t_term, fuzz_screen
#	F57  the local socket: here, e2e_users.sh, t_session
#	F58, F59  keys and invitations: e2e_trust.sh, t_tls
#	F60  a peer that deletes all: e2e_held.sh; the read-only role: e2e_trust.sh
. "$(dirname "$0")/e2e_lib.sh"

can_be_faulty A
odd_key=-
[ -n "${E2E_PLAIN-}" ] || odd_key=$work/odd
peers[A]=
extra[A]='--peer-entries 5000'
pair B A

# The odd peer is trusted by A, unless it is a stranger.
attack() { # ATTACK [N]: how it ended is in $ended
	ended=$(timeout "$DEADLINE" "$TUTTI_BUILD/tests/odd_peer" dial "${port[A]}" "$odd_key" "$@") ||
		fail "odd_peer $* ended with $?"
}
ends() { # WANTED-REGEX ATTACK [N]
	local want=$1
	shift
	attack "$@"
	[[ $ended =~ $want ]] || fail "$*: $ended"
}
memory() { # KiB
	awk '/^VmRSS/ { print $2 }' "/proc/${pid[A]}/status"
}

# With sanitizers memory that was given back stays for a while, to be watched.
is_flat() { # KIB WHAT
	[ "${TUTTI_SANITIZERS-no}" = yes ] || [ $((after - before)) -lt "$1" ] ||
		fail "$2 cost $((after - before)) KiB"
}
notes() {
	ask A status | grep -F -- "$1"
}
goes_on() { # WHAT: A and B work, and have not parted
	round=$((${round-0} + 1))
	echo "$round" >"$work/B/round"
	await "a change to arrive after $1" cmp "$work/A/round" "$work/B/round"
	[ "$(ask A peers --json | grep '"name":"B"' | sed 's/.*"since":\([0-9.]*\).*/\1/')" = "$since" ] ||
		fail "B was disturbed by $1"
	passed "$1"
}
connected A B
since=$(ask A peers --json | grep '"name":"B"' | sed 's/.*"since":\([0-9.]*\).*/\1/')
[ -n "$since" ] || fail "no connection: $(ask A peers --json)"

# ---- strangers ----------------------------------------------------------------------------
if [ -z "${E2E_PLAIN-}" ]; then
	ends '^bye stranger' version
	goes_on 'a key that nobody trusts is told so, and heard no further'
	"$tuttid" id -s "$work/odd" >"$work/odd.id"
	ask A trust "$(cat "$work/odd.id")" >/dev/null
fi
for length in 0 4097 0x7fffffff 0xffffffff; do
	ends '^bye protocol' header $length
done
goes_on 'F25 lengths of frames that cannot be, before hello'
ends '^bye protocol' garbage
goes_on 'F24 garbage, encrypted or not'
odd_key=- attack garbage
[[ $ended != silence ]] || fail "$ended"
goes_on 'F24 garbage in place of TLS'
ends '^bye version' version
goes_on 'F29 another version'

before=$(memory)
storm() { # N: so many connections that say nothing
	local i
	for ((i = 0; i < $1; i++)); do
		{ exec {fd}<>"/dev/tcp/127.0.0.1/${port[A]}"; } 2>/dev/null || continue
		((i % 3)) || printf '\x16\x03\x01' >&"$fd" || :
		exec {fd}>&-
	done
}
for _ in 1 2 3 4; do
	storm 2500 2>/dev/null &
	storms[$!]=1
done
sleepless=$work/B/meanwhile
echo 'while they storm' >"$sleepless"
await 'a change to arrive meanwhile' cmp "$work/A/meanwhile" "$sleepless"
wait "${!storms[@]}" || :
after=$(memory)
is_flat 8192 '10,000 connections'
goes_on 'F23 10,000 connections'

# Those that stay do not keep peers out: B comes back while they do.
for i in $(seq 40); do
	{ exec {fd}<>"/dev/tcp/127.0.0.1/${port[A]}"; } 2>/dev/null || continue
	held_open[$i]=$fd
done
stop_cleanly B
start B
await 'B to get in beside strangers' connected A B
since=$(ask A peers --json | grep '"name":"B"' | sed 's/.*"since":\([0-9.]*\).*/\1/')
for fd in "${held_open[@]}"; do
	exec {fd}>&-
done
settle A B
goes_on 'F23 places are kept for who belongs'

# ---- a peer gone bad ------------------------------------------------------------------------
for length in 0 1048577 0x7fffffff 0xffffffff; do
	ends '^bye protocol' greeted-header $length
done
await 'it to be told' notes 'odd (127.0.0.1) was left: '
goes_on 'F25 lengths of frames that cannot be, after hello'
ends '^gone' cut
goes_on 'F26 an end inside a frame'
ends '^silence' index
await 'its file to arrive' test -e "$work/A/odd"
await 'its file to arrive at B' test -e "$work/B/odd"
goes_on 'F30 an index that is said twice'
name=0
while :; do
	status=0
	ended=$(timeout "$DEADLINE" "$TUTTI_BUILD/tests/odd_peer" dial "${port[A]}" "$odd_key" name $name) ||
		status=$?
	[ "$status" -ne 77 ] || break
	[ "$status" -eq 0 ] || fail "name $name ended with $status"
	[[ $ended =~ ^bye\ protocol ]] || fail "name $name: $ended"
	name=$((name + 1))
done
[ "$name" -gt 10 ] || fail 'no names were tried'
[ -z "$(find "$work" -maxdepth 1 -name x)" ] && [ ! -e "$work/A/.tutti/x" ] || fail 'it got out'
goes_on "F33, F35 $name names that cannot be"
ends '^bye protocol' long-name 4097
ends '^bye protocol' long-name 65536
goes_on 'F31 paths without end'
ends '^bye protocol' vector 257
ends '^bye protocol' vector 20000
goes_on 'F31 contexts without end'
before=$(memory)
ends '^bye protocol: .*peer-entries' flood 1000000
ends '^bye protocol: .*peer-entries' flood 1000000
after=$(memory)
is_flat 20480 'a flood'
await 'the flood to be told' notes 'peer-entries'
goes_on 'F31 a flood of entries'
echo secret >"$work/A.secret"
ends '^refused' trash
goes_on 'F28 what is not in the trash is not served from it'
before=$(memory)
attack deaf
[[ $ended =~ ^(bye|closed|cut) ]] || fail "deaf: $ended"
[ $(($(memory) - before)) -lt 131072 ] || fail 'what is not read piles up'
goes_on 'F21 a peer that asks and never reads'

if [ -n "${E2E_PLAIN-}" ]; then
	ends '^bye self' self
else
	ends '^bye self' self
	notes 'but has another key' >/dev/null || fail "no alarm: $(ask A status)"
	grep -q 'error: .*but has another key' "$work/A.err" || fail 'nothing in the log'
fi
goes_on 'F32 our own id'
[ "$(grep -c ' error: ' "$work/A.err")" -lt 30 ] || fail 'the log fills up'

id_of_a() {
	ask A status --json | sed 's/^{"name":"A","id":"\([^"]*\)".*/\1/'
}
old=$(id_of_a)
attack counters
new_id() { [ -n "$(id_of_a)" ] && [ "$(id_of_a)" != "$old" ]; }
await 'a new id' new_id
await 'the alarm' notes 'unless odd lies'
await 'B to be back' connected A B
settle A B
old=$(id_of_a)
ends '^bye protocol: .*never made' counters
[ "$(id_of_a)" = "$old" ] || fail 'it was talked out of its id again'
since=$(ask A peers --json | grep '"name":"B"' | sed 's/.*"since":\([0-9.]*\).*/\1/')
goes_on 'F32 counters above ours: a new id once, and an alarm'
same A B

# ---- time -----------------------------------------------------------------------------------
stop_cleanly A B
via[A]='fast 15 A'
start A
start B # at once, not when it would try again
await 'B to be back' connected A B
since=$(ask A peers --json | grep '"name":"B"' | sed 's/.*"since":\([0-9.]*\).*/\1/')
for how in 'silent' 'header 100'; do
	begun=$SECONDS
	# shellcheck disable=SC2086 # words
	attack $how
	[[ $ended != silence ]] || fail "$how: $ended"
	[ $((SECONDS - begun)) -lt 20 ] || fail "$how lasted $((SECONDS - begun)) s"
done
attack greeted-header 1000
[[ $ended != silence ]] || fail "greeted: $ended"
passed 'F22 silence, and frames that do not go on'

# ---- the local socket -----------------------------------------------------------------------
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$work"
	chmod 666 "$work/A.sock" # even if it were open to all
	cp "$tutti" "$work/tutti-of-another"
	status=0
	setpriv --reuid 65534 --regid 65534 --clear-groups "$work/tutti-of-another" -s "$work/A.sock" \
		status >"$work/another" 2>&1 || status=$?
	[ "$status" -eq 3 ] || fail "another user got $status: $(cat "$work/another")"
	grep -q 'belongs to another user' "$work/another" || fail "$(cat "$work/another")"
	chmod 700 "$work"
	passed 'F57 other users are refused'
else
	echo 'not tried: another user at the local socket (needs root and setpriv)'
fi
clients=()
for _ in $(seq 80); do
	"$tutti" -s "$work/A.sock" watch >/dev/null 2>&1 &
	clients+=($!)
done
await 'a client to be heard among many' ask A status --json
kill "${clients[@]}" 2>/dev/null || :
wait "${clients[@]}" 2>/dev/null || :
await 'a client to be heard' ask A status --json
passed 'F57 many clients'

stop_cleanly A B
echo "$checks checks"
