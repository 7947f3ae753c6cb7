#!/usr/bin/env bash
# Names of all kinds: they arrive byte by byte, and nothing that is printed or logged of them has a control
# character, a byte that is no UTF-8, or a character that hides or turns text (F34, F35, F37, F56).
. "$(dirname "$0")/e2e_lib.sh"

# Every byte but NUL and '/' alone and inside a name; then names that mean something to a terminal or a shell.
names=$work/names
{
	for byte in $(seq 1 255); do
		[ "$byte" -ne 47 ] || continue
		printf "byte-\\x$(printf %x "$byte")-here\\0"
	done
	printf '\e]0;title\a\0' # a title
	printf '\e[2J\e[31mred\0'
	printf '\x9b2J\0\xc2\x9b2J\0\xc2\x90dcs\xc2\x9c\0' # C1, as a byte and in UTF-8
	printf 'line\nline\0tab\tcr\r\0'
	printf 'txt.\xe2\x80\xaeexe\0\xe2\x81\xa6iso\xe2\x81\xa9\0\xd8\x9carabic mark\0' # bidi
	printf 'zero\xe2\x80\x8bwidth\0\xef\xbb\xbfbom\0soft\xc2\xadhyphen\0tag\xf3\xa0\x81\x81\0'
	printf '\xc0\xafover-long\0\xe0\x80\xaf\0\xf0\x80\x80\xaf\0\xed\xa0\x80surrogate\0\xf4\x90\x80\x80\0cut\xe2\x82\0'
	printf 'e'
	printf '\xcc\x81%.0s' $(seq 120) # a heap of accents
	printf '\0-rf\0~\0*\0 \0 leading\0trailing \0"quotes'"'"'\0$(reboot)\0`reboot`\0\\x1b\0%%s%%n\0'
	printf '.hidden\0...\0..a\0con\0nul.txt\0'
	printf 'x%.0s' $(seq 255)
	printf '\0'
} >"$names"
make_all() { # FOLDER
	local name
	while IFS= read -r -d '' name; do
		echo "$name" >"$1/$name"
		mkdir "$1/folder of $name" 2>/dev/null || continue # too long
		ln -s -- "$name" "$1/folder of $name/link"
	done <"$names"
}

pair B A
make_all "$work/A"
settle A B
same A B
[ "$(find "$work/B" -path "$work/B/.tutti" -prune -o -type f -print0 | tr -cd '\0' | wc -c)" -gt 280 ] ||
	fail 'there are too few names'
cmp <(find "$work/A" -path "$work/A/.tutti" -prune -o -printf '%P\0' | sort -z) \
	<(find "$work/B" -path "$work/B/.tutti" -prune -o -printf '%P\0' | sort -z) ||
	fail 'names are not the same'
passed 'all names arrive as they are'

# Reserved names are nobody's, in any disguise; deeper down they are names as others.
mkdir "$work/A/.TUTTI" "$work/A/$(printf '.tut\xe2\x80\x8bti')" "$work/A/deeper" "$work/A/deeper/.tutti"
echo no >"$work/A/.TUTTI/no"
echo no >"$work/A/$(printf '.tut\xe2\x80\x8bti')/no"
ln -s /etc "$work/A/.Tutti"
echo yes >"$work/A/deeper/.tutti/yes"
await 'a name that is reserved elsewhere only' cmp "$work/A/deeper/.tutti/yes" "$work/B/deeper/.tutti/yes"
[ "$(find "$work/B" -maxdepth 1 -iname '.tu*' | wc -l)" -eq 1 ] || fail "$(ls -a "$work/B")"
rm -r "$work/A/.TUTTI" "$work/A/$(printf '.tut\xe2\x80\x8bti')" "$work/A/.Tutti"
passed 'reserved names stay where they are'

# Conflicts, errors, the trash, the history and the log have their share of them.
can_be_faulty B
stop_cleanly B
stop_cleanly A
while IFS= read -r -d '' name; do
	echo "A changed $name" >"$work/A/$name"
	echo "B changed $name" >"$work/B/$name"
done < <(head -z -n 60 "$names")
extra[A]='--log-level debug'
extra[B]='--log-level debug'
start A
fault B 'rename EACCES */folder of *' 'mkdir EACCES *:*'
start B
"$tutti" -s "$work/A.sock" watch >"$work/said-watch" 2>&1 &
pid[watch]=$!
"$tutti" -s "$work/A.sock" watch --json >"$work/said-watch-json" 2>&1 &
pid[watch-json]=$!
heard() { echo "$RANDOM" >"$work/A/heard" && [ -s "$work/said-watch" ] && [ -s "$work/said-watch-json" ]; }
await 'those who watch to hear something' heard
mkdir "$work/A/$(printf 'c:\e[31m\xe2\x80\xaed')"
echo late >"$work/A/$(printf 'late \e[31m \xc2\x9b \xe2\x80\xae')"
rm "$work/A/$(printf 'line\nline')" "$work/A/$(printf 'txt.\xe2\x80\xaeexe')"
late=$(printf 'late \e[31m \xc2\x9b \xe2\x80\xae')
await 'the last change' cmp "$work/A/$late" "$work/B/$late"
await 'B to have a problem' reason_at A B '[^"]*c:[^"]*' .
gone() { [ ! -e "$work/B/$(printf 'line\nline')" ]; }
await 'a deletion' gone
for command in list status peers conflicts trash history held; do
	ask A $command >"$work/said-$command" 2>&1 || :
	ask A $command --json >"$work/said-$command-json" 2>&1 || :
	ask B $command >"$work/said-B-$command" 2>&1 || :
done
for command in conflicts trash history list; do
	grep -q 'byte-\|line\|txt' "$work"/said*-$command || fail "$command says nothing: $(cat "$work"/said*-$command)"
done
ask A list "$late" >"$work/said-error" 2>&1 || :
ask A restore "$late" >>"$work/said-error" 2>&1 || :
"$tutti" -s "$work/$late" status >>"$work/said-error" 2>&1 || :
"$tutti" "$late" >>"$work/said-error" 2>&1 || :
"$tuttid" "$work/$late" >>"$work/said-error" 2>&1 || :
"$tuttid" -n "$late" "$work/B" >>"$work/said-error" 2>&1 || :
[ -s "$work/said-error" ] || fail 'no errors'
await 'watch to tell' grep -q late "$work/said-watch"
await 'watch to tell' grep -q late "$work/said-watch-json"
stop watch
stop watch-json
stop_cleanly A B

# Nothing but printable text and newlines, in UTF-8, without what hides or turns.
hidden=$(printf '\xc2[\x80-\x9f\xad]|\xd8\x9c|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf|\xf3\xa0')
judge() { # FILE
	local file=$1
	if LC_ALL=C grep -aqP '[\x00-\x08\x0b-\x1f\x7f]' "$file"; then
		fail "control characters: $(basename "$file"): $(LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]' "$file" | head -2 | cat -v)"
	fi
	iconv -f UTF-8 -t UTF-8 "$file" >/dev/null 2>&1 || fail "no UTF-8: $(basename "$file")"
	if LC_ALL=C grep -aqE "$hidden" "$file"; then
		fail "hidden characters: $(basename "$file"): $(LC_ALL=C grep -aE "$hidden" "$file" | head -2 | cat -v)"
	fi
	if LC_ALL=C grep -aq "$(printf '\xcc\x81\xcc\x81\xcc\x81\xcc\x81')" "$file"; then
		fail "a heap of accents: $(basename "$file")"
	fi
}
printf 'fine \xe2\x82\xac\n' >"$work/planted"
judge "$work/planted"
for bad in '\e[0m' '\x7f' '\xff' '\xc2\x9b' '\xe2\x80\xae' '\xe2\x80\x8b' '\xcc\x81\xcc\x81\xcc\x81\xcc\x81'; do
	printf "x$bad\n" >"$work/planted"
	! (fail() { exit 1; }; judge "$work/planted") || fail "not found: $bad"
done
for file in "$work"/said-* "$work"/A.err "$work"/B.err; do
	judge "$file"
done
passed "$(cat "$work"/said-* "$work"/A.err "$work"/B.err | wc -l) lines of output and logs are safe to show"
echo "$checks checks"
