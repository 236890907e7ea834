# Merges the snapshots of one set, or schedules that. None when one cannot be.
#   $1 the change   $2 the kernel the snapshots were made under, or ""
#   then for each volume: vg/lv, its uuid, the uuid of the snapshot
export LC_ALL=C TZ=UTC LVM_SUPPRESS_FD_WARNINGS=1
change=$1 kernel=$2
shift 2
boot=$(cat /proc/sys/kernel/random/boot_id)
field() { lvs -a --noheadings -o "$1" --select "lv_uuid=$2" | tr -d ' []'; }
ordered() { field lv_tags "$1" | tr ',' '\n' | grep -q "^backout.merge=[^/]*/$2/"; }
each() {
	step=$1
	shift
	while [ $# -gt 0 ]; do
		"$step" "$1" "$2" "$3" || return 1
		shift 3
	done
}
check() {
	[ "$(field vg_name "$2")/$(field lv_name "$2")" = "$1" ] || {
		echo "$1 is not the volume that was snapshotted"
		return 1
	}
	state=$(field lv_attr "$3")
	case $state in
	'') ordered "$2" "$3" || {
		echo "the snapshot of $1 is gone"
		return 1
	} ;;
	????[ISmM]*)
		echo "the snapshot of $1 cannot be merged (lv_attr $state)"
		return 1
		;;
	esac
}
merge() {
	case $(field lv_attr "$3") in
	'')
		echo "$1 was merged before"
		return 0
		;;
	S*)
		echo "the merge into $1 is scheduled already"
		return 0
		;;
	esac
	snapshot="$(field vg_name "$3")/$(field lv_name "$3")"
	ordered "$2" "$3" || lvchange --addtag "backout.merge=$change/$3/$boot" "$1" || return 1
	lvconvert -y --merge "$snapshot" && return 0
	# Somebody else may have done it meanwhile.
	case $(field lv_attr "$3") in S*) return 0 ;; esac
	return 1
}
each check "$@" || {
	echo "nothing was merged: the volumes of a set go back together"
	exit 1
}
each merge "$@" || exit 1
# /boot does not go back: the default must be a kernel whose modules are there.
if [ -n "$kernel" ] && command -v grubby >/dev/null 2>&1 && [ -e "/boot/vmlinuz-$kernel" ]; then
	[ "$(grubby --default-kernel)" = "/boot/vmlinuz-$kernel" ] || grubby --set-default "/boot/vmlinuz-$kernel"
fi
