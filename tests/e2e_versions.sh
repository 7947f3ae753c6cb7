#!/usr/bin/env bash
# F53: a server is upgraded, or downgraded again, while a large file is on its way: in between the two
# speak different versions of the protocol. Both sides say so in clear words, neither shows a part of
# anything, what people do meanwhile is kept, and once they speak the same again all goes on by itself.
. "$(dirname "$0")/e2e_lib.sh"

can_be_faulty A B
via[A]='fast 15 A' # who was refused is called again after 20 seconds, which last little more than one
via[B]='fast 15 B'
this=$tuttid
next=$TUTTI_BUILD/tests/next_tuttid
pair A B

SIZE=20000000
under_way() { # NAME: the file has come in part
	local size
	size=$(find "$work/$1/.tutti/tmp" -type f -printf '%s\n' | sort -n | tail -1)
	[ "${size:-0}" -gt 1000000 ] || return 1
	[ "$size" -lt "$SIZE" ] || fail 'it has come as a whole: nothing was tested'
}
words='"state":"refused".*speaks version . of the protocol.*use the same version'
refused() { # NAME: it knows why there is no connection
	ask "$1" peers --json | grep -q "$words"
}
told() { # NAME REGEX: the log of it
	tail -n +"$((${logged[$1]} + 1))" "$work/$1.err" | grep -q "$2"
}
in_sync() { # NAME...: asked often, as who is silent for some seconds is left by a server in a hurry
	local name
	for name in "$@"; do
		ask "$name" wait --timeout 0.3 || return 1
	done
}
declare -A logged
log_from_here() {
	local name
	for name in A B; do
		logged[$name]=$(wc -l <"$work/$name.err")
	done
}
is_apart() { # NAME OTHER
	note "$1" "\"name\":\"$2\"[^}]*\"state\":\"\(offline\|connecting\)\"" ||
		fail "$1 does not show that $2 is not there: $(ask "$1" status)"
}
clear_words() {
	await 'A to say why' refused A
	await 'A to log it' told A 'speaks version 1 of the protocol.* version 2.*use the same version'
	ask A status | grep -q 'use the same version of tutti on both' ||
		fail "the status does not tell: $(ask A status)"
	is_apart A B
	# a program that is not upgraded yet asks the server that is
	! ask B status >"$work/why" 2>&1 || fail 'an old client can talk with the new server'
	grep -q 'version 2 .* version 1.*use the same version' "$work/why" || fail "it says: $(cat "$work/why")"
	[ "$(wc -l <"$work/why")" -eq 1 ] || fail "not one line: $(cat "$work/why")"
}

# ---- the sender ---------------------------------------------------------------------------
for how in KILL TERM; do
	log_from_here
	echo "old $how" >"$work/B/note"
	random_file "$SIZE" "$work/A/large"
	await 'A and B to be in sync' in_sync A B
	fault A 'write +40 */A/.tutti/tmp/*'
	cp "$work/A/large" "$work/old"
	random_file "$SIZE" "$work/B/large"
	await 'the file to be under way' under_way A
	stop B "$how"
	tuttid=$next start B
	clear_words
	cmp "$work/old" "$work/A/large" || fail 'a part of it is shown'
	echo "on A $how" >"$work/A/note"
	echo "new on A $how" >"$work/A/new-A"
	echo "on B $how" >"$work/B/note"
	echo "new on B $how" >"$work/B/new-B"
	stop B "$how"
	tuttid=$this start B
	await 'a connection' connected A B
	cmp "$work/old" "$work/A/large" || cmp "$work/B/large" "$work/A/large" || fail 'a part of it is shown'
	fault A
	await 'A and B to be in sync' in_sync A B
	same A B
	cmp "$work/A/large" "$work/B/large" && ! cmp -s "$work/old" "$work/A/large" || fail 'it did not arrive'
	for name in A B; do
		grep -rq --include='note*' "on $name $how" "$work/A" || fail "the edit on $name is lost"
		[ "$(cat "$work/A/new-$name")" = "new on $name $how" ] || fail "the new file of $name is lost"
	done
	rm "$work"/A/note*
	await 'A and B to be in sync' in_sync A B
	[ -z "$(find "$work"/?/.tutti/tmp -type f)" ] || fail "left over: $(find "$work"/?/.tutti/tmp)"
	passed "F53 the sender is upgraded and downgraded again ($how)"
done

# ---- the receiver, which calls ------------------------------------------------------------
log_from_here
fault A 'write +40 */A/.tutti/tmp/*'
cp "$work/A/large" "$work/old"
random_file "$SIZE" "$work/B/large"
await 'the file to be under way' under_way A
stop A KILL
tuttid=$next start A
await 'B, which is called, to log it' told B 'speaks version 1 of the protocol.* version 2.*use the same version'
note B 'A (127.0.0.1): this server speaks version 1 of the protocol' || fail "the status does not tell: $(ask B status)"
is_apart B A
cmp "$work/old" "$work/A/large" || fail 'a part of it is shown'
[ -z "$(find "$work/A/.tutti/tmp" -type f)" ] || fail "left over: $(find "$work/A/.tutti/tmp")"
echo 'by somebody there' >"$work/A/large-too"

# ... and then the other is upgraded as well: all goes on, in the new version
stop B
[ "$status" -eq 0 ] || fail "B ended with $status"
tuttid=$next start B
fault A
await 'it to go on' cmp "$work/A/large" "$work/B/large"
await 'it to go on the other way' cmp "$work/A/large-too" "$work/B/large-too"
stop_cleanly A B
passed 'F53 the receiver is upgraded, and then the sender'

# ---- and back again ------------------------------------------------------------------------
for name in A B; do
	tuttid=$this start "$name"
done
await 'a connection' connected A B
await 'A and B to be in sync' in_sync A B
same A B
! ls "$work"/A/*.conflict-* 2>/dev/null || fail 'a conflict of nobody'
passed 'F53 both are downgraded again'
stop_cleanly A B
echo "$checks checks"
