# Owns the benchmarks of whole servers: two tuttid on loopback, and rsync with its daemon beside them
# in the same run. Usage: bench.sh [WORK...], see `works` below; a table goes to stdout.
#
#	TUTTI_BUILD  where tuttid, tutti and tests/bench/bench_probe are (.)
#	BENCH_SCALE  percent of the full sizes (100)
#	BENCH_REPS   repetitions of what is quick to repeat (3)
#	TMPDIR       where the trees are made: 8 GiB at full size
set -euo pipefail
export LC_ALL=C.UTF-8
unset TUTTI_SERVER NOTIFY_SOCKET JOURNAL_STREAM || :

works=(latency small big insert burst rename large)
budget() { # WORK
	case $1 in
	latency) echo '5 ms, 99 % 30 ms' ;;
	small | big | insert) echo 'as rsync' ;;
	burst) echo '1 s' ;;
	rename) echo '0.2 s' ;;
	restart) echo '0.3 s' ;;
	resync) echo 'half of rsync' ;;
	memory*) echo '256 B' ;;
	wire) echo '0.5 MiB' ;;
	esac
}

: "${TUTTI_BUILD:=.}"
tuttid=$TUTTI_BUILD/tuttid
tutti=$TUTTI_BUILD/tutti
probe=$TUTTI_BUILD/tests/bench/bench_probe
scale=${BENCH_SCALE-100}
reps=${BENCH_REPS-3}

work=$(mktemp -d "${TMPDIR:-/tmp}/tutti-bench.XXXXXX")
declare -A pid=() port=()
out=()
export XDG_STATE_HOME=$work/home

clean_up() {
	local result=$? name
	trap - EXIT
	for name in "${!pid[@]}"; do
		kill -KILL "${pid[$name]}" 2>/dev/null || :
		wait "${pid[$name]}" 2>/dev/null || :
	done
	if [ "$result" -ne 0 ]; then
		tail -n 20 "$work"/*.err >&2 2>/dev/null || :
	fi
	rm -rf "$work"
	exit "$result"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

scaled() { # NUMBER MINIMUM
	local n=$(($1 * scale / 100))
	echo $((n < $2 ? $2 : n))
}

now() { echo "$EPOCHREALTIME"; }

since() { # TIME
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.4f\n", b - a }'
}

# --- the servers ---

# Returns when NAME has said that it is ready. A server that is started again keeps its port.
serve() { # NAME FOLDER [OTHER]
	local name=$1 folder=$2 line descriptor arguments=(--plain) # rsync does not encrypt either
	[ -z "${3-}" ] || arguments+=(-p "127.0.0.1:${port[$3]}")
	mkdir -p "$folder"
	exec {descriptor}< <(exec "$tuttid" -n "$name" -l "127.0.0.1:${port[$name]-0}" \
		-s "$work/state-$name" --socket "$work/$name.sock" "${arguments[@]}" "$folder" \
		2>>"$work/$name.err")
	pid[$name]=$!
	out[${pid[$name]}]=$descriptor
	read -r line <&"$descriptor" || fail "$name does not start"
	port[$name]=${line##*:}
}

pair() { # B knows A, and calls it
	serve a "$work/a"
	serve b "$work/b" a
}

ask() { # NAME COMMAND...
	local name=$1
	shift
	"$tutti" -s "$work/$name.sock" "$@"
}

# Both say that all is in sync, of so many files at least.
settle() { # FILES
	local name end=$((SECONDS + 600))
	for name in a b; do
		until ask "$name" wait --timeout 60 >/dev/null &&
			[ "$(ask "$name" status --json | sed 's/.*"rows":\([0-9]*\).*/\1/')" -ge "$1" ]; do
			[ "$SECONDS" -lt "$end" ] || fail "$name does not come in sync: $(ask "$name" status)"
		done
	done
}

end() { # NAME...
	local name fd
	for name in "$@"; do
		kill -TERM "${pid[$name]}"
		wait "${pid[$name]}" || fail "$name ended with $?"
		fd=${out[${pid[$name]}]-}
		[ -z "$fd" ] || exec {fd}<&-
		unset "pid[$name]"
	done
}

forget() { # all that the servers know, and the replica
	rm -rf "$work/a/.tutti" "$work/b" "$work/state-a" "$work/state-b"
	port=()
}

kib() { # NAME VmRSS|VmHWM
	sed -n "s/^$2:[^0-9]*\([0-9]*\).*/\1/p" "/proc/${pid[$1]}/status"
}

# Bytes that B has received from A.
received() {
	ask b peers --json | sed -n 's/.*"name":"a".*"in":\([0-9]*\).*/\1/p' | head -n 1
}

rsync_daemon() { # FOLDER
	local end=$((SECONDS + 10))
	port[rsync]=$((20000 + RANDOM % 10000))
	printf '%s\n' "port = ${port[rsync]}" 'address = 127.0.0.1' 'use chroot = no' \
		"uid = $(id -u)" "gid = $(id -g)" "log file = $work/rsync.log" '[m]' "path = $1" \
		'read only = no' >"$work/rsyncd.conf"
	mkdir -p "$1"
	rsync --daemon --no-detach --config "$work/rsyncd.conf" &
	pid[rsync]=$!
	until rsync "rsync://127.0.0.1:${port[rsync]}/" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || fail 'the rsync daemon does not start'
	done
}

push() { # with rsync, as it is used for the same work
	rsync -a --delete --exclude=/.tutti "$work/a/" "rsync://127.0.0.1:${port[rsync]}/m/"
}

end_rsync() {
	[ -n "${pid[rsync]-}" ] || return 0
	kill "${pid[rsync]}"
	wait "${pid[rsync]}" || :
	unset "pid[rsync]"
}

# --- the table ---

have_rsync=
! command -v rsync >/dev/null || have_rsync=1
row='%-18s %5s %12s %10s %10s %10s  %-17s %s\n'

# shellcheck disable=SC2059 # the format is ours
line() { # WORK UNIT NUMBERS-OF-TUTTI [NUMBERS-OF-RSYNC]
	local n median p95 p99 most beside='' theirs
	read -r n median p95 p99 most < <("$probe" statistics <"$3")
	if [ -s "${4-/dev/null}" ]; then
		theirs=$("$probe" statistics <"$4" | cut -d' ' -f2)
		beside="rsync $theirs: $(awk -v a="$median" -v b="$theirs" \
			'BEGIN { printf "%.2f times as long", a / b }')"
	fi
	printf "$row" "$1" "$n" "$median $2" "$p95" "$p99" "$most" "$(budget "$1")" "$beside"
}

begin_table() {
	# shellcheck disable=SC2059
	printf "$row" work n median '95 %' '99 %' largest budget beside
}

# Runs COMMAND and adds the seconds to FILE.
timed() { # FILE COMMAND...
	local file=$1 begin
	shift
	begin=$(now)
	"$@"
	since "$begin" >>"$file"
}

# --- the works ---

initial() {
	pair
	"$probe" await "$work/a" "$work/b"
}

# An empty replica gets all of A: by turns with us and with rsync.
first_copy() { # WORK REPETITIONS
	local i
	: >"$work/ours"
	: >"$work/theirs"
	for ((i = 0; i < $2; i++)); do
		forget
		sync
		timed "$work/ours" initial
		end a b
		forget
		if [ -n "$have_rsync" ]; then
			rsync_daemon "$work/b"
			sync
			timed "$work/theirs" push
			end_rsync
		fi
	done
	line "$1" s "$work/ours" "$work/theirs"
}

small() {
	"$probe" tree "$work/a" "$(scaled 50000 100)"
	first_copy small "$reps"
}

big() {
	"$probe" big "$work/a/big" "$(scaled 2048 8)" 1
	first_copy big "$reps"
}

latency() {
	local files
	files=$(scaled 10000 100)
	"$probe" tree "$work/a" "$files"
	pair
	settle "$files"
	"$probe" latency "$work/a" "$work/b" "$(scaled 300 20)" >"$work/ours"
	line latency ms "$work/ours"
	"$probe" latency "$work/b" "$work/a" "$(scaled 300 20)" >"$work/ours"
	line 'latency B to A' ms "$work/ours"
	end a b
}

# 1 KiB more in the middle of a file; renamed into place, as editors do.
inserted() { # OLD NEW SIZE-IN-MIB
	head -c $(($3 * 524288)) "$1" >"$2"
	head -c 1024 /dev/urandom >>"$2"
	tail -c +$(($3 * 524288 + 1)) "$1" >>"$2"
}

insert() {
	local size i before
	size=$(scaled 1024 8)
	"$probe" big "$work/a/big" "$size" 2
	: >"$work/ours"
	: >"$work/theirs"
	: >"$work/wire"
	pair
	settle 1
	for ((i = 0; i < reps; i++)); do
		inserted "$work/a/big" "$work/new" "$size"
		before=$(received)
		timed "$work/ours" replace_and_await
		settle 1
		echo $(($(received) - before)) | awk '{ print $1 / 1048576 }' >>"$work/wire"
	done
	end a b
	if [ -n "$have_rsync" ]; then
		rsync_daemon "$work/b"
		push
		for ((i = 0; i < reps; i++)); do
			inserted "$work/a/big" "$work/new" "$size"
			mv "$work/new" "$work/a/big"
			timed "$work/theirs" push
		done
		end_rsync
	fi
	line insert s "$work/ours" "$work/theirs"
	line wire MiB "$work/wire"
}

replace_and_await() {
	mv "$work/new" "$work/a/big"
	"$probe" await "$work/a" "$work/b"
}

burst() {
	local files some i
	files=$(scaled 50000 200)
	some=$(scaled 5000 20)
	"$probe" tree "$work/a" "$files"
	: >"$work/ours"
	: >"$work/theirs"
	pair
	settle "$files"
	for ((i = 0; i < reps; i++)); do
		"$probe" burst "$work/a" "$work/b" "$files" "$some" "$i" - >>"$work/ours"
		settle "$files"
	done
	end a b
	if [ -n "$have_rsync" ]; then
		rsync_daemon "$work/b"
		push
		for ((i = 0; i < reps; i++)); do
			"$probe" burst "$work/a" "$work/b" "$files" "$some" $((i + 1000)) \
				"rsync -a --delete --exclude=/.tutti $work/a/ rsync://127.0.0.1:${port[rsync]}/m/" \
				>>"$work/theirs"
		done
		end_rsync
	fi
	line burst s "$work/ours" "$work/theirs"
}

renamed() { # FROM TO
	mv "$work/a/$1" "$work/a/$2"
	"$probe" await "$work/a/$2" "$work/b/$2"
	while [ -e "$work/b/$1" ]; do :; done
}

# shellcheck disable=SC2154 # names of folders
rename() {
	local files i
	files=$(scaled 1000 10)
	mkdir -p "$work/a/folder-0"
	for ((i = 0; i < files; i++)); do
		"$probe" big "$work/a/folder-0/$i" 1 "$i"
	done
	: >"$work/ours"
	: >"$work/theirs"
	pair
	settle "$files"
	for ((i = 0; i < reps; i++)); do
		timed "$work/ours" renamed "folder-$i" "folder-$((i + 1))"
		settle "$files"
	done
	end a b
	if [ -n "$have_rsync" ]; then
		rsync_daemon "$work/b"
		push
		mv "$work/a/folder-$reps" "$work/a/folder"
		timed "$work/theirs" push
		end_rsync
	fi
	line rename s "$work/ours" "$work/theirs"
}

first_table() {
	serve a "$work/a"
	ask a list 2>/dev/null | head -n 1 >/dev/null || :
}

per_file() { # NAME FIELD FILES
	echo $((($(kib "$1" "$2") - ${empty[$1]}) * 1024 / $3))
}

# What grows with the tree: memory, a resync without changes, a restart.
large() {
	local files i name
	local -A empty=()
	files=$(scaled 200000 200)
	pair
	settle 0
	empty=([a]="$(kib a VmRSS)" [b]="$(kib b VmRSS)")
	end a b
	rm -rf "$work/a"
	forget
	mkdir "$work/a"
	"$probe" tree "$work/a" "$files"
	cp -a "$work/a" "$work/b"
	pair
	settle "$files"
	for name in a b; do
		per_file "$name" VmRSS "$files" >"$work/memory-$name"
		per_file "$name" VmHWM "$files" >"$work/most-$name"
	done
	: >"$work/ours"
	: >"$work/theirs"
	: >"$work/restarts"
	for ((i = 0; i < reps; i++)); do
		timed "$work/ours" ask a resync >/dev/null 2>>"$work/a.err"
		if [ -n "$have_rsync" ]; then
			rsync_daemon "$work/b"
			timed "$work/theirs" rsync -a --delete --exclude=/.tutti \
				"$work/a/" "rsync://127.0.0.1:${port[rsync]}/m/"
			end_rsync
		fi
	done
	end b
	for ((i = 0; i < reps; i++)); do
		end a
		timed "$work/restarts" first_table
	done
	serve b "$work/b" a
	settle "$files"
	for name in a b; do
		per_file "$name" VmRSS "$files" >"$work/again-$name"
	done
	line resync s "$work/ours" "$work/theirs"
	line restart s "$work/restarts"
	for name in a b; do
		line "memory of $name" B "$work/memory-$name"
		line 'memory, most' B "$work/most-$name"
		line 'memory, restarted' B "$work/again-$name"
	done
	end a b
}

# --- main ---

[ $# -gt 0 ] || set -- "${works[@]}"
[ -n "$have_rsync" ] || echo 'rsync is not here: nothing to compare with' >&2
echo "$(date -u '+%Y-%m-%d %H:%M'), $(nproc) processors, Linux $(uname -r)," \
	"$("$tuttid" --version | head -n 1), scale $scale %, load $(cut -d' ' -f1 /proc/loadavg)"
begin_table
for name in "$@"; do
	[[ " ${works[*]} " == *" $name "* ]] || fail "no such work: $name (${works[*]})"
	mkdir -p "$work/a"
	"$name"
	forget
	rm -rf "$work/a" "$work/new"
done
