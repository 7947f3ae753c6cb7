#!/usr/bin/env bash
# What was deleted is forgotten when every peer has deleted it, and not before: neither while one is away, nor
# while one that is trusted has never come. And it does not come back.
. "$(dirname "$0")/e2e_lib.sh"

for name in A B C; do
	extra[$name]='--tombstone-days 0'
done

remembers() { # NAME PATH: in its index
	"$TUTTI_BUILD/tests/index_paths" "$work/state-$1/index.db" >"$work/paths" || fail "no index of $1"
	grep -qxF "$2" "$work/paths"
}
forgot() { ! remembers "$@"; }
has_gone() { [ ! -e "$1" ]; } # PATH

echo one >"$work/one.txt"
start B
peers[A]=B
start A
cp "$work/one.txt" "$work/A/one"
cp "$work/one.txt" "$work/A/stays"
settle A B
rm "$work/B/one"
settle A B
await 'A to forget what both deleted' forgot A one
await 'B to forget what both deleted' forgot B one
remembers A stays || fail 'A forgot what is there'
[ ! -e "$work/A/one" ] || fail 'what was deleted is there'

# One is away.
echo two >"$work/A/two"
settle A B
stop_cleanly A
rm "$work/B/two"
echo more >"$work/B/more"
await 'B to know of the deletion' remembers B more
start A # it forgets again what both had before, and hears of the rest
await 'A to delete it' has_gone "$work/A/two"
settle A B
await 'A to forget it' forgot A two
await 'B to forget it' forgot B two
[ ! -e "$work/B/two" ] || fail 'what was deleted came back'

# The path is used again.
echo again >"$work/A/one"
settle A B
same A B
[ "$(cat "$work/B/one")" = again ] || fail 'a new file under a forgotten name does not travel'

if [ -n "${E2E_PLAIN-}" ]; then # nobody is trusted, who could not have come
	passed 'tombstones'
	stop_cleanly A B
	exit 0
fi

# Somebody is trusted who never came: who knows what that one has?
stranger=$("$tuttid" id -s "$work/state-C")
ask A trust "$stranger" >/dev/null
rm "$work/A/one"
settle A B
await 'B to forget it, whom nobody else concerns' forgot B one
echo last >"$work/A/last"
settle A B
remembers A one || fail 'A forgot a deletion that a trusted peer does not know'
peers[C]=A
start C
settle A B C
await 'A to forget it when C is there' forgot A one
same A B
passed 'tombstones'
stop_cleanly A B C
echo "$checks checks"
