#!/usr/bin/env bash
# The simulator's scenarios on real servers and a real disk: the same files, the same expectations. People's
# changes are made with the shell; who is to be apart is started without the others; a random number
# of steps is whatever happens meanwhile. Scenarios of what a shell cannot do are counted, and named.
#   e2e_scenarios.sh [SCENARIO...]
. "$(dirname "$0")/e2e_lib.sh"

names=() # of the servers in this scenario
declare -A open=() away=()

content() { # NUMBER
	local n=$1 i
	case $((n == 0 ? -1 : n % 5)) in
	-1) return ;;
	4) printf "$(printf '%07d' "$n")\n%.0s" $(seq 2500) ;;
	3) printf '%07d\n%07d\n' "$n" "$n" ;;
	*) printf '%07d\n' "$n" ;;
	esac
}

# ---- who is connected with whom ----

start_all() { # together or apart
	local i name
	for name in "${names[@]}"; do
		[ -z "${pid[$name]-}" ] || stop_cleanly "$name"
	done
	for i in "${!names[@]}"; do
		name=${names[i]}
		[ -z "${away[$name]-}" ] || continue # it would not start without its directory
		peers[$name]=
		[ "$1" = apart ] || [ "$i" -eq 0 ] || peers[$name]=${names[i - 1]}
		start "$name"
	done
	shape=$1
	[ "$1" = apart ] || [ ${#away[@]} -gt 0 ] || await_connections
}

await_connections() {
	local i
	for ((i = 1; i < ${#names[@]}; i++)); do
		await "${names[i]} to be connected" connected "${names[i]}" "${names[i - 1]}"
	done
}

rest() {
	local name
	for name in "${names[@]}"; do
		[ -n "${away[$name]-}" ] || await "$name to rest" at_rest "$name"
	done
}

# Nothing is looked at or wanted that could be had.
at_rest() { # NAME
	ask "$1" wait --timeout 1
}

# ---- operations ----

# Until what is done now is later than what was done last, as this file system counts.
later() {
	until touch "$work/now" && [ "$work/now" -nt "$work/last" ]; do :; done
}

write_to() { # PATH CONTENT: in place
	[ ! -d "$1" ] && [ ! -L "$1" ] || return 0
	content "$2" >"$1"
}

save_to() { # PATH CONTENT [KEEP-TIME-OF]
	[ ! -d "$1" ] || return 0
	local new=$work/new-$RANDOM
	content "$2" >"$new"
	[ $# -lt 3 ] || touch -r "$3" "$new"
	if [ -f "$1" ] && [ ! -L "$1" ]; then
		chmod --reference="$1" "$new"
	fi
	mv -fT "$new" "$1"
}

copy_of() { # ROOT NTH: the path of a conflict copy
	(cd "$1" && find . -name '*.conflict-*' -printf '%P\n' | sort | sed -n "${2}p")
}

count_copies() { # ROOT PATH CONTENT
	local stem=${2%%.*} n=0 f
	for f in "$1/$stem".conflict-*; do
		shows "$f" "$3" && n=$((n + 1))
	done
	echo "$n"
}

shows() { # FILE CONTENT
	if [ -L "$1" ]; then
		[ "$(readlink "$1")" = "to-$2" ]
	else
		[ -f "$1" ] && cmp -s "$1" <(content "$2")
	fi
}

objects() { # ROOT
	find "$1" -mindepth 1 -path "$1/.tutti" -prune -o -mindepth 1 -print | wc -l
}

expect() { # WORD AT PATH REST
	local word=$1 root=$work/$2 path=${3-} what=${4-}
	case $word in
	expect) shows "$root/$path" "${what#c}" || fail "$scenario: $path on $2 does not show $what" ;;
	absent) [ ! -e "$root/$path" ] && [ ! -L "$root/$path" ] || fail "$scenario: $path is on $2" ;;
	folder) [ -d "$root/$path" ] || fail "$scenario: $path on $2 is no folder" ;;
	mode) [ "$(stat -c %a "$root/$path")" = "$what" ] || fail "$scenario: mode of $path on $2" ;;
	copyof) [ "$(count_copies "$root" "$path" "${what#c}")" -eq 1 ] ||
		fail "$scenario: $2 has no copy of $path with $what" ;;
	objects) [ "$(objects "$root")" -eq "$path" ] ||
		fail "$scenario: $2 has $(objects "$root") objects: $(ls -R "$root")" ;;
	esac
}

change() { # WORD AT PATH REST
	local word=$1 root=$work/$2 path=$3 what=${4-} fd
	[ -z "${away[$2]-}" ] || return 0
	case $path in '~'*) path=$(copy_of "$root" "${path#?}") ;; esac
	local file=$root/$path
	later
	case $word in
	write) write_to "$file" "${what#c}" ;;
	save) save_to "$file" "${what#c}" ;;
	same) save_to "$file" "${what#c}" "$file" ;;
	old) save_to "$file" "${what#c}" && touch -d '2001-01-01' "$file" ;;
	begin)
		exec {fd}<>"$file"
		open[$2/$path]=$fd
		content "${what#c}" >&"$fd"
		;;
	end)
		fd=${open[$2/$path]}
		exec {fd}>&-
		unset "open[$2/$path]"
		;;
	touch) touch "$file" ;;
	back) touch -d '2001-01-01' "$file" ;;
	chmod) chmod "$what" "$file" ;;
	mkdir) mkdir "$file" ;;
	link) ln -sfT "to-${what#c}" "$file" ;;
	rename) mv -T "$file" "$root/$what" ;;
	swap) "$TUTTI_BUILD/tests/odd_writer" swap "$file" "$root/$what" 1 ;;
	remove) rm -r "$file" ;;
	recreate) rm "$file" && content "${what#c}" >"$file" ;;
	copy) cp "$file" "$root/$what" ;;
	todir) rm "$file" && mkdir "$file" ;;
	pipe) mkfifo "$file" ;;
	esac
	touch "$work/last"
}

machine() { # WORD AT
	local name=$2
	case $1 in
	kill)
		stop "$name" KILL
		[ -n "${away[$name]-}" ] || start "$name"
		;;
	lose) stop "$name" KILL && rm -r "$work/state-$name" && start "$name" ;;
	snapshot) stop_cleanly "$name" && cp -a "$work/state-$name" "$work/snapshot-$name" && start "$name" ;;
	rollback)
		stop "$name" KILL
		rm -r "$work/state-$name"
		mv "$work/snapshot-$name" "$work/state-$name"
		start "$name"
		;;
	unmount) mv "$work/$name" "$work/away-$name" && away[$name]=yes ;;
	mount)
		[ -n "${away[$name]-}" ] || return 0
		mv "$work/away-$name" "$work/$name"
		unset "away[$name]"
		[ -n "${pid[$name]-}" ] || start "$name"
		;;
	walk) [ -n "${away[$name]-}" ] || ask "$name" resync >"$work/resync.out" ;;
	esac
}

finish() {
	local name
	for name in "${!open[@]}"; do
		local fd=${open[$name]}
		exec {fd}>&-
		unset "open[$name]"
	done
	for name in "${names[@]}"; do
		machine mount "$name"
	done
	[ "$shape" = together ] || start_all together
	await_connections
	settle_confirming "${names[@]}"
}

# Is all of it something that this script can do?
playable() { # FILE
	! grep -qE '^(mmap|power|stall|flow|clock|coarse|deaf|fail|full|picky|evil|pass|cut|connect|decide|held|forget) ' "$1" &&
		! grep -qE '^[a-z]+ .*#[0-9]' "$1"
}

play() { # FILE
	local word at rest i name line each
	scenario=$(basename "$1" .scn)
	read -r _ i _ < <(grep '^replicas ' "$1")
	names=()
	for ((; i > 0; i--)); do
		names=("$(printf "\\$(printf %o $((64 + i)))")" "${names[@]}")
		rm -rf "$work/${names[0]}" "$work/state-${names[0]}"
	done
	start_all apart
	while read -r line; do
		line=${line%% # *}
		read -r word at rest <<<"$line"
		[ "$at" != Z ] || at=${names[-1]}
		each=("$at")
		[ "$at" != '*' ] || each=("${names[@]}")
		case $word in
		'' | '#'* | replicas | run) ;;
		join) start_all together ;;
		apart) start_all apart ;;
		quiet) rest ;;
		settle) finish ;;
		kill | lose | snapshot | rollback | unmount | mount | walk)
			for name in "${each[@]}"; do
				machine "$word" "$name"
			done
			;;
		expect | absent | folder | mode | copyof | objects)
			for name in "${each[@]}"; do
				# shellcheck disable=SC2086 # words
				expect "$word" "$name" $rest
			done
			;;
		# shellcheck disable=SC2086 # words
		*) change "$word" "$at" $rest ;;
		esac
	done <"$1"
	stop_cleanly "${names[@]}"
	passed "$scenario"
}

files=("$@")
[ $# -gt 0 ] || files=("$TUTTI_SOURCE"/tests/sim/scenarios/*.scn)
left_out=()
for file in "${files[@]}"; do
	if playable "$file"; then
		play "$file"
	else
		left_out+=("$(basename "$file" .scn)")
	fi
done
echo "$checks scenarios on real servers; only in the simulator: ${left_out[*]:-none}"
