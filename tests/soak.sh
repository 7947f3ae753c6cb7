#!/usr/bin/env bash
# Random work on three servers for a while, in every way that programs save, beside servers that are killed
# every few seconds, stopped, held, cut off, and whose system calls fail. Now and then all is let go on, and
# deletions that are held are decided, as a person would. When then each server in turn has said that all is
# in sync, all three must be the same at that moment, and no content may be missing that nobody replaced or
# deleted.
#	make soak SECONDS=1800 [SEED=n]       or tests/soak.sh SECONDS [SEED]
# With TREE=DIR in the environment, A starts with a copy of that folder, and half of the changes hit it. With
# KEEP=DIR, all that a failure leaves is copied there, logs included.
#
# The oracle asks no server. Each content is a line that is unlike all others, noted in `written`. What
# somebody deletes is moved out of the directory, and what somebody overwrites is read by who does it, so
# `let-go` has exactly the lines that were replaced or deleted: all others must be there in the end.
. "$(dirname "$0")/e2e_lib.sh"
DEADLINE=${E2E_DEADLINE:-120}

duration=${1:-60}
seed=${2:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
echo "$duration s, seed $seed"
at_end() {
	[ "$result" -eq 0 ] || echo "again: make soak SECONDS=$duration SEED=$seed (what happens when is left to chance)"
	[ "$result" -eq 0 ] || [ -z "${KEEP-}" ] || cp -a "$work" "$KEEP"
}
odd_writer=$TUTTI_BUILD/tests/odd_writer
[ -x "$odd_writer" ] || fail "build tests/odd_writer first"

names=(one two three four five six)
pick() { picked=${names[RANDOM % ${#names[@]}]}; }
real=() # paths of the copied tree
somewhere() { # a path of one to three components, or one of the real tree, in $path
	local i depth=$((RANDOM % 3))
	if [ ${#real[@]} -gt 0 ] && ((RANDOM % 2)); then
		path=real/${real[(RANDOM * 32768 + RANDOM) % ${#real[@]}]}
		return
	fi
	pick
	path=$picked
	for ((i = 0; i < depth; i++)); do
		pick
		path+=/$picked
	done
}

serial=0 dropped=0
mkdir "$work/gone"
: >"$work/written"
: >"$work/let-go"
: >"$work/conflicts"
next_text() {
	serial=$((serial + 1))
	text="content $serial of seed $seed"
}
wrote() { echo "$text" >>"$work/written"; }
fresh() { # FILE: that is not there yet
	next_text
	(set -C && echo "$text" >"$1") && wrote
}
drop() { # PATH: as rm -r would, but what it was is known
	dropped=$((dropped + 1))
	mv -T "$1" "$work/gone/$dropped"
}
in_place() { # FILE
	next_text
	"$odd_writer" edit "$1" "$work/gone/edits" "$text" && wrote
}
over() { # FILE: by a rename
	next_text
	echo "$text" >"$1.new-$serial" && wrote && "$odd_writer" swap "$1.new-$serial" "$1" 1 &&
		drop "$1.new-$serial"
}

# Most of them fail at times: a folder is where a file should be, or nothing at all. That is fine.
declare -A done_so_far=()
count() { # WHAT
	done_so_far[$1]=$((${done_so_far[$1]-0} + 1))
}
operations=(create create create append append over over in_place in_place drop drop move move folder
	no_folder link bits date large copy backup_and_write delete_and_create move_and_create log swap)
operation() { # ROOT
	local a b i what=${operations[RANDOM % ${#operations[@]}]}
	somewhere
	a=$1/$path
	somewhere
	b=$1/$path
	case $what in
	create) mkdir -p "${a%/*}" && fresh "$a" ;;
	append) [ -f "$a" ] && next_text && echo "$text" >>"$a" && wrote ;;
	over) [ -f "$a" ] && over "$a" ;;
	in_place) in_place "$a" ;;
	drop) [ -d "$a" ] && ((RANDOM % 5)) || drop "$a" ;;
	move) mkdir -p "${b%/*}" && mv -nT "$a" "$b" ;;
	folder) mkdir -p "$a" ;;
	no_folder) rmdir "$a" ;;
	link) pick && ln -s "$picked" "$a" ;;
	bits) chmod "$((RANDOM % 2 ? 644 : 755))" "$a" ;;
	date) touch -c -d "@$((RANDOM * 40000))" "$a" ;;
	large)
		next_text
		i=$((RANDOM * 2))
		mkdir -p "${a%/*}" && (set -C && yes "$text" | head -n "$i" >"$a") && [ "$i" -gt 0 ] && wrote
		;;
	copy) cp -nT "$a" "$b" ;;
	backup_and_write) cp -nT "$a" "$a~$RANDOM" && in_place "$a" ;;
	delete_and_create) [ -f "$a" ] && drop "$a" && fresh "$a" ;;
	move_and_create) [ -f "$a" ] && mv -nT "$a" "$a~$RANDOM" && fresh "$a" ;;
	log)
		for i in 1 2 3 4 5; do
			[ -f "$a" ] && next_text && echo "$text" >>"$a" && wrote
		done
		;;
	swap) "$odd_writer" swap "$a" "$b" 1 ;;
	esac || return 0
	count "$what"
} 2>/dev/null

# One line each: what the system does for a while.
troubles=(
	'write ENOSPC */.tutti/tmp/*'
	'write EDQUOT */.tutti/tmp/* 20'
	'write ENOSPC */state-*'
	'read EIO */one*'
	'open EMFILE */t*'
	'open EACCES */three'
	'readdir EIO *'
	'stat EIO */four*'
	'fsync EIO */.tutti/tmp/* 30'
	'syncfs EIO * 3'
	'rename EIO */five 5'
	'rename ENOSPC *'
	'unlink EROFS *'
	'mkdir EPERM */six'
	'watch ENOSPC *'
	'accept EMFILE'
	'fsync +50'
	'clock +86400'
	'clock -86400'
)
disturb() { # NAME
	local what rule i
	case $((RANDOM % 8)) in
	0)
		what=stopped
		stop "$1"
		[ "$status" -eq 0 ] || fail "$1 ended with $status"
		operate 20
		start "$1"
		;;
	1 | 2 | 3 | 4)
		what=killed
		stop "$1" KILL
		((RANDOM % 2)) || operate 20
		start "$1"
		;;
	5)
		what=held
		kill -STOP "${pid[$1]}"
		operate 60
		kill -CONT "${pid[$1]}"
		;;
	*)
		rule=${troubles[RANDOM % ${#troubles[@]}]}
		what="with ${rule%% /*}"
		fault "$1" "$rule"
		operate 60
		# A server that cannot store must not be asked to end in order.
		if ! ((RANDOM % 2)); then
			count killed
			stop "$1" KILL
			fault "$1"
			start "$1"
		fi
		fault "$1"
		;;
	esac
	troubled=$((troubled + 1))
	count "$what"
}

operate() { # NUMBER
	local n name
	for ((n = $1; n > 0; n--)); do
		name=${servers[RANDOM % 3]}
		operation "$work/$name"
	done
}

if [ -n "${TREE:-}" ]; then
	mkdir -p "$work/A"
	cp -a "$TREE" "$work/A/real"
	mapfile -t real < <(cd "$work/A/real" && find . -mindepth 1 -printf '%P\n')
	echo "a real tree of ${#real[@]} names"
fi
servers=(A B C)
extra[A]='--log-level debug' extra[B]=${extra[A]} extra[C]=${extra[A]}
can_be_faulty A B C
start B
peers[A]=B peers[C]='B A'
start A
start C
rounds=0 troubled=0 compared=0
end=$((SECONDS + duration))
all_same() { is_same A B && is_same B C; }
knows_all() {
	[ "$(ask "$1" peers --json | grep -c '"state":"connected"')" -ge 1 ] &&
		! ask "$1" status --json | grep -q '"state":"offline"'
}
lines_below() { # FOLDER
	find "$1" -name .tutti -prune -o -type f -print0 | xargs -0r grep -ahx 'content [0-9]* of seed [0-9]*' | sort -u
}
# The word on all that is held, as somebody gives it who mostly meant it. Fails if there was nothing to say.
decided=0
decide_all() {
	local name id word any=1
	for name in A B C; do
		for id in $(ask "$name" held --json | sed 's/^{"id":"\([0-9a-f]*\)".*/\1/'); do
			decided=$((decided + 1)) any=0
			word=delete
			((decided % 4)) || word=keep
			if ask "$name" held "$word" "$id" >/dev/null 2>&1; then
				count "held deletions: $word"
			fi
		done
	done
	return $any
}
all_say_in_sync() {
	local name
	decide_all && return 1
	for name in A B C; do
		ask "$name" wait --timeout 0.5 || return 1
	done
}
explain() {
	local name
	for name in A B C; do
		ask "$name" status
		ask "$name" list --json | grep -v '"state":"synced"' || :
	done >&9
}
watches_all() { # NAME: a folder that could not be watched is walked each minute, and that is said
	! ask "$1" status --json | grep -q 'max_user_watches'
}
compare() {
	local name end
	for name in A B C; do
		await "$name to know the others" knows_all "$name"
		await "$name to watch all again" watches_all "$name"
	done
	end=$((SECONDS + DEADLINE))
	until all_say_in_sync >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || {
			explain
			diff -u <(picture "$work/A") <(picture "$work/B") >&9 || :
			diff -u <(picture "$work/B") <(picture "$work/C") >&9 || :
			fail "not in sync after $DEADLINE s"
		}
		sleep 0.1
	done
	all_same || {
		explain
		diff -u <(picture "$work/A") <(picture "$work/B") >&9 || :
		diff -u <(picture "$work/B") <(picture "$work/C") >&9 || :
		end=$((SECONDS + DEADLINE / 4))
		until all_same; do
			[ "$SECONDS" -lt "$end" ] || fail "all said that they are in sync, and are not"
			sleep 0.1
		done
		fail "all said that they are in sync too early: only now they are"
	}
	find "$work/A" -name '*.conflict-*' ! -path '*/.tutti/*' -printf '%P\n' | sort -u - "$work/conflicts" >"$work/conflicts.new"
	mv "$work/conflicts.new" "$work/conflicts"
	{
		cat "$work/let-go"
		lines_below "$work/gone" || :
	} | sort -u >"$work/let-go.new"
	mv "$work/let-go.new" "$work/let-go"
	rm -rf "$work/gone"
	mkdir "$work/gone"
	lines_below "$work/A" >"$work/there" || :
	sort -u "$work/written" | comm -23 - "$work/let-go" >"$work/want"
	comm -23 "$work/want" "$work/there" >"$work/lost"
	[ ! -s "$work/lost" ] || {
		grep -rlxaFf "$work/lost" "$work"/?/.tutti >&9 || :
		fail "lost: $(cat "$work/lost")"
	}
	compared=$((compared + 1))
}

while [ "$SECONDS" -lt "$end" ]; do
	rounds=$((rounds + 1))
	operate $((RANDOM % 100))
	((RANDOM % 3)) || disturb "${servers[RANDOM % 3]}"
	if ! ((rounds % 20)); then
		compare
		# What is moved to one place here and to another there is in both: now and then somebody clears up.
		for name in $(shuf -e "${names[@]}" --random-source=<(yes "$RANDOM")); do
			[ "$(find "$work/A" -name .tutti -prune -o -print | wc -l)" -ge 2000 ] || break
			drop "$work/A/$name" && count 'cleared up'
		done 2>/dev/null
		for name in A B C; do
			read -r _ _ rss _ <<<"$(grep VmRSS "/proc/${pid[$name]}/status" | sed 's/VmRSS/x x/')"
			printf '%s %s ' "$name" "${rss:-?} kB"
			printf '%s descriptors; ' "$(find "/proc/${pid[$name]}/fd" | wc -l)"
		done
		echo "round $rounds: all the same, $(wc -l <"$work/want") contents to be kept of" \
			"$(wc -l <"$work/written"), $(find "$work/A" | wc -l) names"
	fi
done
compare
stop_cleanly A B C
for what in "${!done_so_far[@]}"; do
	echo "${done_so_far[$what]} $what"
done | sort -rn
kept=$(wc -l <"$work/want")
[ "$kept" -gt 0 ] || fail 'nothing was there that could have been lost'
[ "${done_so_far[killed]-0}" -gt 0 ] || [ "$duration" -lt 60 ] || fail 'nobody was killed'
echo "seed $seed, $SECONDS s: $rounds rounds, $troubled times something was in the way (${done_so_far[killed]-0} times kill -9)," \
	"$(wc -l <"$work/conflicts") conflict copies, $decided times deletions were decided," \
	"$(wc -l <"$work/written") contents, $kept of them to be kept; $compared times all the same and all there"
