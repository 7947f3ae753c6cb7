#!/usr/bin/env bash
# Owns the promise that the units of systemd are in order, and leave a server little to do harm with: an
# exposure under 2, as systemd-analyze counts it.
set -euo pipefail

command -v systemd-analyze >/dev/null || {
	echo 'systemd-analyze was not found: the units are not checked'
	exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for kind in system user; do
	unit=$TUTTI_BUILD/systemd/$kind/tuttid@.service
	if grep -n '@bindir@\|@sysconfdir@' "$unit"; then
		echo "$unit: not filled in" >&2
		exit 1
	fi
	mkdir "$work/$kind"
	sed "s|^ExecStart=[^ ]*|ExecStart=/bin/true|" "$unit" >"$work/$kind/tuttid@x.service"
	# Manuals that are not installed are no fault of the unit.
	wrong=$(systemd-analyze verify --man=no "$work/$kind/tuttid@x.service" 2>&1 |
		grep 'tuttid@' | grep -v 'Failed to connect\|Failed to get' || :)
	if [ -n "$wrong" ]; then
		echo "$wrong" >&2
		exit 1
	fi
	said=$(systemd-analyze security --offline=true "$work/$kind/tuttid@x.service" 2>&1 || :)
	score=$(sed -nE 's/.*exposure level for [^:]*: ([0-9.]+) .*/\1/p' <<<"$said")
	if [ -z "$score" ]; then
		echo "this systemd-analyze cannot judge a unit that is not installed: $said"
		exit 77
	fi
	awk -v score="$score" 'BEGIN { exit !(score < 2) }' || {
		echo "exposure of the $kind unit: $score" >&2
		exit 1
	}
	echo "ok: exposure of the $kind unit: $score"
done
echo '2 checks'
