#!/usr/bin/env bash
# Owns that the manuals are well-formed: mandoc or groff has nothing to say about any of them, and
# every manual of ours that one refers to is there.
set -euo pipefail
export LC_ALL=C.UTF-8
: "${TUTTI_SOURCE:=.}"

pages=("$TUTTI_SOURCE"/man/*.[1-8])
problems=$(mktemp)
trap 'rm -f "$problems"' EXIT

if command -v mandoc >/dev/null; then
	check() { mandoc -Tlint -W warning "$1" 2>&1 || :; }
elif command -v groff >/dev/null; then
	# mdoc(7) itself must be there: groff alone without its macros says nothing of use
	if ! printf '.Dd x\n.Dt X 1\n.Os\n' | groff -mdoc -Tutf8 -z >/dev/null 2>&1; then
		echo "groff has no mdoc macros here, and there is no mandoc: manuals not checked"
		exit 77
	fi
	check() { groff -mdoc -Tutf8 -ww -z "$1" 2>&1 || :; }
else
	echo "neither mandoc nor groff is here: manuals not checked"
	exit 77
fi

# The check must be able to fail.
printf '.Dd x\n.Dt X 1\n.Os\n.Sh NAME\n.Nm x\n.Nd x\n.Bl -tag -width Ds\n.Nonsense\n' >"$problems"
if [ -z "$(check "$problems")" ]; then
	echo "self-test: nonsense was not noticed" >&2
	exit 1
fi

# "NAME SECTION" of every manual of ours that a page refers to, in either set of macros.
references() {
	sed 's/\\-/-/g' "$1" | sed -n \
		-e 's/^\.Xr \(tutti[a-z.-]*\) \([1-8]\).*/\1 \2/p' \
		-e 's/^\.[BR]\{2\} *(* *\(tutti[a-z.-]*\) *(\([1-8]\)).*/\1 \2/p'
}

: >"$problems"
for page in "${pages[@]}"; do
	check "$page" >>"$problems"
	while read -r name section; do
		[ -e "$TUTTI_SOURCE/man/$name.$section" ] ||
			echo "$page refers to $name($section), which is not there" >>"$problems"
	done < <(references "$page")
done
if [ -s "$problems" ]; then
	cat "$problems" >&2
	exit 1
fi
echo "${#pages[@]} manuals are well-formed"
