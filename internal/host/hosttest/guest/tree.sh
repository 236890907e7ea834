# Makes a small root file system out of this machine's own programs, and an initramfs.
#   $1 the folder to make it in   $2 the kernel's folder   $3 its release
#   $4 the folder of this script's files   $5 a public key
set -eu
tree=$1/tree kernel=$2 release=$3 files=$4
mkdir -p "$tree/usr/bin" "$tree/usr/sbin" "$tree/usr/lib" "$tree/usr/lib64"
for d in bin sbin lib lib64; do ln -s "usr/$d" "$tree/$d"; done

# The programs, their libraries, and nothing to read.
dpkg -L coreutils dash grep sed tar gzip mawk findutils util-linux mount procps kmod dpkg diffutils debianutils libc-bin \
	lvm2 dmsetup thin-provisioning-tools e2fsprogs openssh-server initramfs-tools-core cpio busybox-static >"$1/all"
grep -E '^/(usr/)?(s?bin|lib)/|^/etc/lvm' "$1/all" | sort -u | while read -r f; do
	[ -d "$f" ] || [ ! -e "$f" ] || echo "$f"
done >"$1/list"
printf '%s\n' /bin/sh /usr/bin/awk /etc/alternatives/awk >>"$1/list"
while read -r f; do ldd "$f" 2>/dev/null || true; done <"$1/list" | grep -oE '/(usr/)?lib[^ ]+' | sort -u >"$1/libraries"
copy() { tar -C / --no-recursion "$@" -cf - | tar -C "$tree" --keep-directory-symlink -xf -; }
copy -T "$1/list"
copy -h -T "$1/libraries"

cd "$tree"
mkdir -p proc sys dev run tmp boot/grub root/.ssh etc/ssh etc/initramfs-tools var/lib/dpkg/info var/lib/dpkg/updates var/log var/tmp "lib/modules/$release"
chmod 1777 tmp
: >var/lib/dpkg/status
for f in init reboot poweroff; do ln -sf ../bin/busybox "sbin/$f"; done
printf 'root:*:0:0:root:/root:/bin/sh\nsshd:*:100:100::/run/sshd:/bin/false\n' >etc/passwd
printf 'root:x:0:\nsshd:x:100:\n' >etc/group
echo '/dev/vg0/root / ext4 defaults 0 1' >etc/fstab
printf '::sysinit:/etc/rc\n::respawn:/usr/sbin/sshd -D -e\n::shutdown:/bin/umount -a -r\n' >etc/inittab
printf 'PermitRootLogin yes\nUsePAM no\nStrictModes no\nHostKey /etc/ssh/ssh_host_ed25519_key\nMaxStartups 100\nUseDNS no\nKexAlgorithms curve25519-sha256\n' >etc/ssh/sshd_config
# QEMU loads the kernel itself; this is what a boot loader would say of it.
printf '\tlinux /vmlinuz-%s root=/dev/vg0/root\n' "$release" >boot/grub/grub.cfg
echo guest >etc/hostname
cp /etc/os-release etc/os-release
install -m 755 "$files/rc" etc/rc
cp "$files/lvmlocal.conf" etc/lvm/lvmlocal.conf
ssh-keygen -q -t ed25519 -N '' -C guest -f etc/ssh/ssh_host_ed25519_key
install -m 600 "$5" root/.ssh/authorized_keys
chmod 700 root root/.ssh
modules() { # modules FOLDER NAME...
	into=$1
	shift
	for m in "$@"; do modprobe -d "$kernel" -S "$release" --show-depends "$m"; done | sed -n "s|^insmod $kernel/\\([^ ]*\\).*|\\1|p" | sort -u |
		tar -C "$kernel" -cf - -T - | tar -C "$into" --keep-directory-symlink -xf -
}
modules "$tree" dm-mod dm-snapshot dm-thin-pool
cp "$kernel/lib/modules/$release/"modules.* "lib/modules/$release/"
ldconfig -r "$tree"

ram=$1/initramfs
mkdir -p "$ram/bin" "$ram/sbin" "$ram/dev" "$ram/proc" "$ram/sys" "$ram/etc/lvm" "$ram/lib/modules/$release"
cp /bin/busybox "$ram/bin/"
ln -s busybox "$ram/bin/sh"
install -m 755 "$files/init" "$ram/init"
cp /sbin/lvm "$ram/sbin/lvm"
cp "$files/lvmlocal.conf" /etc/lvm/lvm.conf "$ram/etc/lvm/"
ldd /sbin/lvm | grep -oE '/(usr/)?lib[^ ]+' | while read -r l; do
	mkdir -p "$ram$(dirname "$l")"
	cp -L "$l" "$ram$l"
done
modules "$ram" virtio_pci virtio_blk virtio_net virtio-rng dm-mod dm-snapshot
depmod -b "$ram" "$release" 2>/dev/null
(cd "$ram" && find . | cpio -o -H newc --quiet | gzip -1) >"$1/initrd"
cp "$1/initrd" "boot/initrd.img-$release"
mkfs.ext4 -q -F -d "$tree" "$1/root.ext4" 160M
truncate -s 1G "$1/disk"
