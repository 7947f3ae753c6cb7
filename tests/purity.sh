#!/usr/bin/env bash
# Owns the promise that src/libcore.a is pure: its objects import nothing that opens, sends,
# waits, starts threads, or asks for the time, the environment or chance.
set -euo pipefail
export LC_ALL=C

: "${NM:=nm}" "${CC:=cc}" "${TUTTI_BUILD:=.}"

# What the core may import: one extended regular expression a line, for whole names.
allowed='
mem(chr|cmp|cpy|mem|move|rchr|set|pcpy)
str(n?cat|r?chr|chrnul|n?cmp|c?spn|n?cpy|n?dup|n?len|pbrk|stn?r|str|n?casecmp)|strtok_r|stpcpy|strerror((name|desc)_np)?
strto(l|ll|ul|ull|d|imax|umax)|__isoc23_strto(l|ll|ul|ull|imax|umax)
(m|c|re)alloc|reallocarray|free
v?(asprintf|snprintf|sscanf)|__isoc(99|23)_v?sscanf
abort|__assert_fail|__assert
qsort(_r)?|bsearch
is(alnum|alpha|cntrl|digit|graph|lower|print|punct|space|upper|xdigit)|to(lower|upper)
__ctype_(b|tolower|toupper)_loc|__ctype_get_mb_cur_max
isw(alnum|alpha|cntrl|ctype|digit|graph|lower|print|punct|space|upper|xdigit)|tow(lower|upper)|wctype
wc(width|swidth|slen|scmp|rtomb|stombs)|wmem(cpy|set|move)|mb(rtowc|stowcs|srtowcs|rlen|sinit)
__errno_location|___errno|errno
math_[a-z]+|(ceil|floor|fmod|frexp|ldexp|log|log2|log10|pow|round|lround|llround)
msgpack_[a-z0-9_]+
__stack_chk_(fail|guard)|__stack_chk_fail_local|__chk_fail|__fortify_fail
__(mem(cpy|move|set|pcpy)|str(n?cpy|n?cat)|stpcpy|v?(snprintf|asprintf))_chk
_GLOBAL_OFFSET_TABLE_|__tls_get_addr
__(asan|ubsan|sanitizer|gcov|llvm|udivti|umodti|divti|modti|multi|popcount)[a-z0-9_]*
'
# Allowed by the pattern above, but these write to a file.
refused='msgpack_(object_print|fbuffer)[a-z_]*'
# base.c alone may say on stderr that memory ran out, before it aborts.
allowed_in_base='stderr|fputs|fwrite|__fprintf_chk|fprintf'

regex() {
	printf '%s\n' "$1" | sed '/^$/d' | paste -sd'|' -
}

# Prints "OBJECT imports SYMBOL" for whatever is not allowed; ARCHIVE's own symbols are.
impure() {
	local own import object symbol type
	own=$("$NM" -g --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort -u)
	import=$("$NM" -u "$1" | awk '/:$/ { object = $1; sub(/:$/, "", object) }
		NF == 2 { print object, $1, $2 }')
	while read -r object type symbol; do
		[ -n "$object" ] || continue
		symbol=${symbol%%@*}
		if grep -qxF -- "$symbol" <<<"$own"; then continue; fi
		if grep -qxE -- "$pure" <<<"$symbol" && ! grep -qxE -- "$refused" <<<"$symbol"; then
			continue
		fi
		if [ "$object" = base.o ] && grep -qxE -- "$allowed_in_base" <<<"$symbol"; then continue; fi
		echo "$object imports $symbol ($type)"
	done <<<"$import"
}
pure=$(regex "$allowed")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The check must be able to fail: plant an object with one forbidden import after another.
try() { # NAME CODE
	printf '%s\n' "$2" >"$work/$1.c"
	$CC -c -o "$work/$1.o" "$work/$1.c"
	rm -f "$work/$1.a"
	ar cr "$work/$1.a" "$work/$1.o"
	impure "$work/$1.a"
}
for forbidden in time open write recv poll clock_gettime pthread_create getenv malloc_usable_size \
	usleep rand printf fputs system random ev_run setlocale msgpack_object_print; do
	found=$(try "$forbidden" "int planted(void); int planted(void)
		{ extern int $forbidden(); return $forbidden(); }" 2>/dev/null)
	if [ "$found" != "$forbidden.o imports $forbidden (U)" ]; then
		echo "self-test: a planted $forbidden() was not found: '$found'" >&2
		exit 1
	fi
done
found=$(try innocent '#include <string.h>
	unsigned long size(const char *s); unsigned long size(const char *s) { return strlen(s); }
	unsigned long twice(const char *s); unsigned long twice(const char *s) { return 2 * size(s); }')
if [ -n "$found" ]; then
	echo "self-test: innocent code was rejected: $found" >&2
	exit 1
fi

core=$TUTTI_BUILD/src/libcore.a
objects=$("$NM" "$core" 2>/dev/null | grep -c ':$')
if [ "$objects" -lt 1 ]; then
	echo "$core has no objects" >&2
	exit 1
fi
found=$(impure "$core")
if [ -n "$found" ]; then
	echo "src/libcore.a must do nothing but compute:" >&2
	printf '%s\n' "$found" >&2
	exit 1
fi
echo "$objects objects of src/libcore.a are pure"
