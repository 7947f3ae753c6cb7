#!/usr/bin/env bash
# Every kind of change that a person makes on one server appears on the other, both ways.
. "$(dirname "$0")/e2e_lib.sh"

pair A B

# Does the change on one side, and compares.
change() { # WHAT WHERE OTHER COMMAND...
	local what=$1 where=$2 other=$3
	shift 3
	(cd "$work/$where" && "$@") || fail "cannot do: $what"
	settle_confirming "$where" "$other"
	same "$where" "$other"
	passed "$what, $where to $other"
}

in_place() { printf changed | dd of=three/levels/file conv=notrunc status=none; }
append() { echo more >>three/levels/file; }
editor() { echo edited >three/levels/.file.new && mv three/levels/.file.new three/levels/file; }
older() { echo "$RANDOM older" >.old && touch -d "200$((RANDOM % 10))-01-01 12:00:00.123456789" .old && mv .old old-date; }
same_size() { printf 'ABCDEFG' >sized && printf 'abcdefg' >sized; }
folder() { mkdir -p new/sub && echo 1 >new/one && echo 2 >new/sub/two && : >new/sub/empty; }
strange() {
	local name
	for name in 'two words' ' leading' 'trailing ' '-n' '~' '*' '"quotes"' "it's" '\\' \
		$'new\nline' $'escape\e[31mred' $'not utf8 \xff\xfe' $'\xe2\x80\xae right to left' \
		$'caf\xc3\xa9' $'cafe\xcc\x81' "$(printf '%0255d' 7)" '...' '.hidden'; do
		printf '%s' "$name" >"$name"
	done
}
strange_gone() { find . -maxdepth 1 -type f ! -name old-date ! -name sized -delete; }
links() { ln -s b.txt link && ln -s /nowhere/at/all dangling && ln -s . loop && ln -s "$(printf '%04000d' 1)" long; }
deep() {
	local path=
	path=$(printf 'd/%.0s' {1..100})
	mkdir -p "$path" && echo bottom >"${path}file"
}
many() { mkdir many && for i in {1..500}; do echo "$i" >many/$i; done; }
swap() { mv many/1 many/tmp && mv many/2 many/1 && mv many/tmp many/2; }
file_to_folder() { rm sized && mkdir sized && echo in >sized/in; }
folder_to_file() { rm -r sized && echo out >sized; }
link_to_file() { rm link && echo file >link; }

for pair in 'A B' 'B A'; do
	read -r from to <<<"$pair"
	change 'a new file' "$from" "$to" sh -c 'mkdir -p three/levels && echo new >three/levels/file'
	change 'changed in place' "$from" "$to" in_place
	change 'appended to' "$from" "$to" append
	change 'replaced by an editor' "$from" "$to" editor
	change 'an older date' "$from" "$to" older
	cmp <(times "$work/A" | grep old-date) <(times "$work/B" | grep old-date) ||
		fail 'the older date did not come along'
	change 'the same size again' "$from" "$to" same_size
	change 'an empty file' "$from" "$to" touch empty
	change 'an empty folder' "$from" "$to" mkdir -p hollow/inner
	change 'a folder with content' "$from" "$to" folder
	change 'a renamed file' "$from" "$to" mv empty renamed
	change 'a file moved into another folder' "$from" "$to" mv renamed new/sub/moved
	change 'a renamed folder' "$from" "$to" mv new newer
	change 'a folder moved into another' "$from" "$to" mv newer three/newer
	change 'permissions' "$from" "$to" chmod 750 three/levels/file
	change 'permissions of a folder' "$from" "$to" chmod 700 three
	change 'symbolic links' "$from" "$to" links
	change 'another target of a link' "$from" "$to" ln -sfn elsewhere link
	change 'a link that becomes a file' "$from" "$to" link_to_file
	change 'strange names' "$from" "$to" strange
	change 'a hundred folders deep' "$from" "$to" deep
	change 'five hundred files at once' "$from" "$to" many
	change 'two names swapped' "$from" "$to" swap
	change 'a file that becomes a folder' "$from" "$to" file_to_folder
	change 'a folder that becomes a file' "$from" "$to" folder_to_file
	change 'a large file' "$from" "$to" sh -c 'head -c 20000000 /dev/urandom >large'
	change 'a copy of a large file' "$from" "$to" cp large large.copy
	change 'deleted files' "$from" "$to" strange_gone
	change 'a deleted folder with content' "$from" "$to" rm -rf three many d
	change 'everything deleted but one file' "$from" "$to" find . -mindepth 1 -maxdepth 1 ! -name .tutti ! -name old-date -exec rm -rf '{}' +
done
[ "$(ls "$work/A")" = old-date ] || fail "left over: $(ls "$work/A")"
ask A list --json | grep -q '"path":"old-date"' || fail 'the listing lacks a file'
[ "$(ask A list --json | wc -l)" -eq 1 ] || fail "the listing has more: $(ask A list)"

# Both at once, at different names, while the other does the same.
for i in {1..50}; do
	echo "$i" >"$work/A/a$i"
	echo "$i" >"$work/B/b$i"
done
settle A B
same A B
[ "$(ls "$work/A" | wc -l)" -eq 101 ] || fail 'not all of both sides is there'
passed 'changes on both sides at once'

stop_cleanly A B
echo "$checks checks"
