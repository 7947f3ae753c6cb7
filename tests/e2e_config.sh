#!/usr/bin/env bash
# The configuration file: a server that has all from it; SIGHUP reads it again: peers come and go, what
# cannot change is named, what is wrong changes nothing.
. "$(dirname "$0")/e2e_lib.sh"

conf=$work/A.conf
write_conf() { # PEERS MORE
	cat >"$work/new.conf" <<END
# the server A
directory = "$work/A"
name = "A"
listen = { "127.0.0.1:0" }
state = "$work/state-A"
socket = "$work/A.sock"
peer = { $1 }
${2-}
END
	[ -z "${E2E_PLAIN-}" ] || echo 'plain = true' >>"$work/new.conf"
	mv "$work/new.conf" "$conf"
}
at() { # NAME: as a peer in the file
	echo "\"${identity[$1]:+${identity[$1]}@}127.0.0.1:${port[$1]}\""
}
says() { # REGEX: in A's log, after the last SIGHUP
	tail -n +"$((seen + 1))" "$work/A.err" | grep -Eq "$1"
}
again() {
	seen=$(wc -l <"$work/A.err")
	kill -HUP "${pid[A]}"
}
connected() { # NAME
	ask A peers --json | grep '"state":"connected"' | grep -q "\"name\":\"$1\""
}
not_connected() {
	! connected "$1"
}

mkdir "$work/A"
write_conf ''
"$tuttid" --config "$conf" --check-config >"$work/check" || fail 'a good file is refused'
grep -q 'in order' "$work/check" || fail "says: $(cat "$work/check")"
"$tuttid" --config "$conf" >"$work/A.out" 2>"$work/A.err" &
pid[A]=$!
await 'A is ready' grep -q '^ready A ' "$work/A.out"
[ -n "${E2E_PLAIN-}" ] || introduce A
passed 'a server has all its options from a file'

start B
start C
write_conf "$(at B)"
again
await 'A has read it again' says 'read again'
await 'A and B are connected' connected B
passed 'a peer that is newly named is called'
echo one >"$work/A/one"
await 'B has it' cmp -s "$work/A/one" "$work/B/one"

write_conf "$(at C)" 'log-level = debug'
again
await 'A and C are connected' connected C
await 'A and B are not' not_connected B
await 'C has it' cmp -s "$work/A/one" "$work/C/one"
passed 'one that is not named any more is left, and another called'

write_conf "$(at C)" 'name = "A2"'
sed -i '/^name = "A"$/d' "$conf"
again
await 'A names what cannot change' says 'name is another now.*next start'
await 'A goes on' says 'read again'
passed 'what needs a new start is named'

write_conf '"127.0.0.1:99999"'
line=$(grep -n '^peer' "$conf" | cut -d: -f1)
again
await 'A says what is wrong' says "A\.conf:$line: peer 127.0.0.1:99999: the port"
await 'A stays as it was' says 'everything stays as it was'
connected C || fail 'A left C'
"$tuttid" --config "$conf" --check-config 2>"$work/check" && fail 'a bad file is in order'
[ "$(wc -l <"$work/check")" -eq 1 ] || fail "says: $(cat "$work/check")"
passed 'a file that is wrong changes nothing'

rm "$conf"
again
await 'A says that it is gone' says 'A\.conf: No such file'
stop A TERM
passed 'a file that is gone changes nothing'
echo "$checks checks"
