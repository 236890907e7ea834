# Before the patch: DIR, the number of patterns that limit it and the patterns, and
# what is to be patched, or nothing for all that is pending.
dir=$1 n=$2 limits=
shift 2
while [ "$n" -gt 0 ]; do
	limits="$limits $1" n=$((n - 1))
	shift
done
look "$dir"
if [ $# -gt 0 ]; then o=$(apt_get -s install -- "$@"); else o=$(apt_get -s dist-upgrade); fi
say sim-rc "$?"
printf '%s\n' "$o" | sed -n '/^[EW]:/p' | tag sim
patched=$(printf '%s\n' "$o" | awk '$1 == "Inst" && $3 ~ /^\[/ || $1 == "Remv" || $1 == "Purg" { print $2 }')
printf '%s\n' "$o" | awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }' | tag added
for id; do
	id=${id%%=*}
	patched="$patched $id"
done
[ -z "$limits" ] || patched="$patched $(dpkg-query -W -f '${Package} ' -- $limits 2>/dev/null)"
[ -n "$patched" ] || exit 0
# The size stands last, for it may be missing.
status=$(dpkg-query -W -f '${Package} ${Architecture} ${Version} ${db:Status-Abbrev} ${Essential}/${Protected} ${Installed-Size}\n' -- $patched 2>/dev/null |
	awk '$4 ~ /^.[^nc]/' | sort -u)
lines pkg "$status"
specs=$(printf '%s\n' "$status" | while read -r name arch version rest; do
	full "$name" "$arch"
	printf '%s ' "$f=$version"
done)
apt-cache show -- $specs 2>/dev/null | awk '
	function out() { if (p != "" && f) print p, a, v, s, h; p = f = ""; h = s = "-" }
	BEGIN { h = s = "-" }
	/^$/ { out() } /^Package: / { p = $2 } /^Architecture: / { a = $2 } /^Version: / { v = $2 } /^Size: / { s = $2 } /^SHA256: / { h = $2 } /^Filename: / { f = 1 }
	END { out() }' | tag index
printf '%s\n' "$status" | while read -r name arch version rest; do
	file "$name" "$arch" "$version"
	[ -f "$archives/$d" ] && [ "$(dpkg-deb -W --showformat='${Package} ${Architecture} ${Version}' "$archives/$d" 2>/dev/null)" = "$name $arch $version" ] &&
		say cached "$name $arch $version $(stat -c %s "$archives/$d")"
	[ -f "$dir/debs/$d" ] && say kept "$name $arch $version $(stat -c %s "$dir/debs/$d")"
done
command -v dpkg-repack >/dev/null && say repack yes
exit 0
