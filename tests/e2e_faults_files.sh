#!/usr/bin/env bash
# Files as programs and people make them: nothing blocks, nothing is followed out of the directory,
# nobody's way of saving makes a conflict, and what is not carried is told.
#	F34  names that are hard to show
#	F35  names that are ours
#	F37  symbolic links of every kind
#	F38  pipes, sockets, devices where a file was, is, or shall be
#	F39  hard links
#	F40  set-user-ID and similar bits, no permissions at all
#	F43  changed while it is read or replaced
#	F44  a log that never rests
#	F45  a mapping that is written to
#	F46  editors' ways of saving
#	F47  sparse files
#	F48  truncated while it is read
#	F49  dates before 1970, far in the future, and a clock that jumps
#	F36  a folder that becomes a symbolic link and back while changes arrive
. "$(dirname "$0")/e2e_lib.sh"

can_be_faulty A
pair A B

no_conflict() {
	ask A status --json | grep -q '"conflicts":0' || fail "$1: a conflict: $(ask A list)"
	[ -z "$(find "$work/A" "$work/B" -name '*.conflict-*')" ] || fail "$1: a conflict copy"
}

in_time() { # WHAT
	settle_confirming A B # few files: what goes may be all there is
	same A B
	no_conflict "$1"
	passed "$1"
}

# ---- editors ------------------------------------------------------------------------------
declare -A saves=(
	[in place]='printf %s "$text" >doc'
	[truncate, pause, write]=': >doc; sleep 0.05; printf %s "$text" >doc'
	[rename over]='printf %s "$text" >.doc.tmp; mv .doc.tmp doc'
	[rename over, synced]='printf %s "$text" >doc.new; sync doc.new; chmod 640 doc.new; mv doc.new doc'
	[backup, then write]='cp -p doc doc~; printf %s "$text" >doc'
	[move to the backup, then create]='mv doc doc~; printf %s "$text" >doc'
	[link to the backup, rename over]='ln -f doc doc.bak; printf %s "$text" >doc.tmp; mv doc.tmp doc'
	[delete, then create]='rm doc; printf %s "$text" >doc'
	[probe and swap files]=': >4913; chmod 644 4913; rm 4913; : >.doc.swp; printf x >.doc.swp
		mv doc doc~; printf %s "$text" >doc; rm doc~ .doc.swp'
	[lock link]='ln -s user@host.123 .#doc; printf %s "$text" >"#doc#"; printf %s "$text" >doc; rm "#doc#" .#doc'
	[append]='printf %s "$text" >>doc'
	[two writes]='printf %s "${text%?}" >doc; printf %s "${text: -1}" >>doc'
	[exchange by three moves]='printf %s "$text" >doc.1; mv doc doc.2; mv doc.1 doc; rm doc.2'
)
for how in "${!saves[@]}"; do
	for where in A B; do
		for text in "one $how $where" "two $how $where"; do
			(cd "$work/$where" && { [ -e doc ] || echo begin >doc; } && eval "${saves[$how]}") ||
				fail "cannot save: $how"
		done
		saved=$(cat "$work/$where/doc")
		settle A B
		same A B
		no_conflict "F46 $how"
		[ "$(cat "$work/A/doc")" = "$saved" ] || fail "F46 $how: not what was saved"
	done
done
rm -f "$work"/A/doc?*
in_time "F46 ${#saves[@]} ways of saving, on both sides"

# The same while the other side's changes of other files come in.
for i in $(seq 30); do
	text="round $i"
	ways=("${!saves[@]}")
	(cd "$work/A" && eval "${saves[${ways[i % ${#ways[@]}]}]}")
	echo "$i" >"$work/B/other-$((i % 5))"
done
in_time 'F46 saving while changes come in'

# ---- being written ------------------------------------------------------------------------
echo 'the first line' >"$work/A/log"
settle A B
(
	exec 9>&-
	while :; do
		echo "a line of the log" || exit
		sleep 0.02
	done >>"$work/A/log"
) &
logger=$!
pid[logger]=$logger
echo 'beside the log' >"$work/A/beside"
await 'others to arrive beside a log' cmp "$work/A/beside" "$work/B/beside"
await 'the log to be shown as busy' has_state A log busy
waits_for() { ! ask A wait --timeout 0 2>"$work/why" && grep -q "$1" "$work/why"; }
! ask A wait --timeout 0.1 2>/dev/null || fail 'A says that all is in sync'
await 'wait to say why' waits_for '1 file is still being written'
says() { ask A status | grep -q "$1"; }
await 'status to say why' says '1 file is still being written'
kill "$logger"
wait "$logger" 2>/dev/null || :
unset 'pid[logger]'
in_time 'F44 a log that never rests is busy, and travels when it rests'

random_file 30000000 "$work/A/shrinking"
for size in 20000000 10000000 3000000 10; do
	truncate -s "$size" "$work/A/shrinking"
done
in_time 'F48 truncated while it is read'
random_file 3000000 "$work/A/moving"
for i in $(seq 20); do
	printf '%s' "$i" | dd of="$work/A/moving" bs=1 seek=$((i * 100000)) conv=notrunc status=none
	random_file 3000 "$work/B/beside"
done
in_time 'F43 changed while it is read'

"$TUTTI_BUILD/tests/odd_writer" map "$work/A/mapped" 3 >"$work/mapped"
in_time 'F45 written through a mapping that is closed'

truncate -s 1G "$work/A/sparse"
printf end | dd of="$work/A/sparse" bs=1 seek=900000000 conv=notrunc status=none
settle A B
[ "$(stat -c %s "$work/B/sparse")" -eq 1073741824 ] || fail 'the size is wrong'
rm "$work/A/sparse"
in_time 'F47 a sparse file'

# ---- kinds --------------------------------------------------------------------------------
echo file >"$work/A/was-file"
echo file >"$work/A/real"
settle A B
mkfifo "$work/A/pipe"
"$TUTTI_BUILD/tests/odd_writer" socket "$work/A/socket"
rm "$work/A/was-file" && mkfifo "$work/A/was-file"
mknod "$work/A/device" c 1 3 2>/dev/null || echo 'not tried: a device (only root may make one)'
echo after >"$work/A/after"
await 'others to arrive' cmp "$work/A/after" "$work/B/after"
for name in pipe socket was-file; do
	await "$name to be told as not carried" has_state A "$name" 'not carried'
done
await 'A to say how many are not carried' note A '[34] entries are not carried'
gone() { [ ! -e "$work/B/$1" ]; }
await 'what was a file to be gone' gone was-file
[ ! -e "$work/B/pipe" ] || fail 'a pipe was carried'
# A file arrives where a pipe is: the pipe stays, nobody waits for it.
echo 'from B' >"$work/B/pipe"
await 'B to know that its file cannot be at A' has_state B pipe blocked
[ -p "$work/A/pipe" ] || fail 'the pipe was replaced'
rm -f "$work/A/pipe" "$work/A/socket" "$work/A/was-file" "$work/A/device"
in_time 'F38 pipes, sockets, devices'

echo shared >"$work/A/first"
ln "$work/A/first" "$work/A/second"
echo outside >"$work/outside"
ln "$work/outside" "$work/B/linked"
settle A B
same A B
echo 'changed on A' >"$work/A/linked"
settle A B
[ "$(cat "$work/outside")" = outside ] || fail 'written through a hard link'
echo 'changed on B' >"$work/B/first"
settle A B
[ "$(cat "$work/A/second")" = shared ] || fail 'written through a hard link in the directory'
in_time 'F39 hard links are broken, never written through'

echo run >"$work/A/run"
chmod 6755 "$work/A/run"
mkdir -m 1777 "$work/A/sticky"
settle A B
[ "$(stat -c %a "$work/B/run")" = 755 ] || fail 'special bits were carried'
[ "$(stat -c %a "$work/B/sticky")" = 777 ] || fail 'the sticky bit was carried'
[ "$(stat -c %a "$work/A/run")" = 6755 ] || fail 'special bits were taken away where they were'
rm -r "$work/A/run" "$work/A/sticky"
in_time 'F40 special bits stay where they are'

# ---- names --------------------------------------------------------------------------------
names() {
	local name
	for name in $'new\nline' $'esc\e[2J' $'c1\xc2\x9b31m' $'bad\xff\xfeutf8' $'rtl\xe2\x80\xae' \
		$'zero\xe2\x80\x8bwidth' "$(printf 'e%.0s\xcc\x81' {1..80})" '-rf' '~' '*' '  spaces  ' \
		'"quo"te' "it's" 'a\b' $'tab\t' '$(touch x)' '`x`' $'\x01' ';' '%s%n'; do
		printf '%s' "$name" >"$1/$name"
	done
}
names "$work/A"
settle A B
ask B list >"$work/list"
ask B list --json >>"$work/list"
! LC_ALL=C grep -Pq '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xae\x8b]' "$work/list" ||
	fail "what can harm a terminal: $(cat -v "$work/list")"
! LC_ALL=C grep -Pq '[\x00-\x08\x0b-\x1f\x7f]' "$work/A.err" "$work/B.err" || fail 'in the log'
in_time 'F34 names that are hard to show'

mkdir "$work/A/.TUTTI"
echo mine >"$work/A/.TUTTI/file"
echo ours >"$work/A/.tutti/file"
echo fine >"$work/A/fine"
await 'others to arrive' cmp "$work/A/fine" "$work/B/fine"
await 'reserved names to be told' reason_at A A '' reserved
[ ! -e "$work/B/.tutti/file" ] && [ ! -e "$work/B/.TUTTI" ] || fail 'a reserved name was carried'
rm -r "$work/A/.TUTTI" "$work/A/.tutti/file"
in_time 'F35 names that are ours'

ln -s /etc/passwd "$work/A/absolute"
ln -s ../../../../etc "$work/A/outside"
ln -s loop-b "$work/A/loop-a"
ln -s loop-a "$work/A/loop-b"
ln -s "$(printf '%04095d' 1)" "$work/A/longest" 2>/dev/null || :
ln -s $'esc\e[2J' "$work/A/escape"
in_time 'F37 symbolic links of every kind'

# ---- dates --------------------------------------------------------------------------------
touch -d '1970-01-01 00:00:00 UTC' "$work/A/zero"
touch -d '1900-01-01 00:00:00 UTC' "$work/A/negative" 2>/dev/null || :
touch -d '9999-12-31 23:59:59 UTC' "$work/A/far" 2>/dev/null || :
settle A B
same A B
for name in zero negative far; do
	[ "$(stat -c %Y "$work/A/$name")" = "$(stat -c %Y "$work/B/$name")" ] ||
		echo "kept with another date: $name, $(stat -c %y "$work/A/$name" "$work/B/$name" | tr '\n' ' ')"
	echo "$name" >"$work/B/$name"
done
in_time 'F49 dates before 1970 and far in the future'
stop_cleanly A
via[A]='faulty A'
fault A
start A
for jump in +86400 -86400 +315360000 -315360000; do
	await 'A to be connected' connected A B
	fault A "clock $jump"
	echo "A $jump" >"$work/A/jump"
	settle A B
	same A B
	echo "B $jump" >"$work/B/jump"
	settle A B
	[ "$(cat "$work/A/jump")" = "B $jump" ] || fail "after $jump s, the later change did not win"
	connected A B || fail 'the connection was lost'
	in_time "F49 the clock jumps by $jump s"
done

# ---- out of the directory -----------------------------------------------------------------
mkdir "$work/outside-dir" "$work/A/way"
echo canary >"$work/outside-dir/canary"
echo 0 >"$work/A/way/canary"
settle A B
ln -s "$work/outside-dir" "$work/aside"
for round in $(seq 60); do
	echo "$round" >"$work/B/way/canary"
	echo "$round" >"$work/B/way/new-$round"
	rm -f "$work/B/way/new-$((round - 3))"
	"$TUTTI_BUILD/tests/odd_writer" swap "$work/A/way" "$work/aside" 200
done
[ "$(ls -A "$work/outside-dir")" = canary ] && [ "$(cat "$work/outside-dir/canary")" = canary ] ||
	fail "outside was touched: $(ls -la "$work/outside-dir")"
settle_confirming A B
same A B
passed 'F36 a folder that was a symbolic link out of here 6,000 times'

stop_cleanly A B
echo "$checks checks"
