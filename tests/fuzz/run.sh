#!/usr/bin/env bash
# Looks for inputs that break what the fuzzers check: builds them with libFuzzer, AddressSanitizer and
# UBSan (clang), runs each for some seconds from its corpus, and keeps what is new and small.
#	run.sh SECONDS [NAME...]      in a build directory; FUZZ_KEEP=yes writes the corpora back
# What breaks is left in fuzz/NAME-*, and the exit status is 1.
set -euo pipefail

source=${TUTTI_SOURCE:?} build=${TUTTI_BUILD:?}
seconds=${1:?how many seconds for each}
shift
clang=${CLANG:-clang}
command -v "$clang" >/dev/null || {
	echo 'clang with libFuzzer is needed (Debian: clang libclang-rt-dev)' >&2
	exit 2
}
[ $# -gt 0 ] || set -- $(cd "$source/tests/fuzz" && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')

mkdir -p "$build/fuzz/objects"
cd "$build/fuzz"
flags=(-std=gnu11 -g -O1 -fno-omit-frame-pointer -D_GNU_SOURCE -I"$build" -I"$source/src"
	-I"$source/server" -I"$source/tui" -fsanitize=fuzzer-no-link,address,undefined
	-fno-sanitize=pointer-overflow # an empty buffer has no address, and nothing is added to it
	-fno-sanitize-recover=all)
read -ra libraries <<<"$(pkg-config --cflags --libs ncursesw libssl libcrypto sqlite3 libseccomp libconfuse) \
	$(pkg-config --libs msgpack-c 2>/dev/null || pkg-config --libs msgpack) -lev -lpthread"
objects=()
for file in "$source"/src/*.c "$source"/server/*.c "$source"/tui/*.c; do
	[ "$(basename "$file")" != main.c ] || continue
	object=objects/$(basename "$(dirname "$file")")-$(basename "$file" .c).o
	objects+=("$object")
	[ "$object" -nt "$file" ] || "$clang" "${flags[@]}" -c -o "$object" "$file"
done
rm -f all.a
ar cr all.a "${objects[@]}"

status=0
for name; do
	corpus=$source/tests/fuzz/corpus/$name
	"$clang" "${flags[@]}" -fsanitize=fuzzer,address,undefined -o "fuzz_$name" \
		"$source/tests/fuzz/fuzz_$name.c" all.a "${libraries[@]}"
	"$clang" "${flags[@]}" -fsanitize=address,undefined -o "replay_$name" \
		"$source/tests/fuzz/fuzz_$name.c" "$source/tests/fuzz/replay.c" all.a "${libraries[@]}"
	rm -rf "in_$name" && mkdir -p "in_$name" "small_$name"
	[ ! -e "$corpus" ] || "./replay_$name" --unpack "$corpus" "in_$name"
	echo "== $name"
	if ! "./fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
		-malloc_limit_mb=512 -print_final_stats=1 -verbosity=0 -artifact_prefix="./$name-" \
		-max_len=4096 "in_$name" 2>"$name.log"; then
		tail -n 40 "$name.log"
		status=1
	fi
	grep -E '^stat::(number_of_executed_units|average_exec_per_sec|peak_rss)' "$name.log" || :
	if [ "${FUZZ_KEEP:-no}" = yes ]; then
		rm -rf "small_$name" && mkdir "small_$name"
		"./fuzz_$name" -merge=1 -max_len=1024 "small_$name" "in_$name" 2>/dev/null
		"./replay_$name" --pack "small_$name" >"$corpus.new" && mv "$corpus.new" "$corpus"
		echo "kept $(ls "small_$name" | wc -l) inputs, $(stat -c %s "$corpus") bytes"
	fi
done
exit $status
