#!/usr/bin/env bash
# Random changes on three servers for a while, now and then with a server that is stopped, killed or
# held; then all three must be the same, and no content that was to be kept may be missing.
#	make soak SECONDS=1800 [SEED=n]       or tests/soak.sh SECONDS [SEED]
# With TREE=DIR in the environment, A starts with a copy of that folder, and half of the changes hit it.
. "$(dirname "$0")/e2e_lib.sh"
DEADLINE=${E2E_DEADLINE:-120}

duration=${1:-60}
seed=${2:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
echo "$duration s, seed $seed"

names=(one two three four five six)
pick() { echo "${names[RANDOM % ${#names[@]}]}"; }
real=() # paths of the copied tree
somewhere() { # a path of one to three components, or one of the real tree
	local path i depth=$((RANDOM % 3))
	if [ ${#real[@]} -gt 0 ] && ((RANDOM % 2)); then
		echo "real/${real[(RANDOM * 32768 + RANDOM) % ${#real[@]}]}"
		return
	fi
	path=$(pick)
	for ((i = 0; i < depth; i++)); do
		path+=/$(pick)
	done
	echo "$path"
}

serial=0
content() { # every one is unlike all others
	serial=$((serial + 1))
	echo "content $serial of seed $seed $RANDOM"
}

# Most of them fail at times: a folder is where a file should be, or nothing at all. That is fine.
operation() { # ROOT
	local root=$1 a b
	a=$root/$(somewhere)
	b=$root/$(somewhere)
	case $((RANDOM % 16)) in
	0 | 1 | 2) mkdir -p "${a%/*}" && content >"$a" ;;
	3) content >>"$a" ;;
	4) content >"$a.new" && mv -T "$a.new" "$a" ;;
	5) rm -f "$a" ;;
	6) rm -rf "$a" ;;
	7) mv -T "$a" "$b" ;;
	8) mkdir -p "$a" ;;
	9) rmdir "$a" ;;
	10) ln -sfn "$(pick)" "$a" ;;
	11) chmod "$((RANDOM % 2 ? 644 : 755))" "$a" ;;
	12) touch "$a" ;;
	13) mkdir -p "${a%/*}" && head -c $((RANDOM * 40)) /dev/urandom >"$a" ;;
	14) cp "$a" "$b" ;;
	15) printf x | dd of="$a" bs=1 seek=$((RANDOM % 100)) conv=notrunc status=none ;;
	esac
} 2>/dev/null

kept=0
keep() { # NAME: a file that nobody touches again, where nobody deletes
	kept=$((kept + 1))
	mkdir -p "$work/$1/kept/$((kept % 7))"
	content | tee "$work/$1/kept/$((kept % 7))/$kept" >>"$work/all-kept"
}

disturb() { # NAME
	case $((RANDOM % 3)) in
	0)
		stop "$1"
		[ "$status" -eq 0 ] || fail "$1 ended with $status"
		start "$1"
		;;
	1)
		stop "$1" KILL
		start "$1"
		;;
	2)
		kill -STOP "${pid[$1]}"
		for ((i = 0; i < 30; i++)); do operation "$work/$1" || :; done
		kill -CONT "${pid[$1]}"
		;;
	esac
}

if [ -n "${TREE:-}" ]; then
	mkdir -p "$work/A"
	cp -a "$TREE" "$work/A/real"
	mapfile -t real < <(cd "$work/A/real" && find . -mindepth 1 -printf '%P\n' | grep -v '^kept')
	echo "a real tree of ${#real[@]} names"
fi
start B
peers[A]=B peers[C]='B A'
start A
start C
rounds=0
end=$((SECONDS + duration))
all_same() { is_same A B && is_same B C; }
compare() {
	for name in A B C; do
		await "$name to know the others" knows_all "$name"
	done
	settle A B C
	await 'all to be the same' all_same
	same A B C
	sort "$work/all-kept" >"$work/want"
	find "$work/A/kept" -type f -exec cat '{}' + | sort >"$work/have"
	[ -z "$(comm -23 "$work/want" "$work/have")" ] || fail "lost: $(comm -23 "$work/want" "$work/have")"
}
knows_all() {
	[ "$(ask "$1" peers --json | grep -c '"state":"connected"')" -ge 1 ] &&
		! ask "$1" status --json | grep -q '"state":"offline"'
}

while [ "$SECONDS" -lt "$end" ]; do
	rounds=$((rounds + 1))
	for ((n = RANDOM % 100; n > 0; n--)); do
		set -- A B C
		shift $((RANDOM % 3))
		operation "$work/$1" || :
		((RANDOM % 10)) || keep "$1"
	done
	if ! ((rounds % 5)); then
		set -- A B C
		shift $((RANDOM % 3))
		disturb "$1"
	fi
	if ! ((rounds % 20)); then
		compare
		for name in A B C; do
			read -r _ _ rss _ <<<"$(grep VmRSS "/proc/${pid[$name]}/status" | sed 's/VmRSS/x x/')"
			printf '%s %s ' "$name" "${rss:-?} kB"
			printf '%s descriptors; ' "$(find "/proc/${pid[$name]}/fd" | wc -l)"
		done
		echo "round $rounds: all the same, $kept files kept, $(find "$work/A" | wc -l) names"
	fi
done
compare
stop_cleanly A B C
echo "$rounds rounds, $serial contents, all the same"
