# Waits until the snapshots are merged away, and has LVM look after that.
#   $1 for how many seconds   then the uuids of the snapshots
export LC_ALL=C TZ=UTC LVM_SUPPRESS_FD_WARNINGS=1
left=$1
shift
while :; do
	groups=
	for uuid in "$@"; do
		g=$(lvs -a --noheadings -o vg_name,lv_attr,snap_percent --select "lv_uuid=$uuid") || exit 1
		[ -z "$g" ] || {
			echo "merging:$g"
			groups="$groups ${g#"${g%%[! ]*}"}"
			# One that is merged but not polled stays for ever.
			set -f
			# shellcheck disable=SC2086 # the first word is the group
			(set -- $g && vgchange --poll y "$1" >/dev/null)
			set +f
		}
	done
	[ -n "$groups" ] || exit 0
	[ "$left" -gt 0 ] || {
		echo "it takes too long"
		exit 1
	}
	sleep 2
	left=$((left - 2))
done
