# Removes the snapshots of a change and its markers and tags.
#   $1 the change   then for each volume: vg/lv, the uuid of the snapshot or "",
#   the mount point or ""
export LC_ALL=C TZ=UTC LVM_SUPPRESS_FD_WARNINGS=1
change=$1
shift
failed=0
field() { lvs -a --noheadings -o "$1" --select "lv_uuid=$2" | tr -d ' []'; }
# What LVM does not answer is not "nothing is there".
lvs -a --noheadings -o lv_uuid >/dev/null || exit 1
while [ $# -gt 0 ]; do
	if [ -n "$2" ] && [ -n "$(field lv_uuid "$2")" ]; then
		if [ -n "$(field lv_merging "$2")" ]; then
			echo "the snapshot of $1 is being merged: it stays"
			failed=1
			shift 3
			continue
		fi
		field lv_tags "$2" | tr ',' '\n' | grep -qxF "backout.change=$change" && lvremove -y "$(field vg_name "$2")/$(field lv_name "$2")" || failed=1
	fi
	lvs --noheadings -o lv_tags "$1" 2>/dev/null | tr -d ' ' | tr ',' '\n' | grep -F "backout.merge=$change/" | while read -r tag; do
		lvchange --deltag "$tag" "$1" >/dev/null
	done
	if [ -n "$3" ]; then
		(cd -P "${3%/}/.backout" 2>/dev/null && [ "$(pwd -P)" = "${3%/}/.backout" ] && rm -f "./$change.pre" "./$change.post")
		rmdir "${3%/}/.backout" 2>/dev/null
	fi
	shift 3
done
exit "$failed"
