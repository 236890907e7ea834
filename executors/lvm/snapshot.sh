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
# mark writes a marker: mount point, before or after, text. Its folder must be root's
# own: whoever may write to the volume's root could lead root elsewhere by a link.
mark() (
	dir=${1%/}/.backout
	mkdir -m 700 "$dir" 2>/dev/null
	if ! { cd -P "$dir" && [ "$(pwd -P)" = "$dir" ] && [ "$(stat -c %u .)" = "$(id -u)" ]; }; then
		echo "$dir is not a folder of root's own: look who has made it, and remove it"
		exit 1
	fi
	set -C
	chmod 700 . && rm -f "./$change.post" && { [ "$2" = post ] || rm -f "./$change.pre"; } && echo "$3" >"./$change.$2" && flush "./$change.$2" .
)
before() {
	old "$2" || return 1
	[ -z "$4" ] || mark "$4" pre "$2"
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
	[ -z "$4" ] || mark "$4" post "$2"
}
each before "$@" || exit 1
each snapshot "$@" || undo "one could not be made"
each after "$@" || undo "the marker of after it could not be written"
