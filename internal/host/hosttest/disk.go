package hosttest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Disk is a file system of a machine's own for its root: it is mounted before each
// boot and unmounted after it, so that a boot finds what a reboot would.
type Disk struct {
	// Mount and Unmount are command lines to which the root's path is added.
	Mount, Unmount []string
	// Device is given to the machine.
	Device string
}

// Btrfs makes a disk with the root in subvolume @, which is mounted with the
// options, or as the default subvolume where there are none.
func Btrfs(t testing.TB, options string) *Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "a loop device needs root")
	}
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		Missing(t, "no mkfs.btrfs here: apt-get install btrfs-progs")
	}
	const text = `set -e
truncate -s 4G "$1/image"
mkfs.btrfs -q "$1/image" >&2
device=$(losetup -f --show "$1/image")
mkdir "$1/top"
trap '[ "$done" ] || losetup -d "$device"' EXIT
done=
mount -t btrfs "$device" "$1/top"
btrfs subvolume create "$1/top/@" >&2
[ -n "$2" ] || btrfs subvolume set-default "$1/top/@"
umount "$1/top"
done=1
echo "$device"`
	cmd := exec.Command("sh", "-c", text, "sh", t.TempDir(), options)
	var why bytes.Buffer
	cmd.Stderr = &why
	out, err := cmd.Output()
	if err != nil {
		Missing(t, "no btrfs can be mounted here: "+why.String())
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "-d", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v %s", err, out)
		}
	})
	mount := []string{"mount", "-t", "btrfs"}
	if options != "" {
		mount = append(mount, "-o", options)
	}
	return &Disk{Mount: append(mount, device), Unmount: []string{"umount"}, Device: device}
}

// insert mounts the machine's disk, eject unmounts it.
func (m *Machine) insert() error {
	if m.disk == nil {
		return nil
	}
	return m.mount(m.disk.Mount)
}

func (m *Machine) eject() error {
	if m.disk == nil {
		return nil
	}
	return m.mount(m.disk.Unmount)
}

func (m *Machine) mount(argv []string) error {
	if out, err := exec.Command(argv[0], append(argv[1:len(argv):len(argv)], m.Root)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
	}
	return nil
}
