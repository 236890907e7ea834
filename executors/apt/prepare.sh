# Keeps the files of the versions that are installed: DIR, and the packages. The
# list of them comes last, and whole.
dir=$1 stash=$1/debs work=$1/work
shift
fail() {
	echo "backout: $1"
	exit 4
}
fields() { dpkg-deb -W --showformat='${Package} ${Architecture} ${Version}' "$1" 2>/dev/null; }
# right tells whether a file is the package it is taken for, and whole.
right() {
	[ -f "$1" ] && [ "$(fields "$1")" = "$2" ] || return 1
	if [ -n "$3" ]; then
		printf '%s  %s\n' "$3" "$1" | sha256sum -c --status 2>/dev/null
	else
		dpkg-deb --contents "$1" >/dev/null 2>&1
	fi
}
fresh() { rm -rf "$work" && mkdir "$work" && cd "$work" || fail "$work cannot be made"; }
made() {
	set +f
	for deb in "$work"/*.deb; do :; done
	set -f
	right "$deb" "$1" "$2" && chmod 600 "$deb" && mv -f "$deb" "$stash/$d"
}
# take brings one file into the stash and says where it was had.
take() {
	what="$1 $2 $3"
	full "$1" "$2"
	file "$1" "$2" "$3"
	how=kept
	right "$stash/$d" "$what" "$4" && return
	how=cache
	fresh
	right "$archives/$d" "$what" "$4" && cp -- "$archives/$d" "$work/$d" && made "$what" "$4" && return
	how=repository
	fresh
	apt_get -o APT::Sandbox::User=root download -- "$f=$3" && made "$what" "$4" && return
	how=repacked
	fresh
	command -v dpkg-repack >/dev/null && dpkg-repack "$f" </dev/null 2>&1 && made "$what" "" && return
	fail "$what is neither in a repository nor in the cache"
}
umask 077
mkdir -p "$stash" && chmod 700 "$dir" "$stash" || fail "$stash cannot be made"
apt-mark showauto >"$dir/auto.tmp" && mv -f "$dir/auto.tmp" "$dir/auto" || fail "apt-mark showauto does not answer"
# What was held is read when the way back begins.
rm -f "$dir/hold"
: >"$dir/list.tmp"
while [ $# -ge 4 ]; do
	take "$@"
	sum=$(sha256sum <"$stash/$d")
	echo "$1 $2 $3 ${sum%% *} $(stat -c %s "$stash/$d") $how $d" >>"$dir/list.tmp" || fail "the list cannot be written"
	echo "kept $1 $3 ($how)"
	shift 4
done
cd / && rm -rf "$work"
# What an earlier one kept and nobody needs any more.
for old in "$stash"/*; do
	old=${old##*/}
	awk -v f="$old" '$7 == f { y = 1 } END { exit !y }' "$dir/list.tmp" || rm -f -- "$stash/$old"
done
sync
mv -f "$dir/list.tmp" "$dir/list" && sync || fail "the list cannot be written"
exit 0
