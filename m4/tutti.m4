# Owns our own configure macros: flags that are tried before use, and the list of what is missing.

# TUTTI_TRY_FLAG(VARIABLE, FLAG, [LINK])
# Adds FLAG to VARIABLE if the compiler takes it without a word; with LINK, if the linker does too.
AC_DEFUN([TUTTI_TRY_FLAG], [
	AS_VAR_PUSHDEF([known], [tutti_cv_flag_$2])dnl
	AC_CACHE_CHECK([whether $CC takes $2], [known], [
		tutti_saved_cflags=$CFLAGS
		tutti_saved_ldflags=$LDFLAGS
		m4_ifblank([$3],
			[CFLAGS="$tutti_tried_cflags $2 $CFLAGS -Werror"
			AC_COMPILE_IFELSE(
				[AC_LANG_PROGRAM([[#include <stdio.h>]], [[puts("");]])],
				[AS_VAR_SET([known], [yes])], [AS_VAR_SET([known], [no])])],
			[CFLAGS="$tutti_tried_cflags $CFLAGS -Werror"
			LDFLAGS="$2 $LDFLAGS"
			AC_LINK_IFELSE(
				[AC_LANG_PROGRAM([[#include <stdio.h>]], [[puts("");]])],
				[AS_VAR_SET([known], [yes])], [AS_VAR_SET([known], [no])])])
		CFLAGS=$tutti_saved_cflags
		LDFLAGS=$tutti_saved_ldflags
	])
	AS_VAR_IF([known], [yes], [$1="$$1 $2"])
	AS_VAR_POPDEF([known])dnl
])

# TUTTI_TRY_FLAGS(VARIABLE, FLAGS, [LINK])
AC_DEFUN([TUTTI_TRY_FLAGS], [m4_foreach_w([flag], [$2], [TUTTI_TRY_FLAG([$1], m4_defn([flag]), [$3])])])

# TUTTI_MISSING(KEY, WHY)
# Notes that something is not here; KEY is one of m4/packages.
AC_DEFUN([TUTTI_MISSING], [
	tutti_missing="$tutti_missing $1"
	AS_VAR_APPEND([tutti_missing_text], ["  m4_text_wrap([$2])
"])
])

# TUTTI_REQUIRE_LIBRARY(PREFIX, KEY, WHY, SPECIFICATION, [SPECIFICATION...])
# The first pkg-config specification that is found sets PREFIX_CFLAGS and PREFIX_LIBS.
AC_DEFUN([TUTTI_REQUIRE_LIBRARY], [
	PKG_CHECK_MODULES([$1], [$4], [], [
		m4_ifblank([$5], [TUTTI_MISSING([$2], [$3])],
			[TUTTI_REQUIRE_LIBRARY([$1], [$2], [$3], m4_shift3(m4_shift($@)))])
	])
])

# TUTTI_END_IF_MISSING
# Ends configure with everything that is missing and how to get it.
AC_DEFUN([TUTTI_END_IF_MISSING], [
	AS_IF([test -n "$tutti_missing"], [
		AS_ECHO(["
Tutti needs what was not found:
$tutti_missing_text"]) >&2
		"$srcdir/m4/packages" explain $tutti_missing >&2
		tutti_command=`"$srcdir/m4/packages" command $tutti_missing 2>/dev/null`
		AS_IF([test -n "$tutti_command"], [AS_ECHO(["
On this machine, as root:
  $tutti_command
"]) >&2])
		AC_MSG_ERROR([some things are missing (listed above)])
	])
])
