#!/usr/bin/env bash
# Whatever is wrong is said in one clear line, with the right exit status or in `status`; everything
# else goes on, and nothing is lost.
. "$(dirname "$0")/e2e_lib.sh"

# tuttid must not start: exit status, and what the one line on stderr says.
refused() { # STATUS REGEX ARGUMENT...
	local want=$1 regex=$2 got=0
	shift 2
	timeout "$DEADLINE" "$tuttid" "$@" >"$work/refused.out" 2>"$work/refused.err" || got=$?
	[ "$got" -eq "$want" ] || fail "exit status $got, not $want: tuttid $*: $(cat "$work/refused.err")"
	[ ! -s "$work/refused.out" ] || fail "on stdout: $(cat "$work/refused.out")"
	grep -v ' info: ' "$work/refused.err" >"$work/refused.lines" || :
	[ "$(wc -l <"$work/refused.lines")" -eq 1 ] || fail "not one line: $(cat "$work/refused.err")"
	grep -Eq "$regex" "$work/refused.lines" || fail "says: $(cat "$work/refused.lines")"
	passed "refused: $(sed 's/^[^ ]*error: //' "$work/refused.lines" | sed "s#$work/##g")"
}

mine() { # NAME: options for one more server
	echo "-n $1 -l 127.0.0.1:0 -s $work/state-$1 --socket $work/$1.sock"
}

# ---- what tuttid is started with ----------------------------------------------------------
# shellcheck disable=SC2046 # the options are words
{
	refused 1 'nowhere' $(mine X) "$work/nowhere"
	echo file >"$work/file"
	refused 1 'file.*director' $(mine X) "$work/file"
	start A
	[ -d "$work/A/.tutti" ] || fail 'no .tutti'
	refused 1 'A.*(served|runs|use)' $(mine X) "$work/A"
	refused 1 'tutti' $(mine X) "$work/A/.tutti"
	refused 1 'tutti' $(mine X) "$work/A/.tutti/trash"
	mkdir "$work/X" "$work/Y"
	refused 1 "127\.0\.0\.1:${port[A]}.*use" -n X -s "$work/state-X" --socket "$work/X.sock" \
		-l "127.0.0.1:${port[A]}" "$work/X"
	refused 1 'A\.sock.*(runs|choose)' -n X -s "$work/state-X" --socket "$work/A.sock" \
		-l 127.0.0.1:0 "$work/X"
	refused 1 'state' -n X -s "$work/X/state" --socket "$work/X.sock" -l 127.0.0.1:0 "$work/X"
	[ ! -e "$work/X/state" ] || fail 'a state folder was made in the directory'
	refused 1 '(state-A|index).*(served|runs|use|lock|other)' -n X -s "$work/state-A" \
		--socket "$work/X.sock" -l 127.0.0.1:0 "$work/Y"
	refused 2 'loopback' $(mine X) --plain -l 0.0.0.0:7075 "$work/X"
	refused 2 'loopback' $(mine X) --plain -p 10.0.0.1:7075 "$work/X"
	refused 2 'group 2 of the ID' $(mine X) -p \
		4QXKUWH-BUIRBAC-OLF52MX-QBHPMBL-ECZ5FFD-5IELE7S-AN5YI4Z-H3IOZWC-C42FT57@10.0.0.1:1 \
		"$work/X"
	refused 2 'port|address|HOST' $(mine X) -p 127.0.0.1:99999 "$work/X"
	refused 2 'name' -n "$(printf '%040d' 1)" "$work/X"
	refused 2 'option' --no-such-option "$work/X"
	refused 2 'DIRECTORY' $(mine X)
	: >"$work/plain-file"
	refused 1 'plain-file' -n X -s "$work/plain-file/state" --socket "$work/X.sock" \
		-l 127.0.0.1:0 "$work/X"
	if [ "$(id -u)" -ne 0 ]; then
		chmod 000 "$work/X"
		refused 1 'X.*(permission|read)' $(mine X) "$work/X"
		chmod 700 "$work/X"
	elif command -v setpriv >/dev/null; then
		chmod 000 "$work/X"
		chmod 755 "$work"
		mkdir -m 777 "$work/other"
		as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
		if as_nobody test -x "$tuttid"; then
			real=$tuttid
			tuttid=as_nobody_tuttid
			as_nobody_tuttid() { as_nobody "$real" "$@"; }
			timeout() { "${@:2}"; }
			refused 1 'X.*([Pp]ermission|read)' -n X -s "$work/other/state" \
				--socket "$work/other/X.sock" -l 127.0.0.1:0 "$work/X"
			unset -f timeout
			tuttid=$real
		else
			echo 'not tried: an unreadable directory (another user cannot start tuttid here)'
		fi
		chmod 700 "$work/X" "$work"
	else
		echo 'not tried: an unreadable directory (root, and no setpriv)'
	fi
}
[ "$(ask A list --json | wc -l)" -eq 0 ] || fail 'A lists something'
kill -0 "${pid[A]}" || fail 'A has ended'

# A stale socket, of a server that was killed, is no obstacle.
stop A KILL
[ -e "$work/A.sock" ] || fail 'no stale socket'
start A
passed 'a stale socket is replaced'

# ---- peers that are none ------------------------------------------------------------------
odd() { # WHAT
	"$TUTTI_BUILD/tests/odd_peer" "$1" >"$work/odd-$1" &
	pid[odd-$1]=$!
	await "odd peer $1" test -s "$work/odd-$1"
	cat "$work/odd-$1" >"$work/odd-port"
	port[odd-$1]=$(cat "$work/odd-port")
}
for what in silent garbage long version cut; do
	odd "$what"
done
stop_cleanly A
echo keep >"$work/A/kept"
start B
: >"$work/A.err"
peers[A]="A B odd-silent odd-garbage odd-long odd-version odd-cut 1"
start A
settled_with_b() { ask A status --json | grep -q '"name":"B"[^}]*"state":"in sync"'; }
await 'A and B to be in sync beside odd peers' settled_with_b
await 'the file to arrive' cmp "$work/A/kept" "$work/B/kept"
peer_says() { # ADDRESS STATE REGEX
	ask A peers --json | grep "\"address\":\"127.0.0.1:$1\"" | grep "\"state\":\"$2\"" | grep -Eq "$3"
}
await 'A to see that it is itself' peer_says "${port[A]}" refused 'this server itself'
if [ -n "${E2E_PLAIN-}" ]; then
	await 'the version to be refused' peer_says "${port[odd-version]}" refused 'version'
else
	await 'plain words to be told' peer_says "${port[odd-version]}" waiting 'does not encrypt'
fi
await 'nobody to listen on port 1' peer_says 1 waiting 'no server listens'
await 'garbage to be told' peer_says "${port[odd-garbage]}" waiting 'error":"[^"]'
await 'a long frame to be told' peer_says "${port[odd-long]}" waiting 'error":"[^"]'
await 'a cut hello to be told' peer_says "${port[odd-cut]}" waiting 'error":"[^"]'
await 'silence to be told' peer_says "${port[odd-silent]}" waiting 'error":"[^"]'
ask A status >"$work/status" || :
grep -q 'this server itself' "$work/status" || fail "status does not tell: $(cat "$work/status")"
lines=$(grep -c ' warning: ' "$work/A.err" || :)
[ "$lines" -le 40 ] || fail "$lines warnings"
passed 'peers that are silent, talk garbage, too much, another version, or are ourselves'

# ---- strangers that connect ---------------------------------------------------------------
say() { # BYTES: and read what comes until the server closes
	exec {stranger}<>"/dev/tcp/127.0.0.1/${port[A]}"
	printf '%b' "$1" >&"$stranger" || :
	# It may close before it has read all: that is a reset.
	timeout "$DEADLINE" cat <&"$stranger" >/dev/null 2>&1 || [ $? -ne 124 ] ||
		fail 'the server does not close'
	exec {stranger}>&-
}
say '\xff\xff\xff\xff'
say '\x00\x00\x10\x01'
say '\x00\x00\x00\x00'
say 'GET / HTTP/1.1\r\n\r\n'
say '\x00\x00\x00\x05hello'
say '\x00\x00\x00\x04\x93\x02\xc0\x80'
for _ in $(seq 60); do
	say 'garbage, again and again' &
done
wait $(jobs -p | grep -vxF "$(printf '%s\n' "${pid[@]}")")
echo after >"$work/A/after-strangers"
settle_some() { cmp "$work/A/after-strangers" "$work/B/after-strangers"; }
await 'A to go on' settle_some
grep -q ' warning: .*127\.0\.0\.1' "$work/A.err" || fail 'nothing was said of strangers'
passed 'strangers with bad frames are dropped, everything else goes on'

for name in silent garbage long version cut; do
	stop "odd-$name"
done
stop_cleanly A B
same A B

# ---- faults of the disk -------------------------------------------------------------------
can_be_faulty B
peers[A]=B
start A
start B
await 'A to be connected with B' connected A B

fault B 'rename EINVAL *:*' 'link EINVAL *:*' 'mkdir EINVAL *:*'
echo 1 >"$work/A/a:b"
echo 2 >"$work/A/fine"
mkdir "$work/A/c:d"
echo 3 >"$work/A/c:d/inside"
await 'B to say what is wrong' reason_at B B a:b .
await 'A to know it' reason_at A B a:b .
await 'other files to arrive' cmp "$work/A/fine" "$work/B/fine"
[ ! -e "$work/B/a:b" ] || fail 'the fault did not work'
! ask A wait --timeout 0.5 2>"$work/why" || fail 'A says that all is in sync'
grep -q 'a:b' "$work/why" || fail "wait says: $(cat "$work/why")"
ask A list --json | grep '"path":"a:b"' | grep -q '"state":"blocked"' || fail "$(ask A list --json)"
cmp "$work/A/a:b" <(echo 1)
fault B
ask A resync >/dev/null
await 'the names to be possible again' cmp "$work/A/a:b" "$work/B/a:b"
settle A B
same A B
passed 'a name that another file system cannot hold'

fault B 'write ENOSPC */.tutti/tmp/*'
random_file 5000000 "$work/A/big"
echo changed >"$work/A/fine"
await 'B to say that the disk is full' reason_at B B big '([Ss]pace|full)'
await 'A to know it' reason_at A B big '([Ss]pace|full)'
rm "$work/A/a:b"
gone() { [ ! -e "$work/B/a:b" ]; }
await 'deletions to be carried out on a full disk' gone
[ "$(cat "$work/B/fine")" = 2 ] || fail 'the old content is damaged'
fault B
await 'it to go on by itself' cmp "$work/A/big" "$work/B/big"
settle A B
same A B
[ -z "$(ls "$work/B/.tutti/tmp")" ] || fail "left over: $(ls "$work/B/.tutti/tmp")"
passed 'a full disk'

# ---- the directory goes away --------------------------------------------------------------
mv "$work/B" "$work/B.away"
mkdir "$work/B"
halted() { ask B status | grep -q 'nothing is synchronised'; }
await 'B to notice that its directory is gone' halted
echo 'while it was away' >"$work/A/later"
[ -e "$work/A/big" ] || fail 'files were deleted'
[ -z "$(ls "$work/B")" ] || fail 'something was written into another directory'
rmdir "$work/B"
mv "$work/B.away" "$work/B"
await 'B to go on' cmp "$work/A/later" "$work/B/later"
settle A B
same A B
passed 'a directory that goes away and comes back'

stop_cleanly A B
echo "$checks checks"
