#!/usr/bin/env bash
# Tests m4/packages: every thing has a name everywhere, distributions are told apart, and
# what is missing is found to be missing.
set -euo pipefail

packages=$TUTTI_SOURCE/m4/packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TUTTI_OS_RELEASE=$work/os-release

fail() {
	echo "$*" >&2
	exit 1
}

is() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}

while read -r content family installer; do
	printf '%b\n' "$content" >"$TUTTI_OS_RELEASE"
	is "distribution of $content" "$("$packages" distribution)" "$family"
	is "command on $family" "$("$packages" command make bash)" "$installer make bash"
done <<'END'
ID=debian debian apt-get install -y --no-install-recommends
ID=ubuntu\nID_LIKE=debian debian apt-get install -y --no-install-recommends
ID=linuxmint\nID_LIKE="ubuntu\040debian" debian apt-get install -y --no-install-recommends
ID=fedora fedora dnf install -y
ID="rocky"\nID_LIKE="rhel\040centos\040fedora" fedora dnf install -y
ID=arch arch pacman -S --needed --noconfirm
ID=alpine alpine apk add --no-cache
ID="opensuse-tumbleweed"\nID_LIKE="opensuse\040suse" opensuse zypper --non-interactive install
END

echo 'ID=plan9' >"$TUTTI_OS_RELEASE"
is 'unknown distribution' "$("$packages" distribution)" unknown
is 'command on an unknown one' "$("$packages" command make)" ''
rm "$TUTTI_OS_RELEASE"
is 'no os-release' "$("$packages" distribution)" unknown

# With no tools and no libraries in reach, everything is missing; then explain it.
mkdir "$work/bin"
for tool in sh sed tr; do
	ln -s "$(command -v $tool)" "$work/bin/$tool"
done
all=$(PATH=$work/bin PKG_CONFIG=no-such CC=no-such sh "$packages" missing)
count=$(wc -l <<<"$all")
[ "$count" -ge 16 ] || fail "only $count things are missing without any tool: $all"
# shellcheck disable=SC2086 # the keys are words
table=$("$packages" explain $all)
is 'lines of explain' "$(wc -l <<<"$table")" $((count + 1))
awk 'NR > 1 && NF != 6 { print "no name somewhere: " $0; bad = 1 } END { exit bad }' <<<"$table" >&2

echo 'ID=arch' >"$TUTTI_OS_RELEASE"
if "$packages" command no-such-thing >/dev/null 2>&1; then
	fail 'a key that is not in the table was taken'
fi
echo "$count packages on 5 distributions"
