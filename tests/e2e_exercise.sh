#!/usr/bin/env bash
# The exercise that Tutti grew out of: two servers with a directory each, one client that gets both
# listings as one, sorted by name; then the two are kept the same until somebody stops them.
. "$(dirname "$0")/e2e_lib.sh"

mkdir "$work/A" "$work/B"
random_file 661 "$work/A/b.txt"
random_file 131992 "$work/A/d.gif"
random_file 46623 "$work/B/a.jpg"
random_file 8566866 "$work/B/c.pdf"
touch -d '2016-05-04 12:33' "$work/A/b.txt"
touch -d '2015-10-01 09:00' "$work/A/d.gif"
touch -d '2013-01-31 23:59:59.123456789' "$work/B/a.jpg"
touch -d '1999-12-31 01:02' "$work/B/c.pdf"

pair A B
same A B
diff -u <(times "$work/A") <(times "$work/B") || fail 'times differ'
passed 'both directories are the same'

names=$(ask A list --json | sed 's/.*"path":"\([^"]*\)".*"size":\([0-9]*\).*/\1 \2/')
[ "$names" = $'a.jpg 46623\nb.txt 661\nc.pdf 8566866\nd.gif 131992' ] || fail "list says: $names"
[ "$(ask B list --json | cut -d, -f1-3)" = "$(ask A list --json | cut -d, -f1-3)" ] ||
	fail 'the two servers list something else'
ask A list | grep -Eq '45\.5 KiB.*a\.jpg|a\.jpg.*45\.5 KiB' || fail "$(ask A list)"
passed 'one listing, sorted by name'

"$tutti" -s "$work/A.sock" watch >"$work/watch" 2>&1 &
pid[watch]=$!
await 'the watch to be connected' grep -qi . "$work/watch" &
wait_for_watch=$!
for i in 1 2 3; do
	echo "update $i" >"$work/B/b.txt"
	settle B
	[ "$(cat "$work/A/b.txt")" = "update $i" ] || fail "update $i did not arrive"
done
rm "$work/A/c.pdf"
echo new >"$work/A/e.md"
settle A
same A B
[ ! -e "$work/B/c.pdf" ] || fail 'what was deleted is still there'
await 'the update to be announced' grep -q 'b\.txt' "$work/watch"
await 'the deletion to be announced' grep -q 'c\.pdf' "$work/watch"
await 'the new file to be announced' grep -q 'e\.md' "$work/watch"
wait "$wait_for_watch"
stop watch
passed 'every update is announced, the latest wins'

stop_cleanly A B
[ "$(wc -l <"$work/A.out")" -eq 1 ] || fail 'more than one line on stdout'
grep -Eq '^ready A [A-Z2-7-]{71} 127\.0\.0\.1:[0-9]+$' "$work/A.out" || fail "$(cat "$work/A.out")"
[ ! -e "$work/A.sock" ] || fail 'the socket is still there'
passed 'ended cleanly'
echo "$checks checks"
