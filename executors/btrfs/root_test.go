package btrfs_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

// TestRootIsPutBackByTheNextBoot is L2 from end to end: a machine whose root is a
// subvolume is patched badly, put back, and rebooted.
func TestRootIsPutBackByTheNextBoot(t *testing.T) {
	for name, options := range map[string]string{"by default": "", "by name": "subvol=@"} {
		t.Run(name, func(t *testing.T) {
			d := hosttest.Btrfs(t, options)
			m := hosttest.SystemdOn(t, d, "btrfs-progs", "snapper")
			if options != "" {
				m.Do(t, "sh", "-c", `echo "$1 / btrfs $2 0 0" >/etc/fstab`, "sh", d.Device, options)
			}
			h := dial(t, m)
			const root = `{"except": ["/var/lib/machines", "/var/lib/portables"]}`
			if got := preflight(t, h, root, task("btrfs.snapshot", "p")); got != "" {
				t.Fatalf("preflight: %s", got)
			}
			restore := snapshot(t, h, root, "b1.B.s1.t1")
			m.Do(t, "sh", "-c", "echo bad >/etc/patched; rm /usr/bin/awk")
			var out bytes.Buffer
			o, err := executorstest.Build(t, kindOf(t, "btrfs.restore"), root).Execute(t.Context(), restore, h, &out)
			if err != nil || !strings.Contains(o.Summary, "the next boot") {
				t.Fatalf("%+v %v\n%s", o, err, out.Bytes())
			}
			if got := probe(t, h, root, restore); got.State != backout.ProbePendingReboot {
				t.Errorf("before the boot: %+v", got)
			}
			m.Reboot(t)
			if got := probe(t, h, root, restore); got.State != backout.ProbeDone {
				t.Errorf("after the boot: %+v", got)
			}
			if got := m.Do(t, "sh", "-c", "ls /etc/patched /usr/bin/awk 2>&1 || :"); !strings.Contains(got, "cannot access '/etc/patched'") || !strings.Contains(got, "\n/usr/bin/awk") {
				t.Errorf("after the boot: %s", got)
			}
			cleanup(t, h, root)
			if got := m.Do(t, "btrfs", "subvolume", "list", "/"); strings.Contains(got, "backout") {
				t.Errorf("after clean-up: %s", got)
			}
		})
	}
}

// TestRootAndAnotherSubvolumeGoBackTogether: with / in the set nothing is unmounted.
func TestRootAndAnotherSubvolumeGoBackTogether(t *testing.T) {
	d := hosttest.Btrfs(t, "subvol=@")
	m := hosttest.SystemdOn(t, d, "btrfs-progs", "snapper")
	m.Do(t, "sh", "-ec", `mount -t btrfs -o subvolid=5 "$1" /mnt; btrfs subvolume create /mnt/@srv; umount /mnt
printf '%s / btrfs subvol=@ 0 0\n%s /srv btrfs subvol=/@srv 0 0\n' "$1" "$1" >/etc/fstab; mount /srv; echo old | tee /srv/rows >/etc/rows`, "sh", d.Device)
	h := dial(t, m)
	const both = `{"subvolumes": ["/", "/srv"]}`
	restore := snapshot(t, h, both, "b1.B.s1.t1")
	m.Do(t, "sh", "-ec", "echo new | tee /srv/rows >/etc/rows; cd /srv; setsid sleep 600 >/dev/null 2>&1 &")
	var out bytes.Buffer
	if _, err := executorstest.Build(t, kindOf(t, "btrfs.restore"), both).Execute(t.Context(), restore, h, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	if got := m.Do(t, "cat", "/srv/rows", "/etc/rows"); got != "new\nnew\n" {
		t.Errorf("before the boot: %q", got)
	}
	m.Reboot(t)
	// No device unit comes up in a container, and so no mount of a device.
	m.Do(t, "mount", "/srv")
	if got := m.Do(t, "cat", "/srv/rows", "/etc/rows"); got != "old\nold\n" {
		t.Errorf("after the boot: %q", got)
	}
	if got := probe(t, h, both, restore); got.State != backout.ProbeDone {
		t.Errorf("after the boot: %+v", got)
	}
	cleanup(t, h, both)
}

func dial(t *testing.T, m *hosttest.Machine) backout.Host {
	t.Helper()
	n, err := ssh.New(ssh.Options{User: "root", Key: m.KeySecret, KnownHosts: m.KnownHosts, Port: m.Port, ConnectTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	h, err := n.Host(m.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
