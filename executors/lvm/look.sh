# Prints what LVM and the system say, in sections, and changes nothing.
#   $1 the change whose markers are looked for
#   $2 "more": what extends a snapshot and what the next boot takes, too; "boot": also
#   what its initramfs can
export LC_ALL=C TZ=UTC LVM_SUPPRESS_FD_WARNINGS=1
section() { printf '\n=backout %s\n' "$1"; }
failed() {
	section failed
	printf '%s\n' "$1"
	exit 0
}
command -v lvs >/dev/null 2>&1 || {
	section missing
	exit 0
}
[ "$(id -u)" = 0 ] || failed "LVM answers only to root"
section boot
cat /proc/sys/kernel/random/boot_id
section kernel
uname -r
section now
date -u +%s
section uptime
cat /proc/uptime
section lvs
said=$(lvs -a --reportformat json --units b --nosuffix -o vg_name,lv_name,lv_uuid,lv_attr,lv_size,origin,origin_uuid,lv_tags,pool_lv,snap_percent,data_percent,metadata_percent,lv_merging,lv_snapshot_invalid,lv_merge_failed,lv_device_open,lv_active,lv_kernel_major,lv_kernel_minor,vg_free,vg_extent_size 2>&1) || failed "lvs: $said"
printf '%s\n' "$said"
section mounts
cat /proc/self/mountinfo
section swaps
tail -n +2 /proc/swaps | while read -r file rest; do readlink -f "$file"; done
section written
cat /proc/diskstats
section markers
while read -r _ _ _ _ point rest; do
	case $point in *\\*) continue ;; esac
	for mark in pre post; do
		[ ! -e "${point%/}/.backout/$1.$mark" ] || printf '%s %s\n' "$mark" "$point"
	done
done </proc/self/mountinfo
if [ -n "$2" ]; then
	section autoextend
	lvmconfig --type full activation/snapshot_autoextend_threshold activation/thin_pool_autoextend_threshold 2>/dev/null
	[ ! -e /run/dmeventd.pid ] || echo dmeventd=runs
	section bootable
	kernel=$(uname -r)
	if command -v grubby >/dev/null 2>&1; then
		printf 'default=%s\n' "$(grubby --default-kernel 2>/dev/null)"
		echo grubby=yes
	elif [ -r /boot/grub/grub.cfg ]; then
		printf 'default=%s\n' "$(sed -n 's/^[[:space:]]*linux[[:space:]]\{1,\}\([^[:space:]]*\).*/\1/p' /boot/grub/grub.cfg | head -n 1)"
	fi
fi
if [ "$2" = boot ]; then
	image=
	for i in "/boot/initramfs-$kernel.img" "/boot/initrd.img-$kernel" "/boot/initrd-$kernel"; do
		[ ! -e "$i" ] || image=$i
	done
	if grep -q '/dm-snapshot\.ko' "/lib/modules/$kernel/modules.builtin" 2>/dev/null; then
		echo initramfs=yes
	elif [ -n "$image" ] && command -v lsinitrd >/dev/null 2>&1; then
		lsinitrd "$image" 2>/dev/null | grep -q 'dm-snapshot\.ko' && echo initramfs=yes || echo initramfs=dracut
	elif [ -n "$image" ] && command -v lsinitramfs >/dev/null 2>&1; then
		lsinitramfs "$image" 2>/dev/null | grep -q 'dm-snapshot\.ko' && echo initramfs=yes || echo initramfs=initramfs-tools
	else
		echo "initramfs=unknown"
	fi
fi
section end
