# Makes the snapshots of one set, all or none.
#   $1 the change   then for each volume: vg/lv, the snapshot's vg/lv, its size in
#   bytes (0: thin), the mount point or ""
export LC_ALL=C TZ=UTC LVM_SUPPRESS_FD_WARNINGS=1
change=$1
shift
tag="backout.change=$change"
flush() { sync "$@" 2>/dev/null || sync; }

# What the same change has left from an opening that came to nothing goes first; the
# marker of after it must not be in the new one.
old() {
	lvs "$1" >/dev/null 2>&1 || return 0
	lvs --noheadings -o lv_tags "$1" | tr -d ' ' | tr ',' '\n' | grep -qxF "$tag" || {
		echo "$1 is there and not of this change"
		return 1
	}
	[ -z "$(lvs -a --noheadings -o lv_merging "$1" | tr -d ' ')" ] || {
		echo "$1 is being merged"
		return 1
	}
	lvremove -y "$1"
}
made=
undo() {
	for s in $made; do lvremove -y "$s"; done
	echo "no snapshot is left: $1"
	exit 1
}
each() {
	step=$1
	shift
	while [ $# -gt 0 ]; do
		"$step" "$1" "$2" "$3" "$4" || return 1
		shift 4
	done
}
before() {
	old "$2" || return 1
	[ -n "$4" ] || return 0
	dir=${4%/}/.backout
	mkdir -p "$dir" && chmod 700 "$dir" && rm -f "$dir/$change.post" && echo "$2" >"$dir/$change.pre" && flush "$dir/$change.pre" "$dir"
}
snapshot() {
	if [ "$3" = 0 ]; then
		lvcreate -y -s -n "${2#*/}" --addtag "$tag" "$1"
	else
		lvcreate -y -s -L "${3}b" -n "${2#*/}" --addtag "$tag" "$1"
	fi || return 1
	made="$made $2"
}
after() {
	[ -n "$4" ] || return 0
	dir=${4%/}/.backout
	echo "$2" >"$dir/$change.post" && flush "$dir/$change.post" "$dir"
}
each before "$@" || exit 1
each snapshot "$@" || undo "one could not be made"
each after "$@" || undo "the marker of after it could not be written"
