# Owns what the end-to-end tests share: real servers on loopback in a scratch folder of their own,
# awaiting conditions with a deadline, and comparing directories. Sourced by tests/e2e_*.sh.
set -euo pipefail
export LC_ALL=C.UTF-8
unset TUTTI_SERVER NOTIFY_SOCKET JOURNAL_STREAM || :

: "${TUTTI_BUILD:=.}"
exec 9>&2 # where failures are told, whatever is hidden
tuttid=$TUTTI_BUILD/tuttid
tutti=$TUTTI_BUILD/tutti
DEADLINE=${E2E_DEADLINE:-30} # seconds that anything may take

work=$(mktemp -d "${TMPDIR:-/tmp}/tutti-e2e.XXXXXX")
export XDG_RUNTIME_DIR=$work/run XDG_STATE_HOME=$work/home
mkdir "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME"
declare -A pid=() port=() peers=() extra=() via=() identity=()
checks=0

at_end() { :; } # for what a test must take away itself

clean_up() {
	local result=$? name
	trap - EXIT
	for name in "${!pid[@]}"; do
		kill -KILL "${pid[$name]}" 2>/dev/null || :
		wait "${pid[$name]}" 2>/dev/null || :
	done
	if [ "$result" -ne 0 ]; then
		for name in "$work"/*.err; do
			[ -s "$name" ] || continue
			echo "--- the end of $(basename "$name")"
			tail -n 40 "$name"
		done >&9
	fi
	at_end
	chmod -R u+rwx "$work" 2>/dev/null || :
	rm -rf "$work"
	exit "$result"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "FAILED: $*" >&9
	exit 1
}

passed() { # WHAT
	checks=$((checks + 1))
	echo "ok: $*"
}

# Until COMMAND succeeds; fails after the deadline.
await() { # WHAT COMMAND...
	local what=$1 end=$((SECONDS + DEADLINE))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || fail "waited $DEADLINE s in vain for: $what"
		sleep 0.03
	done
}

# Starts server NAME on the directory $work/NAME, with what stands in peers[NAME] and extra[NAME], by
# way of the command via[NAME], if there is one, which ends in exec "$@".
# A server that is started again has the port that it had. All that were ever started trust each
# other; with E2E_PLAIN=1 they do not encrypt, and ask nobody for a key.
start() { # NAME
	local name=$1 peer arguments=()
	mkdir -p "$work/$name"
	if [ -n "${E2E_PLAIN-}" ]; then
		arguments+=(--plain)
	else
		introduce "$name"
		for peer in "${!identity[@]}"; do
			[ "$peer" = "$name" ] || arguments+=(-p "${identity[$peer]}")
		done
	fi
	for peer in ${peers[$name]-}; do
		arguments+=(-p "${identity[$peer]:+${identity[$peer]}@}127.0.0.1:${port[$peer]-$peer}")
	done
	# shellcheck disable=SC2206 # words
	arguments+=(${extra[$name]-})
	: >"$work/$name.out"
	# shellcheck disable=SC2086 # words
	${via[$name]-} "$tuttid" -n "$name" -l "127.0.0.1:${port[$name]-0}" -s "$work/state-$name" \
		--socket "$work/$name.sock" "${arguments[@]}" "$work/$name" \
		>"$work/$name.out" 2>>"$work/$name.err" &
	pid[$name]=$!
	await "$name to be ready" is_ready "$name"
	port[$name]=$(sed -n 's/^ready .*:\([0-9]*\)$/\1/p' "$work/$name.out")
}

# Both run, and are in sync.
pair() { # NAME THE-ONE-THAT-IT-CALLS
	start "$2"
	peers[$1]=$2
	start "$1"
	settle "$1" "$2"
}

# The servers that run are told of NAME's key before it calls them.
introduce() { # NAME
	local other now
	# shellcheck disable=SC2086 # words
	now=$(${via[$1]-} "$tuttid" id -s "$work/state-$1") || fail "$1 has no key"
	[ "${identity[$1]-}" != "$now" ] || return 0
	identity[$1]=$now
	for other in "${!identity[@]}"; do
		[ "$other" != "$1" ] && [ -n "${pid[$other]-}" ] || continue
		ask "$other" trust "$now" >/dev/null || fail "$other does not trust $1"
	done
}

is_ready() { # NAME
	kill -0 "${pid[$1]}" || fail "$1 did not start"
	grep -q '^ready ' "$work/$1.out"
}

# Ends a server; its exit status is in $status.
stop() { # NAME [SIGNAL]
	kill "-${2-TERM}" "${pid[$1]}"
	status=0
	wait "${pid[$1]}" 2>/dev/null || status=$?
	unset "pid[$1]"
}

stop_cleanly() { # NAME...
	local name
	for name in "$@"; do
		stop "$name"
		[ "$status" -eq 0 ] || fail "$name ended with $status"
	done
}

# What it says is whole before the first line of it is handed on: a reader such as grep -q, which stops at
# what it looked for, does not make the command fail.
ask() { # NAME COMMAND...
	local name=$1 said status=0
	shift
	said=$("$tutti" -s "$work/$name.sock" "$@") || status=$?
	[ -z "$said" ] || (trap '' PIPE && printf '%s\n' "$said" 2>/dev/null) || :
	return "$status"
}

is_dead() { # NAME
	! kill -0 "${pid[$1]}" 2>/dev/null
}

# All that NAME knows is everywhere that is connected.
settle() { # NAME...
	local name
	for name in "$@"; do
		ask "$name" wait --timeout "$DEADLINE" || fail "$name does not come in sync: $(ask "$name" status)"
	done
}

# The word on all deletions that NAME holds. A set that has changed meanwhile is for the next time.
decide() { # NAME delete|keep
	local id
	for id in $(ask "$1" held --json | sed 's/^{"id":"\([0-9a-f]*\)".*/\1/'); do
		ask "$1" held "$2" "$id" || :
	done
}

# As settle, by somebody who confirms whatever deletions are held.
settle_confirming() { # NAME...
	await "$* to be in sync" confirmed_and_in_sync "$@"
}

confirmed_and_in_sync() { # NAME...
	local name
	for name in "$@"; do
		decide "$name" delete
	done
	for name in "$@"; do
		ask "$name" wait --timeout 0.2 || return 1
	done
}

connected() { # NAME OTHER
	ask "$1" peers --json | grep -q "\"name\":\"$2\".*\"state\":\"connected\""
}

# Everything in a directory but times: kinds, permissions, sizes, links, contents.
picture() { # FOLDER
	(
		cd "$1"
		find . -path ./.tutti -prune -o -type d -printf 'd %m %P\n' -o -type l -printf 'l %l %P\n' \
			-o -printf '%y %m %s %P\n'
		find . -path ./.tutti -prune -o -type f -print0 | xargs -0r sha256sum
	) | sort
}

# The times of files and links, to the nanosecond.
times() { # FOLDER
	(cd "$1" && find . -path ./.tutti -prune -o ! -type d -printf '%T@ %P\n') | sort
}

same() { # NAME NAME...
	local first=$1 name
	picture "$work/$first" >"$work/picture-$first"
	for name in "${@:2}"; do
		picture "$work/$name" >"$work/picture-$name"
		diff -u "$work/picture-$first" "$work/picture-$name" ||
			fail "$first and $name are not the same"
	done
}

is_same() { # NAME NAME
	cmp -s <(picture "$work/$1") <(picture "$work/$2")
}

# Bytes that NAME has received from OTHER, over the connection that is up.
bytes_in() { # NAME OTHER
	ask "$1" peers --json | grep "\"name\":\"$2\"" | sed 's/.*"in":\([0-9]*\).*/\1/' | head -1
}

# ---- faults -------------------------------------------------------------------------------
# For via[NAME]='faulty NAME': the server runs on tests/fault_shim.c.
faulty() { # NAME COMMAND...
	export FAULTS=$work/faults-$1
	export LD_PRELOAD=$work/fault_shim.so ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0
	exec "${@:2}"
}

# For via[NAME]='fast 30 NAME': likewise, and 30 s of its time pass in one.
fast() { # TIMES NAME COMMAND...
	export FAULT_SPEED=$1
	faulty "${@:2}"
}

can_be_faulty() { # NAME...
	local name
	[ -e "$work/fault_shim.so" ] || ${CC:-cc} -shared -fPIC -D_GNU_SOURCE -o "$work/fault_shim.so" \
		"$TUTTI_SOURCE/tests/fault_shim.c" -ldl
	for name in "$@"; do
		mkdir -p "$work/faults-$name"
		via[$name]="faulty $name"
	done
}

# From now on these rules of fault_shim.c hold for NAME, and no others.
fault() { # NAME RULE...
	[ $# -eq 1 ] || printf '%s\n' "${@:2}" >"$work/faults-$1/new"
	[ $# -ne 1 ] || : >"$work/faults-$1/new"
	mv "$work/faults-$1/new" "$work/faults-$1/rules"
}

# Does NAME's status have that in its JSON?
note() { # NAME REGEX
	ask "$1" status --json | grep -q "$2"
}

# Does NAME say that at PATH (a regular expression) on REPLICA something is wrong, in such words?
reason_at() { # NAME REPLICA PATH REGEX
	ask "$1" status --json |
		grep -Eq "\"path\":\"$3\",\"replica\":\"$2\",\"reason\":\"[^\"]*$4"
}

# The state of PATH's row, as NAME sees it.
row_state() { # NAME PATH
	ask "$1" list --json | grep -F "\"path\":\"$2\"" | sed 's/.*"state":"\([^"]*\)".*/\1/'
}

has_state() { # NAME PATH STATE
	[ "$(row_state "$1" "$2")" = "$3" ]
}

# Processor time that NAME has used, in hundredths of a second.
worked() { # NAME
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/${pid[$1]}/stat"
}

random_files() { # N SIZE NEW-FOLDER: 1 to N
	local i
	mkdir -p "$3"
	for ((i = 1; i <= $1; i++)); do
		random_file "$2" "$3/$i"
	done
}

random_file() { # SIZE FILE
	head -c "$1" /dev/urandom >"$2"
}
