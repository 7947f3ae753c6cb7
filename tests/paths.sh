#!/usr/bin/env bash
# Owns the promise that paths are used in few places only: names in the served directory by the layer
# that walks from its held descriptor (root.c and those it hands folders to), whole paths only where they
# come from who started the program. Reads the symbols that the objects import, and the sources for what
# symbols do not tell.
set -euo pipefail
export LC_ALL=C

: "${NM:=nm}" "${CC:=cc}" "${TUTTI_BUILD:=.}" "${TUTTI_SOURCE:=.}"

# Functions of the C library that take a path.
whole='open|creat|f?reopen|fopen|l?stat|statx|statv?fs|access|e(uid)?access|chmod|fchmodat|l?chown|fchownat|link|
symlink|readlink|unlink|remove|rename|mkdir|rmdir|mknod(at)?|mkfifo(at)?|opendir|scandir(at)?|nftw?|ftw|fts_open|
glob|realpath|canonicalize_file_name|chdir|chroot|truncate|utimes?|lutimes|futimesat|mk[od]?stemps?|mkdtemp|
tmpnam|tempnam|tmpfile|l?(set|get|list|remove)xattr|name_to_handle_at|open_by_handle_at|u?mount2?|umount|swapon|
pivot_root|inotify_add_watch|fanotify_mark|exec(l|lp|le|v|vp|vpe|ve|veat)|fexecve|system|popen|
posix_spawnp?|dlopen|syscall'
# The same below a folder that is held.
below='openat|fstatat|faccessat|linkat|symlinkat|readlinkat|unlinkat|renameat2?|mkdirat|utimensat'

# Who may call what, and why. What is here and not used any more is an error too.
allowed='
server/apply_folders.o chmod       /proc/self/fd/N: there is no chmod of an O_PATH descriptor
server/confine.o      open         the folders that stay allowed, with O_PATH, before anything is served
server/confine.o      syscall      Landlock has no functions in the C library
server/deeds.o        open         a file of the state directory
server/deeds.o        rename       a file of the state directory
server/intents.o      open         /proc/sys/kernel/random/boot_id
server/net.o          chmod        the local socket, when other users may come or no more
server/net.o          lstat        the local socket, at a path of the settings
server/net.o          mkdir        the folder of the local socket
server/net.o          unlink       the local socket
server/daemon.o       realpath     is the state directory inside the root?
server/root.o         open         the root itself, once; later all is below its descriptor
server/root.o         realpath     the root itself, once
server/root.o         stat         is the root still there?
server/settings.o     fopen        a file named on the command line
server/store.o        lstat        the index
server/store.o        mkdir        the state directory
server/store.o        open         the lock of the index
server/store.o        realpath     the state directory
server/store.o        rename       a damaged index is moved aside
server/store.o        stat         the state directory
server/trust.o        open         the file of the trusted keys
server/watch.o        inotify_add_watch  /proc/self/fd/N: the folder that is held, whatever its path is now
src/client_find.o     opendir      the folder of the local sockets
src/client_find.o     stat         is it a socket?
src/identity.o        mkdir        the state directory
src/identity.o        open         the state directory
src/options_file.o    fopen        the file of the settings
src/places.o          stat         the folders of the environment
tui/demo_keeper.o     access       programs and folders of the demo, which it made itself
tui/demo_keeper.o     chmod        programs and folders of the demo, which it made itself
tui/demo_keeper.o     execvp       tuttid, for the demo
tui/demo_keeper.o     fopen        programs and folders of the demo, which it made itself
tui/demo_keeper.o     mkdtemp      programs and folders of the demo, which it made itself
tui/demo_keeper.o     nftw         programs and folders of the demo, which it made itself
tui/demo_keeper.o     open         programs and folders of the demo, which it made itself
tui/demo_keeper.o     readlink     where this program is, and tuttid beside it
tui/demo_keeper.o     remove       programs and folders of the demo, which it made itself
tui/export.o          fopen        the file that the user names
tui/export.o          unlink       that file, when it could not be finished
tui/remember.o        fopen        what the screen remembers
tui/remember.o        mkdir        what the screen remembers
tui/remember.o        rename       what the screen remembers
tui/remember.o        unlink       what the screen remembers
tui/screen.o          execl        the pager of the user, by the user'"'"'s key
tui/screen.o          lstat        the file for the pager
tui/screen.o          syscall      close_range, before the pager starts
'
# Who may use names below a held folder. Those of the server get the folder from a walk of root.c.
layer='
server/apply.o server/apply_content.o server/apply_folders.o server/apply_intents.o server/apply_replace.o
server/past.o server/recover.o server/root.o server/scan.o server/tmp.o server/trash.o
server/intents.o server/trust.o src/identity.o tui/demo_files.o
'

squeeze() {
	tr -d '\n' <<<"$1"
}
calls="^($(squeeze "$whole"))\$"
calls_below="^($(squeeze "$below"))\$"

# "OBJECT FUNCTION" for all calls in ARCHIVE that take a path; the names that the C library's headers
# give them are those of the sources again.
imports() { # FOLDER ARCHIVE
	"$NM" -u "$2" | awk -v folder="$1" '
		/:$/ { object = $1; sub(/:$/, "", object); sub(/.*-/, "", object) }
		NF == 2 {
			name = $2
			sub(/@.*/, "", name)
			if (name ~ /^__.*(_2|_chk|_alias)$/) {
				sub(/^__/, "", name)
				sub(/(_2|_chk|_alias)$/, "", name)
			}
			if (name ~ /^__x?l?stat/)
				sub(/^__x?/, "", name)
			sub(/64(_time64)?$/, "", name)
			print folder "/" object, name
		}' | sort -u
}

judge() { # FOLDER ARCHIVE: what is not allowed
	local object name
	while read -r object name; do
		if [[ $name =~ $calls ]]; then
			grep -q "^$object  *$name " <<<"$allowed" || echo "$object calls $name()"
		elif [[ $name =~ $calls_below ]]; then
			grep -qwF "$object" <<<"$layer" || echo "$object calls $name()"
		fi
	done < <(imports "$1" "$2")
}

# Calls with a name below a folder, one a line, comments and strings without meaning left as they are.
calls_in() { # FUNCTION FILE
	tr '\n\t' '  ' <"$2" | grep -oE "[^_a-z0-9]$1\([^;{]*" || :
}

# Such a call never follows a symlink, and never starts at the working directory.
judge_source() { # FILE
	local file=$1 call
	while read -r call; do
		case $call in
		*O_NOFOLLOW*|*READ_FLAGS*|*DIR_FLAGS*|*O_EXCL*) ;;
		*'"."'*|*'".."'*) ;; # the held folder itself, and root.c on its way up to find other roots
		*) echo "$file: it may follow a symlink: $call" ;;
		esac
	done < <(calls_in openat "$file")
	while read -r call; do
		case $call in
		*AT_SYMLINK_NOFOLLOW*) ;;
		*'"."'*|*'AT_FDCWD, link,'*) ;; # the latter: /proc/self/fd/N
		*) echo "$file: it may follow a symlink: $call" ;;
		esac
	done < <(calls_in fstatat "$file"; calls_in faccessat "$file"; calls_in utimensat "$file")
	while read -r call; do
		echo "$file: from the working directory: $call"
	done < <(grep -n AT_FDCWD "$file" | grep -v 'AT_FDCWD, link,' || :)
	while read -r call; do
		case $call in
		*O_NOFOLLOW*) ;;
		*) echo "$file: $call may follow a symlink" ;;
		esac
	done < <(tr '\n\t' '  ' <"$file" | grep -oE '# *define (READ|DIR)_FLAGS [^#;]*' || :)
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The check must be able to fail.
plant() { # NAME CODE
	printf '%s\n' "$2" >"$work/$1.c"
	$CC -c -o "$work/$1.o" "$work/$1.c"
	rm -f "$work/$1.a"
	ar cr "$work/$1.a" "$work/$1.o"
	judge planted "$work/$1.a"
}
for forbidden in open stat rename unlink chmod system popen opendir realpath execv inotify_add_watch syscall \
	openat unlinkat renameat2; do
	found=$(plant "$forbidden" "int planted(void); int planted(void)
		{ extern int $forbidden(); return $forbidden(); }" 2>/dev/null)
	[ "$found" = "planted/$forbidden.o calls $forbidden()" ] ||
		{ echo "self-test: a planted $forbidden() was not found: '$found'" >&2; exit 1; }
done
for line in 'fd = openat(dir, name, O_RDONLY | O_CLOEXEC);' 'r = fstatat(dir, name, &st, 0);' \
	'fd = openat(AT_FDCWD, name, O_NOFOLLOW);' '#define READ_FLAGS (O_RDONLY | O_CLOEXEC)'; do
	printf 'int r;\n%s\nint s;\n' "$line" >"$work/planted.c"
	[ "$(judge_source "$work/planted.c" | wc -l)" -eq 1 ] ||
		{ echo "self-test: not found: $line" >&2; exit 1; }
done

bad=$(
	judge server "$TUTTI_BUILD/server/libserver.a"
	judge src "$TUTTI_BUILD/src/libtutti.a"
	judge src "$TUTTI_BUILD/src/libcore.a"
	judge tui "$TUTTI_BUILD/tui/libtui.a"
	for file in "$TUTTI_SOURCE"/server/*.c "$TUTTI_SOURCE"/server/*.h "$TUTTI_SOURCE"/src/*.c \
		"$TUTTI_SOURCE"/tui/*.c; do
		judge_source "$file"
	done
	cat <(imports server "$TUTTI_BUILD/server/libserver.a") <(imports src "$TUTTI_BUILD/src/libtutti.a") \
		<(imports tui "$TUTTI_BUILD/tui/libtui.a") >"$work/all"
	while read -r object name _; do
		[ -z "$object" ] || grep -qxF "$object $name" "$work/all" ||
			echo "$object does not call $name() any more: take it off the list"
	done <<<"$allowed"
)
if [ -n "$bad" ]; then
	echo 'Paths are used where they should not be (see the head of tests/paths.sh):' >&2
	printf '%s\n' "$bad" >&2
	exit 1
fi
echo "$(grep -c . <<<"$allowed") calls with whole paths, each with a reason"
