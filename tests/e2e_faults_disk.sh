#!/usr/bin/env bash
# Disks that fail: what cannot be done stays as it was and is told with its reason, by the server
# that cannot; everything else goes on; and when it can be done again, it is, by itself.
#	F02  no space for contents, for names, for the index; deletions still work
#	F03  a quota, a limit of the size of files
#	F04  a source that cannot be read
#	F05  a failed fsync: the file is given up, and made anew
#	F06  folders that cannot be listed, names that cannot be asked for: no deletion below
#	F07  no descriptors to open files
#	F09  a file system that becomes read-only: send-only
#	F11  names that may not be changed, programs that run
#	F54  a disk on which each fsync lasts a second
#	F55  ended in the middle of that, in less than 5 s
. "$(dirname "$0")/e2e_lib.sh"

can_be_faulty A B
pair A B

# B cannot, because of RULES: it and A say so; other things arrive; later it works.
cannot() { # WHAT REASON RULE...
	local what=$1 reason=$2 before
	echo "before $what" >"$work/A/changed"
	random_file 50000 "$work/A/source"
	settle A B
	before=$(cat "$work/B/changed")
	fault B "${@:3}"
	echo "after $what" >"$work/A/changed"
	random_file 300000 "$work/A/new"
	rm "$work/A/source"
	await "$what: B says why" reason_at B B new "$reason"
	await "$what: A knows it" reason_at A B new "$reason"
	await "$what: A knows it of the other" reason_at A B changed "$reason"
	await "$what: the row tells" has_state A new blocked
	[ "$(cat "$work/B/changed")" = "$before" ] || fail "$what: the old content is damaged"
	[ ! -e "$work/B/new" ] || fail "$what: something was made"
	! ask A wait --timeout 0.1 2>/dev/null || fail "$what: A says that all is in sync"
	fault B
	settle A B
	same A B
	[ -z "$(ls "$work/B/.tutti/tmp")" ] || fail "$what: left over: $(ls "$work/B/.tutti/tmp")"
	rm "$work/A/new"
	settle A B
	passed "$what"
}

# ---- contents -----------------------------------------------------------------------------
cannot 'F02 no space for contents' 'disk full' 'write ENOSPC */.tutti/tmp/*'
cannot 'F02 no space for files' 'disk full' 'open ENOSPC */.tutti/tmp/*'
cannot 'F02 no space for names' 'disk full' 'rename ENOSPC */B/new' 'rename ENOSPC */B/changed' \
	'rename ENOSPC */.tutti/trash/*'
cannot 'F03 a quota' 'quota' 'write EDQUOT */.tutti/tmp/*'
cannot 'F05 a disk that cannot write' '[Ii]nput/output' 'fsync EIO */.tutti/tmp/*'
cannot 'F07 no descriptors' 'too many open files' 'open EMFILE */B/.tutti/tmp/*'
cannot 'F11 not permitted' 'no access' 'rename EPERM */B/new' 'rename EPERM */B/changed'
cannot 'F11 busy' 'being written' 'rename ETXTBSY */B/new' 'rename ETXTBSY */B/changed'

# What the failed fsync was made of is never placed: another file is written.
echo one >"$work/A/synced"
fault B 'fsync EIO */.tutti/tmp/* 1'
random_file 200000 "$work/A/synced"
settle A B
same A B
passed 'F05 one failed fsync costs one more try'

# Deletions still work on a full disk.
echo gone >"$work/A/to-be-deleted"
settle A B
fault B 'write ENOSPC */B/.tutti/tmp/*' 'open ENOSPC */B/.tutti/tmp/*'
random_file 100000 "$work/A/big"
await 'B to be full' reason_at A B big 'disk full'
rm "$work/A/to-be-deleted"
gone() { [ ! -e "$work/B/$1" ]; }
await 'a deletion on a full disk' gone to-be-deleted
fault B
settle A B
same A B
passed 'F02 deletions on a full disk'

# A limit on the size of files (the signal is no end).
stop_cleanly B
small_files() {
	ulimit -f 4096 # kB
	exec "$@"
}
via[B]=small_files
start B
await 'A to be connected' connected A B
random_file 9000000 "$work/A/larger"
echo fine >"$work/A/fine"
await 'B says that it is too large' reason_at B B larger 'too large'
await 'A knows it' reason_at A B larger 'too large'
await 'others to arrive' cmp "$work/A/fine" "$work/B/fine"
stop_cleanly B
via[B]='faulty B'
start B
await 'A to be connected' connected A B
settle A B
same A B
passed 'F03 larger than files may be'

# ---- the index ----------------------------------------------------------------------------
fault B 'write ENOSPC */state-B/*'
echo mine >"$work/B/from B"
await 'B says that the index cannot be written' note B 'index cannot be written'
await 'A knows it' reason_at A B '' 'index cannot be written'
[ ! -e "$work/A/from B" ] || fail 'announced before it was stored'
! ask B wait --timeout 0.1 2>/dev/null || fail 'B says that all is in sync'
fault B
await 'to be announced' cmp "$work/A/from B" "$work/B/from B"
settle A B
same A B
! note B 'index cannot be written' && ! note A 'index cannot be written' || fail 'still told'
passed 'F02 no space for the index'

# What arrives is applied all the same, deletions above all; a kill loses none of it, and a server that
# starts on such a disk serves, and says it.
echo old >"$work/A/changes"
echo goes >"$work/A/goes"
settle A B
arrived() { [ ! -e "$work/B/goes" ] && cmp -s "$work/A/changes" "$work/B/changes"; }
fault B 'write ENOSPC */state-B/*'
echo mine >"$work/B/of B"
await 'B says that the index cannot be written' note B 'index cannot be written'
rm "$work/A/goes"
echo new >"$work/A/changes"
await 'what came to be applied' arrived
before=$(ask A history --json | wc -l)
kill -KILL "${pid[B]}"
wait "${pid[B]}" 2>/dev/null || :
unset "pid[B]"
start B
await 'B says so again' note B 'index cannot be written'
arrived || fail 'what was applied is undone'
[ ! -e "$work/A/of B" ] || fail 'announced before it was stored'
fault B
settle A B
same A B
[ "$(cat "$work/A/of B")" = mine ] || fail 'what B had made did not arrive'
[ $(($(ask A history --json | wc -l) - before)) -eq 1 ] || fail "changes were invented: $(ask A history)"
passed 'F02 killed and started without space for the index'

# ---- names that cannot be exchanged ---------------------------------------------------------
stop_cleanly B
fault B 'rename EINVAL */.tutti/tmp/probe-b'
start B
fault B
note B 'cannot swap two names' || fail 'B does not say so'
await 'A to be connected' connected A B
echo 'without an exchange' >"$work/A/changes"
rm "$work/A/of B"
settle A B
same A B
stop_cleanly B
start B
! note B 'cannot swap two names' || fail 'B says so still'
await 'A to be connected' connected A B
passed 'a file system that cannot exchange names'

# ---- reading ------------------------------------------------------------------------------
fault A 'read EIO */A/bad' 'open EMFILE */A/none'
echo bad >"$work/A/bad"
echo none >"$work/A/none"
echo good >"$work/A/good"
await 'A says that it cannot read' reason_at A A bad '[Ii]nput/output'
await 'B knows it' reason_at B A bad '[Ii]nput/output'
await 'A says that it cannot open' reason_at A A none 'too many open files'
await 'others to arrive' cmp "$work/A/good" "$work/B/good"
[ ! -e "$work/B/bad" ] && [ ! -e "$work/B/none" ] || fail 'announced what could not be read'
fault A
settle A B
same A B
passed 'F04, F07 a source that cannot be read'

# One that was known is no deletion, and travels when it can be read again.
fault A 'read EIO */A/good'
echo better >"$work/A/good"
await 'A says that it cannot read' reason_at A A good '[Ii]nput/output'
[ "$(cat "$work/B/good")" = good ] || fail 'B lost the old content'
fault A
settle A B
same A B
passed 'F04 a changed source that cannot be read'

mkdir -p "$work/A/dir/sub"
for i in 1 2 3 4 5 6 7 8 9; do
	echo "$i" >"$work/A/dir/$i"
	echo "$i" >"$work/A/dir/sub/$i"
done
settle A B
for rule in 'readdir EIO */A/dir' 'readdir ESTALE */A/dir/sub' 'stat EIO */A/dir/[0-9]' 'open EIO */A/dir/.' \
	'open EACCES */A/dir' 'stat EACCES */A/dir/sub*' 'open ENOMEM */dir'; do
	fault A "$rule"
	ask A resync >/dev/null 2>&1 || :
	[ "$(find "$work/B/dir" -type f | wc -l)" -eq 18 ] || fail "$rule: files were deleted"
	[ "$(ask B list --json | grep -c '"path":"dir/')" -eq 18 ] || fail "$rule: $(ask B list)"
	ask A status --json | grep -Eq '"path":"dir[^"]*","replica":"A"' || fail "$rule: not told"
	fault A
	ask A resync >/dev/null 2>&1
	settle A B
	same A B
done
passed 'F06 folders that cannot be read: nothing is deleted, all is told'

# ---- read-only ----------------------------------------------------------------------------
fault B 'open EROFS */.tutti/tmp/*' 'open EROFS */.tutti/trash/*' 'rename EROFS */B/*' 'unlink EROFS */B/*' 'mkdir EROFS */B/*' \
	'link EROFS */B/*' 'chmod EROFS */B/*'
echo 'not for B' >"$work/A/not-for-B"
rm "$work/A/dir/1"
mkdir "$work/A/folder"
await 'B says that it is read-only' reason_at B B not-for-B 'read-only'
await 'A knows it' reason_at A B not-for-B 'read-only'
await 'A knows it of deletions' reason_at A B dir/1 'read-only'
await 'a row of what is gone on A tells' has_state A dir/1 blocked
await 'A knows it of folders' reason_at A B folder 'read-only'
echo 'from B' >"$work/B/sent"
await 'B goes on sending' cmp "$work/A/sent" "$work/B/sent"
[ -e "$work/B/dir/1" ] || fail 'the fault did not work'
busy=$(worked B)
echo 'once more' >"$work/B/sent"
await 'B goes on sending' cmp "$work/A/sent" "$work/B/sent"
[ $(($(worked B) - busy)) -lt 50 ] || fail 'B runs in circles'
fault B
settle A B
same A B
passed 'F09 read-only: send-only, told, and later all is made good'

# ---- a slow walk --------------------------------------------------------------------------
# Whoever asked sees how far the others are, not only that they are not done.
if command -v script >/dev/null; then
	for i in $(seq 20); do
		mkdir -p "$work/A/dir/slow-$i"
		echo "$i" >"$work/A/dir/slow-$i/file"
	done
	settle A B
	mine=$(find "$work/A" -mindepth 1 -path "$work/A/.tutti" -prune -o -print | wc -l)
	fault B 'readdir +100 */B/dir/slow-*'
	script -qec "'$tutti' -s '$work/A.sock' resync" /dev/null </dev/null >"$work/progress"
	fault B
	most=$(grep -ao 'looked at [0-9]* entries[^;]*; waiting for B' "$work/progress" | awk '{ print $3 }' |
		sort -n | tail -1)
	[ "${most:-0}" -gt "$mine" ] ||
		fail "of what B has looked at nothing is told before its end: $most of $mine: $(cat -v "$work/progress")"
	rm -r "$work/A"/dir/slow-*
	settle_confirming A B
	passed 'the progress of a resync elsewhere'
else
	echo 'not tried: the progress of a resync (no program script)'
fi

# ---- a slow disk --------------------------------------------------------------------------
fault B 'fsync +1000' 'syncfs +1000'
for i in $(seq 40); do
	random_file 20000 "$work/A/slow-$i"
	rm -f "$work/A/dir/sub/$i"
done
now() { date +%s%N; }
most=0
under_way() { ! ask B wait --timeout 0 2>/dev/null; }
await 'things to be under way' under_way
for _ in $(seq 20); do
	begin=$(now)
	ask B status >/dev/null || :
	took=$((($(now) - begin) / 1000000))
	[ "$took" -lt "$most" ] || most=$took
done
[ "$most" -lt 900 ] || fail "an answer took $most ms"
connected A B || fail 'the connection was lost'
settle A B
same A B
passed "F54 a slow disk: answers within $most ms"
fault B 'fsync +300' 'syncfs +300' # the last commit takes a few
for i in $(seq 40); do random_file 30000 "$work/A/slow-$i"; done
await 'things to be under way' under_way
begin=$(now)
stop_cleanly B
took=$((($(now) - begin) / 1000000))
[ "$took" -lt 5000 ] || fail "ending took $took ms"
fault B
start B
await 'A to be connected' connected A B
settle A B
same A B
passed "F55 ended in $took ms while a slow disk was at work"

stop_cleanly A B
echo "$checks checks"
