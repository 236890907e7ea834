package snapper_test

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

const root = `{"configs": ["root"]}`

// TestRootGoesBackByTheNextBoot is L2 from end to end: a machine whose root is the
// default subvolume, with snapper's daemon on its bus, is patched badly, rolled
// back and rebooted.
func TestRootGoesBackByTheNextBoot(t *testing.T) {
	d := hosttest.Btrfs(t, "")
	m := hosttest.SystemdOn(t, d, "btrfs-progs", "snapper")
	h := dial(t, m)
	m.Do(t, "sh", "-c", `snapper -c root create-config / && systemctl -q disable --now snapper-boot.timer snapper-timeline.timer snapper-cleanup.timer || :`)
	if got := preflight(t, h, root, task("snapper.rollback", "p")); !strings.Contains(got, "/.snapshots is not in /etc/fstab") {
		t.Errorf("snapshots that would be lost: %q", got)
	}
	m.Do(t, "sh", "-c", `echo "$1 /.snapshots btrfs subvol=@/.snapshots 0 0" >/etc/fstab; mount /.snapshots`, "sh", d.Device)
	if got := preflight(t, h, root, task("snapper.rollback", "p")); got != "" {
		t.Fatalf("preflight: %s", got)
	}
	back := snapshot(t, h, root, "b1.B.s1.t1")
	m.Do(t, "sh", "-c", "echo bad >/etc/patched; rm /usr/bin/awk; snapper -c root create")
	e := executorstest.Build(t, kindOf(t, "snapper.rollback"), root)
	// A second attempt must not go back to what the first one left.
	for _, attempt := range []string{"r1.L2.s1.t1.a1", "r1.L2.s1.t1.a2"} {
		back.AttemptID = "CHG1-" + attempt
		var out bytes.Buffer
		o, err := e.Execute(t.Context(), back, h, &out)
		if err != nil || !strings.Contains(o.Summary, "the next boot finds") {
			t.Fatalf("%+v %v\n%s", o, err, out.Bytes())
		}
	}
	if got := probe(t, h, root, back); got.State != backout.ProbePendingReboot {
		t.Errorf("before the boot: %+v", got)
	}
	if err := cleanup(t, h, root, "c1"); err == nil || !strings.Contains(err.Error(), "has not happened") {
		t.Errorf("clean-up before the boot: %v", err)
	}
	m.Reboot(t)
	// No device unit comes up in a container, and so no mount of a device.
	m.Do(t, "mount", "/.snapshots")
	if got := probe(t, h, root, back); got.State != backout.ProbeDone {
		t.Errorf("after the boot: %+v\n%s", got, m.Do(t, "snapper", "-c", "root", "list"))
	}
	if got := m.Do(t, "sh", "-c", "ls /etc/patched /usr/bin/awk 2>&1 || :"); !strings.Contains(got, "cannot access '/etc/patched'") || !strings.Contains(got, "\n/usr/bin/awk") {
		t.Errorf("after the boot: %s", got)
	}
	if err := cleanup(t, h, root, "c2"); err != nil {
		t.Error(err)
	}
	// What runs stays.
	if got := probe(t, h, root, back); got.State != backout.ProbeDone {
		t.Errorf("after clean-up: %+v\n%s", got, m.Do(t, "snapper", "-c", "root", "list"))
	}
	if got := m.Do(t, "snapper", "-c", "root", "list"); strings.Count(got, "backout") != 2 {
		t.Errorf("after clean-up: %s", got)
	}
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
