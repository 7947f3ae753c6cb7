#!/usr/bin/env bash
# Other users of the machine at the local socket: who is named may look, or decide; all others are
# refused; whoever is named no more is left at once; none of them takes the owner's place.
E2E_PLAIN=1
. "$(dirname "$0")/e2e_lib.sh"

if [ "$(id -u)" -ne 0 ] || ! command -v setpriv >/dev/null; then
	echo 'not tried: other users at the local socket (needs root and setpriv)'
	exit 77
fi
VIEWER=65534 CLIENT=65533 NOBODY=65532

mkdir "$work/A" "$work/open"
echo one >"$work/A/one"
write_conf() { # OPTION...
	{
		printf 'directory = "%s"\nname = "A"\nlisten = { "127.0.0.1:0" }\nplain = true\n' "$work/A"
		printf 'state = "%s"\nsocket = "%s"\n' "$work/state-A" "$work/open/A.sock"
		printf '%s\n' "$@"
	} >"$work/A.conf"
}
again() {
	seen=$(wc -l <"$work/A.err")
	kill -HUP "${pid[A]}"
	await 'A to have read it again' said 'read again'
}
said() { # REGEX: in A's log, after the last SIGHUP
	tail -n +"$((seen + 1))" "$work/A.err" | grep -Eq "$1"
}
write_conf "local-viewer = { \"$VIEWER\" }" "local-client = { \"$CLIENT\" }"
"$tuttid" --config "$work/A.conf" >"$work/A.out" 2>"$work/A.err" &
pid[A]=$!
await 'A to be ready' grep -q '^ready A ' "$work/A.out"
seen=0
said 'other users may be kept from the socket' || fail 'a folder that is closed to others is not told'
chmod 755 "$work"
[ "$(stat -c %a "$work/open/A.sock")" = 666 ] || fail "the socket is $(stat -c %a "$work/open/A.sock")"
cp "$tutti" "$work/open/tutti"
as() { # USER COMMAND...
	setpriv --reuid "$1" --regid "$1" --clear-groups "$work/open/tutti" -s "$work/open/A.sock" "${@:2}"
}
becomes() { # the same, in place of the subshell that it is called in
	exec setpriv --reuid "$1" --regid "$1" --clear-groups "$work/open/tutti" -s "$work/open/A.sock" "${@:2}"
}
owner() {
	"$tutti" -s "$work/open/A.sock" "$@"
}
answers() { # STATUS WORDS USER COMMAND...: what is said of it
	status=0
	as "${@:3}" >"$work/said" 2>&1 || status=$?
	[ "$status" -eq "$1" ] && grep -q "$2" "$work/said" || fail "${*:3} got $status: $(cat "$work/said")"
}

answers 0 one "$VIEWER" list
answers 0 A "$VIEWER" status
answers 1 'may only look' "$VIEWER" resync
answers 1 'may only look' "$VIEWER" restore one
answers 1 'may only look' "$VIEWER" untrust 4QXKUWH-AUIRBAC-OLF52MX-QBHPMBL-ECZ5FFD-5IELE7S-AN5YI4Z-H3IOZWC-C42FT57
passed 'who is named as viewer looks, and decides nothing'
answers 0 one "$CLIENT" list
as "$CLIENT" resync >/dev/null || fail 'who is named may not'
passed 'who is named as client decides'
answers 3 'belongs to another user' "$NOBODY" list
grep -q "refused on the local socket: user $NOBODY" "$work/A.err" || fail 'nothing in the log'
passed 'who is not named is refused'

# A viewer that comes as often as it can, and stays, with a word and without.
for i in $(seq 40); do
	becomes "$VIEWER" watch >/dev/null 2>"$work/crowd-$i" &
	crowd[$!]=$i
	pid[crowd-$i]=$!
done
few_are_left() {
	left=$((40 - $(grep -lE 'too many (clients|connections)' "$work"/crowd-* | wc -l)))
	[ "$left" -gt 0 ] && [ "$left" -le 16 ]
}
await 'most of a crowd to be refused' few_are_left
owner list | grep -q one || fail 'the owner has no place'
as "$CLIENT" list >/dev/null || fail 'another user has no place'
passed 'one user takes no place of others'

seen=$(wc -l <"$work/A.err")
write_conf "local-client = { \"$CLIENT\" }"
again
all_lost() {
	[ "$(grep -l 'something else' "$work"/crowd-* | wc -l)" -ge "$left" ]
}
await 'those of the crowd to be left' all_lost
kill "${!crowd[@]}" 2>/dev/null || :
wait "${!crowd[@]}" 2>/dev/null || :
for i in $(seq 40); do
	unset "pid[crowd-$i]"
done
answers 3 'belongs to another user' "$VIEWER" list
answers 0 one "$CLIENT" list
passed 'who is named no more is left at once'

becomes "$CLIENT" watch >"$work/watch" 2>&1 &
watch=$!
pid[watch]=$watch
watched() { # REGEX
	grep -q "$1" "$work/watch"
}
touched() {
	date +%N >"$work/A/touched"
	watched touched
}
await 'a watch' touched
write_conf "local-viewer = { \"$CLIENT\" }"
again
await 'it to be left' watched 'lost the server: .*something else'
stop watch
answers 1 'may only look' "$CLIENT" resync
write_conf
again
[ "$(stat -c %a "$work/open/A.sock")" = 600 ] || fail "the socket is $(stat -c %a "$work/open/A.sock")"
owner list | grep -q one || fail 'the owner is not heard'
passed 'another role holds at once, and the socket is closed again'

stop_cleanly A
echo "$checks checks"
