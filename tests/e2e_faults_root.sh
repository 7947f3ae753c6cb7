#!/usr/bin/env bash
# The directory itself, or a part of it, cannot be had: that part halts, says so, deletes nothing
# anywhere, and goes on by itself when it is back.
#	F10  no permission for a file, a folder, the root
#	F15  the root is deleted, moved, replaced by a file, a link, another directory; its mark is missing,
#	     damaged, or that of another
#	F52  two servers on one directory
#	F02  a small disk that is really full (in a mount namespace)
#	F09  a file system that is remounted read-only (the same)
#	F16  a part that is mounted, and vanishes (the same)
#	F15  the root is unmounted, and mounted over (the same)
. "$(dirname "$0")/e2e_lib.sh"

if [ "${1-}" != mounts ]; then

	# Servers of somebody who is not root, so that permissions count.
	me=
	if [ "$(id -u)" -eq 0 ]; then
		me='setpriv --reuid 65534 --regid 65534 --clear-groups'
		chmod 777 "$work" "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME"
		mkdir -m 755 "$work/A"
		chown 65534 "$work/A"
		mkdir "$work/B"
		if ! $me test -x "$tuttid" 2>/dev/null; then
			echo 'not tried: permissions (root, and no other user can start tuttid here)'
			me=none
		fi
	fi
	if [ "$me" != none ]; then
		via[A]=$me
		pair A B
		mkdir -p "$work/A/dir/sub" "$work/A/open"
		for i in $(seq 8); do
			echo "$i" >"$work/A/dir/$i"
			echo "$i" >"$work/A/dir/sub/$i"
		done
		echo secret >"$work/A/secret"
		settle A B
		same A B
		chmod 000 "$work/A/dir" "$work/A/secret"
		echo other >"$work/A/other"
		await 'others to arrive' cmp "$work/A/other" "$work/B/other"
		ask A resync >/dev/null 2>&1 || :
		await 'the folder to be told' reason_at A A dir 'no access'
		await 'B to know it' reason_at B A dir 'no access'
		[ "$(find "$work/B/dir" -type f | wc -l)" -eq 16 ] || fail 'files were deleted'
		stop_cleanly A
		start A
		await 'A to be connected' connected A B
		await 'the folder to be told after a start' reason_at A A dir 'no access'
		[ "$(find "$work/B/dir" -type f | wc -l)" -eq 16 ] || fail 'files were deleted'
		chmod 755 "$work/A/dir"
		echo 'made while nobody could look' >"$work/A/dir/sub/new"
		echo changed >"$work/A/dir/sub/3"
		await 'what was changed below' cmp "$work/A/dir/sub/new" "$work/B/dir/sub/new"
		chmod 644 "$work/A/secret"
		settle A B
		same A B
		echo 'watched again' >"$work/A/dir/sub/new"
		settle A B
		same A B
		passed 'F10 a folder and a file without permission'

		chmod 555 "$work/A/open" # it is not ours to write, unless it is ours
		[ -z "$me" ] || chown root "$work/A/open"
		if [ -n "$me" ]; then
			echo 'from B' >"$work/B/open/new"
			await 'A says that it may not' reason_at A A open/new 'no access'
			await 'B knows it' reason_at B A open/new 'no access'
			chmod 777 "$work/A/open"
			settle A B
			same A B
			passed 'F10 a folder of somebody else'
		fi
		chmod 000 "$work/A"
		halted_for() { ask "$1" status --json | grep -q 'nothing is synchronised'; }
		echo 'from B' >"$work/B/other"
		await 'A to halt' halted_for A
		[ "$(find "$work/B/dir" -type f | wc -l)" -eq 17 ] || fail 'files were deleted'
		chmod 755 "$work/A"
		settle A B
		[ "$(cat "$work/A/other")" = 'from B' ] || fail 'A does not go on'
		stop_cleanly A B
		passed 'F10 a root without permission'
		rm -rf "$work/A" "$work/B" "$work/state-A" "$work/state-B"
		via=()
	fi

	# ---- the root -------------------------------------------------------------------
	can_be_faulty A
	via[A]='fast 10 A' # what is asked every 5 s is asked every half
	start B
	peers[A]=B
	start A
	mkdir -p "$work/A/dir/sub"
	for i in $(seq 30); do
		echo "$i" >"$work/A/dir/$i"
	done
	settle A B
	same A B
	picture "$work/B" >"$work/before"
	halted() { ask A status --json | grep -q 'nothing is synchronised'; }
	going() { ! halted; }

	# The root goes, something else comes, and it comes back.
	round=0
	absent() { # WHAT COMMAND-TO-PUT COMMAND-TO-TAKE-AWAY
		local what=$1
		round=$((round + 1))
		mv "$work/A" "$work/away"
		eval "$2"
		await "$what: A to halt" halted
		await "$what: B to know why" reason_at B A '' '[a-z]'
		! ask A wait --timeout 0.1 2>/dev/null || fail "$what: A says that all is in sync"
		! ask A resync >/dev/null 2>"$work/resync" || fail "$what: a resync is done"
		echo "$what" >"$work/B/meanwhile"
		rm -f "$work/B/dir/$round"
		rm -f "$work/before"
		picture "$work/B" >"$work/before"
		await "$what: B to have seen to it" stored B
		[ ! -e "$work/A/meanwhile" ] || fail "$what: written into something else"
		picture "$work/B" | cmp -s - "$work/before" || fail "$what: something was deleted"
		eval "$3"
		echo "$what" >"$work/away/made-$round"
		mv "$work/away" "$work/A"
		await "$what: A to go on" going
		settle A B
		same A B
		! reason_at B A '' . || fail "$what: B says so still"
		[ -e "$work/B/made-$round" ] || fail "$what: what was made meanwhile is not seen"
		passed "F15 $what"
	}
	stored() { ask B status --json | grep -q '"rows"'; }
	absent 'the root is moved away' : :
	absent 'the root is replaced by a file' 'echo file >"$work/A"' 'rm "$work/A"'
	absent 'the root is replaced by an empty directory' 'mkdir "$work/A"' 'rmdir "$work/A"'
	absent 'the root is replaced by a full directory' \
		'mkdir "$work/A"; echo x >"$work/A/x"; rm -f "$work/A/dir/1"' 'rm -r "$work/A"'
	absent 'the root is replaced by a dead link' 'ln -s nowhere "$work/A"' 'rm "$work/A"'
	absent 'the root is replaced by the directory of another server' \
		'mkdir -p "$work/A/.tutti"; cp "$work/B/.tutti/root-id" "$work/A/.tutti"' 'rm -r "$work/A"'

	# Who ends while its root is gone is waited for by nobody.
	mv "$work/A" "$work/away"
	await 'B to know why' reason_at B A '' '[a-z]'
	! ask B wait --timeout 0.1 2>/dev/null || fail 'B says that all is in sync'
	stop A KILL
	ask B wait --timeout "$DEADLINE" || fail "B waits: $(ask B status)"
	mv "$work/away" "$work/A"
	start A
	settle A B
	same A B
	passed 'F15 a server ends while its root is gone'

	marks() { # WHAT COMMAND
		local what=$1
		cp "$work/A/.tutti/root-id" "$work/mark"
		eval "$2"
		rm -rf "$work/A/dir"
		ask A resync >/dev/null 2>&1 || :
		await "$what: A to halt" halted
		[ "$(find "$work/B/dir" -type f | wc -l)" -gt 20 ] || fail "$what: files were deleted"
		cp -a "$work/B/dir" "$work/A/dir"
		cp "$work/mark" "$work/A/.tutti/root-id.new"
		mv "$work/A/.tutti/root-id.new" "$work/A/.tutti/root-id"
		await "$what: A to go on" going
		settle A B
		same A B
		passed "F15 $what"
	}
	marks 'the mark is missing' 'rm "$work/A/.tutti/root-id"'
	marks 'the mark is that of another' 'cp --remove-destination "$work/B/.tutti/root-id" "$work/A/.tutti"'
	marks 'the mark is damaged' 'rm "$work/A/.tutti/root-id"; echo nonsense >"$work/A/.tutti/root-id"'

	# While it does not run: no mark, but content, and an index that knows it.
	stop_cleanly A
	mv "$work/A/.tutti" "$work/tutti"
	rm -rf "$work/A/dir"
	status=0
	timeout "$DEADLINE" "$tuttid" -n A -l 127.0.0.1:0 -s "$work/state-A" --socket "$work/A.sock" \
		-p "127.0.0.1:${port[B]}" "$work/A" >"$work/refused" 2>&1 || status=$?
	[ "$status" -eq 1 ] || fail "ended with $status: $(cat "$work/refused")"
	grep -Eq 'mark|mounted' "$work/refused" || fail "says: $(cat "$work/refused")"
	[ "$(find "$work/B/dir" -type f | wc -l)" -gt 20 ] || fail 'files were deleted'
	rm -rf "$work/A/.tutti"
	mv "$work/tutti" "$work/A/.tutti"
	cp -a "$work/B/dir" "$work/A/dir"
	start A
	await 'A to be connected' connected A B
	settle A B
	same A B
	passed 'F15 a root without its mark is not served'

	rm -rf "$work/A"
	await 'A to halt' halted
	stop_cleanly A
	passed 'F15 the root is deleted while it is served'

	status=0
	timeout "$DEADLINE" "$tuttid" -n C -l 127.0.0.1:0 -s "$work/state-C" --socket "$work/C.sock" \
		"$work/B" >"$work/refused" 2>&1 || status=$?
	[ "$status" -eq 1 ] || fail "the second server ended with $status"
	ask B status >/dev/null || fail 'the first server was disturbed'
	stop_cleanly B
	passed 'F52 two servers on one directory'

	if unshare -Urm true 2>/dev/null; then
		unshare -Urm bash "$0" mounts
	else
		echo 'not tried: F02, F09, F16 with real mounts (no user namespaces); e2e_faults_disk.sh has the shim'
	fi
	echo "$checks checks"
	exit 0
fi

# ---- with mounts of our own ---------------------------------------------------------------
at_end() { umount -l "$work/A/disk" "$work/B" "$work" 2>/dev/null || :; }
mount -t tmpfs -o size=100m,mode=755 none "$work"
mkdir "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME" "$work/A" "$work/B"
mount -t tmpfs -o size=4m,mode=755 none "$work/B"
start B
peers[A]=B
start A
random_file 2000000 "$work/A/half"
settle A B
random_file 3000000 "$work/A/too much"
echo small >"$work/A/small"
await 'B says that the disk is full' reason_at B B 'too much' 'disk full'
await 'A knows it' reason_at A B 'too much' 'disk full'
await 'small files to arrive' cmp "$work/A/small" "$work/B/small"
echo smaller >"$work/A/small"
await 'small files to be replaced' cmp "$work/A/small" "$work/B/small"
[ ! -e "$work/B/too much" ] || fail 'a part was shown'
mount -o remount,size=40m "$work/B"
settle A B
same A B
[ -z "$(ls "$work/B/.tutti/tmp")" ] || fail "left over: $(ls "$work/B/.tutti/tmp")"
passed 'F02 a small disk: full, told, and it goes on by itself'

# A remount is refused while files are open for writing: then it is not tried.
remounted=false
for _ in $(seq 100); do
	if mount -o remount,ro "$work/B" 2>/dev/null; then
		remounted=true
		break
	fi
	settle A B
done
if $remounted; then
	echo 'not for B' >"$work/A/not-for-B"
	rm "$work/A/half"
	await 'B says that it is read-only' reason_at B B not-for-B 'read-only'
	await 'A knows it' reason_at A B not-for-B 'read-only'
	[ -e "$work/B/half" ] || fail 'it is not read-only'
	mount -o remount,rw "$work/B"
	settle A B
	same A B
	passed 'F09 remounted read-only, and back'
else
	echo 'not tried: F09 with a real mount (the file system is busy)'
fi

stop_cleanly A
mkdir "$work/A/disk"
echo below >"$work/A/disk/below"
start A
await 'A to be connected' connected A B
settle A B
mount -t tmpfs none "$work/A/disk"
echo above >"$work/A/disk/above"
ask A resync >/dev/null 2>&1 || :
await 'the mount to be told' reason_at A A disk 'another file system'
[ "$(cat "$work/B/disk/below")" = below ] || fail 'what the mount hides was deleted'
[ ! -e "$work/B/disk/above" ] || fail 'what is mounted was carried'
echo 'for below' >"$work/B/disk/new"
await 'B to know that it cannot be' reason_at B A disk/new 'another file system'
[ "$(ls "$work/A/disk")" = above ] || fail 'written into what is mounted'
umount "$work/A/disk"
ask A resync >/dev/null 2>&1 || :
settle A B
same A B
[ "$(cat "$work/A/disk/new")" = 'for below' ] || fail 'it did not go on'
passed 'F16 a part that is mounted, and vanishes'
stop_cleanly A B

# The directory itself is a mount: it is taken away, and something is mounted over it.
mkdir "$work/really"
cp -a "$work/B/." "$work/really"
umount "$work/B"
mount --bind "$work/really" "$work/B"
start B
start A
await 'A to be connected' connected A B
settle A B
kept=$(picture "$work/A")
halted() { ask B status --json | grep -q 'nothing is synchronised'; }
going() { ! halted; }
vanishes() { # WHAT COMMAND-BEFORE COMMAND-AFTER
	local what=$1
	eval "$2"
	ask B resync >/dev/null 2>&1 && fail "$what: a resync is done" || :
	await "$what: B to halt" halted
	await "$what: A to know why" reason_at A B '' '[a-z]'
	[ -z "$(find "$work/B" -mindepth 1)" ] || fail "$what: written into something else: $(find "$work/B")"
	[ "$(picture "$work/A")" = "$kept" ] || fail "$what: something was deleted"
	eval "$3"
	await "$what: B to go on" going
	settle A B
	same A B
	passed "F15 $what"
}
vanishes 'the root is unmounted' 'umount -l "$work/B"' 'mount --bind "$work/really" "$work/B"'
vanishes 'something is mounted over the root' 'mount -t tmpfs none "$work/B"' 'umount "$work/B"'
echo after >"$work/A/after the mounts"
settle A B
same A B
stop_cleanly A B
