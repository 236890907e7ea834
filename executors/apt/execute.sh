# DIR CHANGE HOLD N, three words for each of the N to be held, and the packages.
dir=$1 stash=$1/debs change=$2 hold=$3 n=$4 holds=
shift 4
while [ "$n" -gt 0 ]; do
	holds="$holds $1 $2 $3" n=$((n - 1))
	shift 3
done
fail() {
	echo "backout: $1"
	exit "$2"
}
# mend ends what an interrupted dpkg has left, once no other one is at work.
mend() {
	i=0
	while :; do
		o=$(dpkg --no-force-confnew --force-confdef --force-confold --configure -a 2>&1 </dev/null)
		rc=$?
		[ -z "$o" ] || printf '%s\n' "$o"
		case $o in *"locked by another process"*) ;; *) return "$rc" ;; esac
		[ "$i" -lt 120 ] || return "$rc"
		i=$((i + 1))
		sleep 5
	done
}
undo() {
	known "$@"
	arrange "$@"
	[ -z "$gone" ] || fail "an old version is neither kept nor in a repository any more" 4
	[ -n "$todo" ] || return 0
	settle
	if [ "$rc" -ne 0 ]; then
		printf '%s\n' "$o"
		fail "apt cannot solve it: nothing was changed" 5
	fi
	if [ -n "$extra" ]; then
		printf '%s\n' "$extra"
		fail "apt would change more than the patch did: nothing was changed" 5
	fi
	remove=false
	[ -z "$go" ] || remove=true
	IFS=$nl
	apt_get -o APT::Get::Remove=$remove install -- $come $go
	rc=$?
	IFS=$usual
	return "$rc"
}
mkdir -p "$dir" && chmod 700 "$dir" || fail "$dir cannot be made" 3
# A version that is asked for counts as chosen by hand, and is not held any more;
# both are to stay as they were, across a killed attempt too.
for mark in auto hold; do
	[ ! -e "$dir/$mark" ] || continue
	apt-mark "show$mark" >"$dir/$mark.tmp" && mv -f "$dir/$mark.tmp" "$dir/$mark" || fail "apt-mark show$mark does not answer" 3
done
mend || echo "backout: dpkg has packages that it cannot configure as they are"
if ! undo "$@"; then
	echo "backout: once more, after what can be configured is"
	mend
	undo "$@" || fail "apt-get ended with exit code $rc" 6
fi
for mark in auto hold; do
	were=$(words full "$@" | tr ' ' '\n' | grep -xF -f "$dir/$mark")
	[ -z "$were" ] || apt-mark "$mark" -- $were || fail "apt-mark $mark could not be put back" 6
done
[ -z "$holds" ] || sh -c "$hold" sh place apt "$change" $holds </dev/null 2>&1 || fail "the bad versions could not be held" 7
exit 0
