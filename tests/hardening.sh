#!/usr/bin/env bash
# Owns the promise that the finished programs are hardened: position independent, relocations
# read-only and bound at start, no executable stack, stack protector, checked libc calls.
set -euo pipefail
export LC_ALL=C

: "${READELF:=readelf}" "${NM:=nm}" "${TUTTI_BUILD:=.}"

if [ "${TUTTI_SANITIZERS:-no}" = yes ]; then
	echo 'built with sanitizers, which stand in for the hardening'
	exit 77
fi
if [ "${TUTTI_HARDENING:-yes}" = no ]; then
	echo 'configured with --disable-hardening'
	exit 77
fi

bad=0
need() { # PROGRAM WHAT HOLDS
	if [ "$3" = no ]; then
		echo "$1: $2" >&2
		bad=1
	fi
}
has() { # TEXT REGEX
	if grep -qE -- "$2" <<<"$1"; then echo yes; else echo no; fi
}
hasnt() {
	if grep -qE -- "$2" <<<"$1"; then echo no; else echo yes; fi
}

count=0
for program in tuttid tutti; do
	file=$TUTTI_BUILD/$program
	if [ ! -x "$file" ]; then
		echo "$file was not built" >&2
		exit 1
	fi
	head=$("$READELF" -Wh "$file")
	segments=$("$READELF" -Wl "$file")
	dynamic=$("$READELF" -Wd "$file")
	symbols=$("$NM" -D "$file")
	need $program 'is not position independent' "$(has "$head" 'Type: +DYN')"
	need $program 'has no interpreter: not a program' "$(has "$segments" 'INTERP')"
	need $program 'has no read-only relocations' "$(has "$segments" 'GNU_RELRO')"
	need $program 'does not bind at start' "$(has "$dynamic" 'BIND_NOW|\(FLAGS_1\).*NOW')"
	need $program 'has no word on its stack' "$(has "$segments" 'GNU_STACK')"
	need $program 'has an executable stack' "$(hasnt "$segments" 'GNU_STACK.* RWE ')"
	need $program 'has a segment to write and execute' "$(hasnt "$segments" 'LOAD.* RWE ')"
	need $program 'has no stack protector' "$(has "$symbols" '__stack_chk_(fail|guard)')"
	need $program 'has relocations in its text' "$(hasnt "$dynamic" 'TEXTREL')"
	need $program 'looks for libraries in a built-in path' "$(hasnt "$dynamic" '\((RPATH|RUNPATH)\)')"
	if [ "${TUTTI_FORTIFY:-none}" != none ] && grep -q 'GLIBC_' <<<"$symbols"; then
		need $program 'has no checked libc calls (_FORTIFY_SOURCE)' "$(has "$symbols" '_chk(@|$)')"
	fi
	count=$((count + 1))
done
[ "$bad" -eq 0 ]
echo "$count programs are hardened"
