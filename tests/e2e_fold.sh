#!/usr/bin/env bash
# Names that a file system takes for one (F41, F42): on such a machine the second is blocked and told, nothing
# is replaced and nothing is taken for a deletion; and a rename that changes the spelling alone is a rename.
. "$(dirname "$0")/e2e_lib.sh"

# B folds: beneath its server all spellings of a name are one. What this script does there goes past that.
can_be_faulty B
fault B "fold +0 $work/B*"

composed=$(printf 'caf\xc3\xa9') decomposed=$(printf 'cafe\xcc\x81')
is() { # FILE TEXT
	[ "$(cat "$1" 2>/dev/null)" = "$2" ]
}
blocked() { # PATH BY: so it is told, on either side
	await "$1 to be blocked by $2" reason_at B B "$1" "the name is taken by $2 here"
	await "A to hear that $1 is blocked" reason_at A B "$1" "the name is taken by $2 here"
}
names() { # FOLDER
	(cd "$1" && find . -mindepth 1 -path ./.tutti -prune -o -printf '%P\n' | sort)
}
both_on_A() { # SECOND
	is "$work/A/a" small && is "$work/A/A" "$1" || fail "A lost something: $(ask A list)"
}

# The way to a path, and how it is replaced, are as ever on a system that folds.
for suite in t_root t_scan; do
	[ -x "$TUTTI_BUILD/tests/$suite" ] || fail "$suite is not built"
	mkdir -p "$work/faults-all"
	echo 'fold +0 *' >"$work/faults-all/rules"
	(faulty all "$TUTTI_BUILD/tests/$suite") >"$work/$suite.out" 2>&1 || fail "$(tail -n 5 "$work/$suite.out")"
done
passed 'the suites of the disk, where names are folded'

pair B A

# ---- two names ----------------------------------------------------------------------------------
echo small >"$work/A/a"
settle A B
echo big >"$work/A/A"
blocked A a
has_state B A blocked && has_state A A blocked || fail "the row of A on B is $(row_state B A)"
both_on_A big
is "$work/B/a" small || fail 'B has not kept a'
[ "$(names "$work/B")" = a ] || fail "B shows $(names "$work/B")"
echo bigger >"$work/A/A"
echo other >"$work/A/other"
await 'the rest to go on' is "$work/B/other" other
both_on_A bigger
is "$work/B/a" small || fail 'B has not kept a'

# A new start, and a walk, find the same.
stop_cleanly B
start B
blocked A a
ask B resync >/dev/null
both_on_A bigger
is "$work/B/a" small || fail 'B has not kept a'
passed 'the second of two names is blocked, and both are safe'

rm "$work/A/a"
await 'A to come when a has gone' is "$work/B/A" bigger
[ "$(names "$work/B")" = "$(names "$work/A")" ] || fail "B shows $(names "$work/B")"
settle_confirming A B
same A B
echo small >"$work/A/a"
blocked a A
mv "$work/B/A" "$work/B/moved"
await 'a to come when A has another name' is "$work/B/a" small
settle_confirming A B
same A B
is "$work/A/moved" bigger || fail 'the move was lost'
passed 'it comes when the first has gone'

# ---- accents ------------------------------------------------------------------------------------
echo one >"$work/A/$composed"
settle A B
echo two >"$work/A/$decomposed"
blocked "$decomposed" "$composed"
is "$work/A/$composed" one && is "$work/A/$decomposed" two || fail 'A lost something'
is "$work/B/$composed" one || fail 'B has not kept the first'
rm "$work/A/$decomposed"
settle_confirming A B
same A B
passed 'letters with accents, likewise'

# ---- renames of the spelling alone --------------------------------------------------------------
head -c 100000 /dev/urandom >"$work/A/readme"
settle A B
before=$(bytes_in B A)
mv "$work/A/readme" "$work/A/README"
settle_confirming A B
same A B
[ $(($(bytes_in B A) - before)) -lt 50000 ] || fail 'its content came once more'
mv "$work/B/README" "$work/B/Readme"
await 'the rename on B' test -e "$work/A/Readme"
settle_confirming A B
same A B
[ "$(find "$work/A" -maxdepth 1 -iname readme | wc -l)" -eq 1 ] || fail "$(names "$work/A")"
mv "$work/A/$composed" "$work/A/$decomposed"
settle_confirming A B
same A B
passed 'a rename of a file'

# More files than one batch holds, so that some wait for the folder while others have been tried.
mkdir -p "$work/A/dir/sub/deep"
for i in $(seq 600); do
	echo "$i" >"$work/A/dir/$i"
done
echo x >"$work/A/dir/sub/deep/x"
ln -s x "$work/A/dir/sub/deep/link"
settle A B
mv "$work/A/dir" "$work/A/DIR"
await 'the renamed folder' test -e "$work/B/DIR/sub/deep/x"
settle_confirming A B
same A B
mv "$work/B/DIR" "$work/B/Dir"
await 'the rename on B' test -e "$work/A/Dir/sub/deep/x"
settle_confirming A B
same A B
[ "$(find "$work/A" -maxdepth 1 -iname dir)" = "$work/A/Dir" ] || fail "$(names "$work/A")"
passed 'a rename of a folder'

# A folder and a file, and two folders with different things in them.
echo file >"$work/A/both"
mkdir "$work/A/two"
echo two >"$work/A/two/x"
settle A B
mkdir "$work/A/BOTH" "$work/A/TWO"
echo inside >"$work/A/BOTH/inside"
echo TWO >"$work/A/TWO/x"
blocked BOTH both
blocked TWO two
is "$work/B/both" file && is "$work/B/two/x" two || fail 'B has not kept the first'
is "$work/A/both" file && is "$work/A/two/x" two && is "$work/A/TWO/x" TWO && is "$work/A/BOTH/inside" inside ||
	fail "A lost something: $(names "$work/A")"
rm -r "$work/A/both" "$work/A/two"
await 'the folders to come' is "$work/B/TWO/x" TWO
settle_confirming A B
same A B
passed 'folders'

stop_cleanly A B
