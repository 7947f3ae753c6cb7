#!/usr/bin/env bash
# Only those who belong: strangers hear and change nothing, a person's word counts at once and lasts,
# invitations are good once, and two machines meet as the README says.
. "$(dirname "$0")/e2e_lib.sh"

serve() { # NAME ARGUMENT...: without any trust but what is said
	local name=$1
	shift
	mkdir -p "$work/$name"
	: >"$work/$name.out"
	"$tuttid" -n "$name" -s "$work/state-$name" --socket "$work/$name.sock" "$@" \
		"$work/$name" <"${stdin-/dev/null}" >"$work/$name.out" 2>>"$work/$name.err" &
	pid[$name]=$!
	await "$name to be ready" is_ready "$name"
	read -r _ _ identity[$name] address[$name] <"$work/$name.out"
}
declare -A address=()

role_of() { # NAME ID: as NAME lists it
	ask "$1" peers --json | sed -n "s/.*\"key\":\"$2\",\"role\":\"\([a-z-]*\)\".*/\1/p"
}
has_role() { # NAME ID ROLE
	[ "$(role_of "$1" "$2")" = "$3" ]
}
alone() { # NAME
	! ask "$1" peers --json | grep -q '"state":"connected"'
}

# ---- two machines, with a network between them ---------------------------------------------
if [ "${1-}" = machines ]; then
	# What follows is what the README says, but for where state and sockets are.
	for line in 'tuttid --name nas --listen 0.0.0.0:7075 ' '`tutti invite`' 'tuttid --name laptop --join - ' \
		'tuttid --name laptop --peer .*@nas.lan:7075 ' 'nas\$ tutti trust '; do
		grep -q -- "$line" "$TUTTI_SOURCE/README.md" || fail "the README says something else than $line"
	done
	# This is a network of its own; the second machine is another one, of a process that waits.
	ip link set lo up
	unshare -n sleep 1000 &
	pid[laptop]=$!
	other() { nsenter -t "${pid[laptop]}" -n "$@"; }
	is_apart() { [ "$(readlink "/proc/${pid[laptop]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
	await 'the other machine' is_apart
	other ip link set lo up
	ip link add nas type veth peer name laptop
	ip link set laptop netns "${pid[laptop]}"
	ip address add 10.9.8.1/24 dev nas
	ip link set nas up
	other ip address add 10.9.8.2/24 dev laptop
	other ip link set laptop up
	if ip -6 address add fd00:9::1/64 dev nas nodad 2>/dev/null; then
		other ip -6 address add fd00:9::2/64 dev laptop nodad
		sixes='six sixes'
	else
		sixes=
		echo 'not tried: IPv6 (this kernel has none)'
	fi
	printf '%s\n' '127.0.0.1 localhost' '10.9.8.1 nas.lan' 'fd00:9::1 sixes.lan' >"$work/hosts"
	mount --bind "$work/hosts" /etc/hosts # of these two machines alone
	# shellcheck disable=SC2086 # words
	for way in invitation yes $sixes; do
		mkdir "$work/nas" "$work/Documents"
		echo 'on the nas' >"$work/nas/a"
		echo 'on the laptop' >"$work/Documents/b"
		case $way in
		six*) serve nas --listen '[::]:7075' ;;
		*) serve nas --listen 0.0.0.0:7075 ;;
		esac
		real=$tuttid
		tuttid() { exec nsenter -t "${pid[laptop]}" -n "$real" "$@"; }
		tuttid=tuttid
		if [ "$way" = invitation ]; then
			ask nas invite 2>/dev/null >"$work/invitation"
			grep -q '^10\.9\.8\.1:7075#' "$work/invitation" || fail "$(cat "$work/invitation")"
			stdin=$work/invitation serve Documents --join -
		elif [ "$way" = six ]; then
			ask nas invite 2>/dev/null >"$work/invitation"
			grep -qF '[fd00:9::1]:7075#' "$work/invitation" || fail "$(cat "$work/invitation")"
			stdin=$work/invitation serve Documents --join -
		elif [ "$way" = sixes ]; then
			ask nas invite sixes.lan:7075 2>/dev/null >"$work/invitation"
			stdin=$work/invitation serve Documents --join -
		else
			serve Documents --peer "${identity[nas]}@nas.lan:7075"
			await 'the stranger to be listed' has_role nas "${identity[Documents]}" pending
			! cmp -s "$work/nas/a" "$work/Documents/a" || fail 'it came in without a yes'
			ask nas trust "${identity[Documents]}" >/dev/null
		fi
		tuttid=$real
		await 'the two to meet' connected nas Documents
		settle nas Documents
		same nas Documents
		stop_cleanly nas Documents
		passed "two machines, one command each, by $way"
		rm -r "$work/nas" "$work/Documents" "$work"/state-*
	done
	echo "$checks checks"
	exit 0
fi

# ---- strangers ----------------------------------------------------------------------------
echo secret >"$work/file"
mkdir "$work/A" "$work/B"
cp "$work/file" "$work/A/secret"
echo evil >"$work/B/evil"
serve A -l 127.0.0.1:0
serve B -l 127.0.0.1:0 -p "${identity[A]}@${address[A]}"
await 'A to list the stranger' has_role A "${identity[B]}" pending
told() { ask B peers --json | grep -q 'not trusted here yet'; }
await 'B to be told' told
ask A status >"$work/status" || :
grep -q "${identity[B]}" "$work/status" || fail "status does not tell: $(cat "$work/status")"
[ ! -e "$work/B/secret" ] && [ ! -e "$work/A/evil" ] || fail 'something went through'
passed 'a stranger is listed, and gets and changes nothing'

ask A untrust "${identity[B]}" >/dev/null
has_role A "${identity[B]}" refused || fail "$(ask A peers)"
refused() { ask B peers --json | grep -q 'was refused'; }
await 'B to hear no' refused
has_role A "${identity[B]}" refused || fail "it is $(role_of A "${identity[B]}")"
passed 'a no stays a no'

ask A trust "${identity[B]}" --name beta | grep -q 'Trusted as peer' || fail 'trust says something else'
await 'a connection' connected A B
settle A B
same A B
[ -e "$work/B/secret" ] || fail 'nothing came'
grep -q "^peer ${identity[B]} beta" "$work/state-A/trust" || fail "$(cat "$work/state-A/trust")"
passed 'a yes lets it in'

# ---- it lasts, and it ends at once -----------------------------------------------------------
port_a=${address[A]##*:}
stop_cleanly A
serve A -l "127.0.0.1:$port_a"
await 'a connection after a start' connected A B
passed 'trust lasts'

ask A untrust "${identity[B]}" >/dev/null
await 'the connection to end' alone A
alone B || await 'B to know' alone B
echo late >"$work/B/late"
ask B wait --timeout 0.5 2>/dev/null || :
[ ! -e "$work/A/late" ] || fail 'it went on'
grep -q "^refused ${identity[B]}" "$work/state-A/trust" || fail "$(cat "$work/state-A/trust")"
stop_cleanly A
serve A -l "127.0.0.1:$port_a" -p "${identity[B]}"
await 'B to hear no' refused
has_role A "${identity[B]}" refused || fail 'the command line overrules a no'
ask A trust "${identity[B]}" >/dev/null
await 'a connection' connected A B
settle A B
same A B
passed 'untrust ends connections at once, and outlives a start'

# ---- the wrong server ------------------------------------------------------------------------
serve C -l 127.0.0.1:0 -p "${identity[A]}@${address[B]}"
wrong() { ask C peers --json | grep -q "another server answers there: its ID is ${identity[B]}"; }
await 'C to say that another server is there' wrong
echo mine >"$work/C/mine"
[ -z "$(role_of B "${identity[C]}")" ] || fail 'B has heard of C'
stop_cleanly C
rm -r "$work/state-C"
passed 'another key than the one expected gets nothing'

# ---- an address without an ID -----------------------------------------------------------------
serve C -l 127.0.0.1:0 -p "${address[A]}"
await 'C to list what it found' has_role C "${identity[A]}" pending
await 'A to list C' has_role A "${identity[C]}" pending
[ ! -e "$work/C/secret" ] && [ ! -e "$work/A/mine" ] || fail 'something went through'
ask C trust "${identity[A]}" >/dev/null
ask A trust "${identity[C]}" --role read-only >/dev/null
await 'a connection' connected C A
passed 'an address without an ID: both say yes'

# ---- a peer that only reads -------------------------------------------------------------------
await 'C to get what A has' cmp "$work/A/secret" "$work/C/secret"
echo new >"$work/A/new"
await 'C to get what is new' cmp "$work/A/new" "$work/C/new"
echo changed >"$work/C/secret"
rm "$work/C/evil"
notices() { ask C status | grep -q 'takes no changes from here'; }
await 'C to know' notices
ask C wait --timeout 1 2>/dev/null || :
[ "$(cat "$work/A/secret")" = secret ] && [ -e "$work/A/evil" ] && [ ! -e "$work/A/mine" ] ||
	fail 'A took what only reads'
row_says() { # NAME WORDS
	ask "$1" list --json | grep '"path":"secret"' | grep -q "$2"
}
status_says() { # NAME WORDS
	ask "$1" status | grep -q "$2"
}
wait_says() { # NAME WORDS
	! ask "$1" wait --timeout 0.2 2>"$work/why" && grep -q "$2" "$work/why"
}
await 'the row of A to say it' row_says A 'changed on C, whose changes are not taken'
await 'the row of C to say it' row_says C 'A takes no changes from here'
await 'the status of A to say it' status_says A 'C differs for good'
await 'the status of C to say it' status_says C 'A differs for good'
await 'the other words of A' wait_says A 'C: it has changes that are not taken'
await 'the other words of C' wait_says C 'A: it takes no changes from here'
! ask A status | grep -q 'on the way to C' || fail "$(ask A status)"
passed 'what is not taken is said in words, on both sides'
echo again >"$work/A/new"
await 'C to get what comes later' cmp "$work/A/new" "$work/C/new"
# What a person of C wants to give up: as the manual says, the directory and the index begin anew.
stop_cleanly C
mv "$work/C" "$work/C.changed"
cp -a "$work/state-C" "$work/state-C.changed"
rm "$work/state-C"/index.db*
serve C -l 127.0.0.1:0 -p "${address[A]}"
await 'C to have what A has' is_same A C
settle A C
same A C
passed 'a read-only peer gives up its changes'
stop_cleanly C
rm -r "$work/C" "$work/state-C"
mv "$work/C.changed" "$work/C"
mv "$work/state-C.changed" "$work/state-C"
serve C -l 127.0.0.1:0 -p "${address[A]}"
await 'a connection of C as it was' connected C A
ask A trust "${identity[C]}" >/dev/null
await 'what C had changed, once it is a peer' cmp "$work/C/mine" "$work/A/mine"
settle A B C
same A B C
[ "$(cat "$work/A/secret")" = changed ] || fail 'the change is lost'
passed 'a read-only peer gets all and changes nothing, until it may'

# ---- clients ----------------------------------------------------------------------------------
remote() { "$tutti" -s "${identity[A]}@${address[A]}" "$@"; }
! remote list >"$work/list" 2>"$work/why" || fail 'a stranger lists the files'
[ ! -s "$work/list" ] || fail 'a stranger sees something'
me=$("$tuttid" id -s "$XDG_STATE_HOME/tutti/.client")
grep -q "tutti trust $me --role client" "$work/why" || fail "says: $(cat "$work/why")"
has_role A "$me" pending || fail "$(ask A peers)"
ask A trust "$me" --role viewer >/dev/null
remote list | grep -q secret || fail 'a viewer sees nothing'
status=0
remote untrust "${identity[B]}" 2>"$work/why" || status=$?
[ "$status" -eq 1 ] && grep -q 'may only look' "$work/why" || fail "$status: $(cat "$work/why")"
has_role A "${identity[B]}" peer || fail 'a viewer has decided'
! remote resync 2>/dev/null || fail 'a viewer makes others walk'
ask A trust "$me" --role client >/dev/null
remote resync >/dev/null || fail 'a client may not'
status=0
"$tutti" -s "${identity[B]}@${address[A]}" list 2>"$work/why" || status=$?
[ "$status" -eq 3 ] && grep -q "another server answers there" "$work/why" || fail "$(cat "$work/why")"
status=0
"$tutti" -s "${address[A]}" list 2>"$work/why" || status=$?
[ "$status" -eq 3 ] && grep -q 'reached as ID@HOST:PORT' "$work/why" || fail "$(cat "$work/why")"
passed 'clients: strangers nothing, viewers look, clients decide'
"$tutti" -s "${identity[A]}@${address[A]}" watch >"$work/watch" 2>&1 &
pid[watch]=$!
hears() { # REGEX
	grep -q "$1" "$work/watch"
}
goes_through() {
	date +%N >"$work/A/watched"
	hears watched
}
await 'a client to hear of changes' goes_through
ask A untrust "$me" >/dev/null
await 'it to be left' hears 'lost the server: .*not trusted any more'
status=0
remote list >/dev/null 2>"$work/why" || status=$?
[ "$status" -eq 3 ] && grep -q 'refused' "$work/why" || fail "$status: $(cat "$work/why")"
stop watch
passed 'untrust ends the connections of clients at once'

# ---- invitations ------------------------------------------------------------------------------
ask A invite 2>"$work/why" && fail 'an invitation to loopback' || :
grep -q 'listens on loopback only' "$work/why" || fail "$(cat "$work/why")"
ask A invite "${address[A]}" >"$work/invitation" 2>/dev/null
grep -Eq "^${address[A]}#${identity[A]}#[A-Z2-7]{26}\$" "$work/invitation" || fail "$(cat "$work/invitation")"
serve D -l 127.0.0.1:0 --join "$work/invitation"
await 'the invited one' connected A D
settle A D
same A D
has_role A "${identity[D]}" peer || fail "$(ask A peers)"
stop_cleanly D
serve D -l 127.0.0.1:0
await 'the invited one, without its invitation' connected A D
serve E -l 127.0.0.1:0 --join "$work/invitation"
await 'the second one to be a stranger' has_role A "${identity[E]}" pending
[ ! -e "$work/E/secret" ] || fail 'an invitation was good twice'
stop_cleanly E
ask A invite "${address[A]}" >"$work/invitation" 2>/dev/null
sed 's/.$/A/; t' "$work/invitation" >"$work/forged"
cmp -s "$work/invitation" "$work/forged" && sed 's/.$/B/' "$work/invitation" >"$work/forged"
serve F -l 127.0.0.1:0 --join "$work/forged"
not_good() { ask F peers --json | grep -q 'invitation is not good'; }
await 'a forged invitation to be refused' not_good
[ ! -e "$work/F/secret" ] || fail 'a forged invitation was good'
stop_cleanly F D
passed 'an invitation is good once, and only as it is'

# ---- many strangers, and peers still get in ----------------------------------------------------
for n in $(seq 40); do
	exec {sockets[n]}<>"/dev/tcp/127.0.0.1/$port_a" || :
done 2>/dev/null
stop_cleanly B
serve B -l 127.0.0.1:0 -p "${identity[A]}@${address[A]}"
await 'B beside forty silent strangers' connected A B
for n in "${!sockets[@]}"; do
	exec {sockets[n]}>&-
done
passed 'strangers do not keep peers out'

# ---- a list that cannot be read ----------------------------------------------------------------
stop_cleanly A B C
echo 'peer nonsense' >>"$work/state-A/trust"
status=0
timeout "$DEADLINE" "$tuttid" -n A -s "$work/state-A" --socket "$work/A.sock" -l 127.0.0.1:0 \
	"$work/A" >"$work/out" 2>"$work/why" || status=$?
[ "$status" -eq 1 ] && grep -Eq 'trust, line [0-9]+: group 1 of the ID' "$work/why" || fail "$(cat "$work/why")"
passed 'a damaged list lets nobody in'

if unshare -Urnm true 2>/dev/null && command -v nsenter ip >/dev/null; then
	unshare -Urnm bash "$0" machines
else
	echo 'not tried: two machines (no network namespaces here)'
fi
echo "$checks checks"
