package lvm_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/lvm"
	"github.com/backout-io/backout/executors/system"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

// site is a guest and how it is driven.
type site struct {
	t *testing.T
	*hosttest.Guest
	host backout.Host
	n    int
}

func newSite(t *testing.T) *site {
	g := hosttest.LVM(t)
	n, err := ssh.New(ssh.Options{User: "root", Key: g.KeySecret, KnownHosts: g.KnownHosts, ConnectTimeout: 60 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	h, err := n.Host(g.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, Guest: g, host: h}
}

func kind(t *testing.T, name string) executors.Kind {
	t.Helper()
	for _, k := range append(lvm.Kinds(), system.Kind()) {
		if k.KindName() == name {
			return k
		}
	}
	t.Fatal("no kind " + name)
	return executors.Kind{}
}

// step is one step of a change on the guest.
type step struct {
	backout.Executor
	task backout.Task
	s    *site
}

func (s *site) step(name, change, section string, prepared ...backout.Prepared) step {
	s.t.Helper()
	s.n++
	k := kind(s.t, name)
	return step{executorstest.Build(s.t, k, section), backout.Task{
		AttemptID: fmt.Sprintf("%s-b1.B.s1.t%d", change, s.n), ChangeID: change, Step: backout.Step{Uses: name}, Target: s.Target, Prepared: prepared,
	}, s}
}

// does runs the step and wants it to end well.
func (st step) does() backout.Outcome {
	st.s.t.Helper()
	var out bytes.Buffer
	o, err := st.Execute(st.s.t.Context(), st.task, st.s.host, &out)
	if err != nil {
		st.s.t.Fatalf("%s: %v\n%s", st.task.Step.Uses, err, out.String())
	}
	return o
}

// fails runs the step and wants it to fail so.
func (st step) fails(want string) {
	st.s.t.Helper()
	var out bytes.Buffer
	if _, err := st.Execute(st.s.t.Context(), st.task, st.s.host, &out); err == nil || !strings.Contains(err.Error(), want) {
		st.s.t.Fatalf("%s: %v, want %q\n%s", st.task.Step.Uses, err, want, out.String())
	}
}

// preflight wants each reason to hold one of the words; none wanted, none to be.
func (st step) preflight(want ...string) {
	st.s.t.Helper()
	got := st.Executor.(backout.Preflighter).Preflight(st.s.t.Context(), st.task, st.s.host)
	if len(got) != len(want) {
		st.s.t.Fatalf("preflight of %s: %+v, want %q", st.task.Step.Uses, got, want)
	}
	for i, v := range got {
		if !strings.Contains(v.Reason, want[i]) || v.Fix == "" {
			st.s.t.Errorf("preflight of %s: %+v, want %q", st.task.Step.Uses, v, want[i])
		}
	}
}

func (st step) probes(want backout.ProbeState) {
	st.s.t.Helper()
	p, err := st.Executor.(backout.Prober).Probe(st.s.t.Context(), st.task, st.s.host)
	if err != nil || p.State != want {
		st.s.t.Fatalf("probe of %s: %+v %v, want %s", st.task.Step.Uses, p, err, want)
	}
}

// snapshot makes a set and returns what the baseline would remember.
func (s *site) snapshot(change, section string) backout.Prepared {
	s.t.Helper()
	st := s.step(lvm.SnapshotName, change, section)
	st.preflight()
	st.probes(backout.ProbeNotDone)
	o := st.does()
	st.probes(backout.ProbeDone)
	return backout.Prepared{Uses: lvm.SnapshotName, Facts: o.Facts}
}

// sh runs a script on the guest and returns what it says; one that fails fails the test.
func (s *site) sh(script string) string {
	s.t.Helper()
	r, err := s.host.Run(s.t.Context(), backout.Exec{Argv: []string{"sh", "-c", script}})
	if err != nil || r.ExitCode != 0 {
		s.t.Fatalf("%s: %v, exit code %d\n%s%s", script, err, r.ExitCode, r.Stdout, r.Stderr)
	}
	return string(r.Stdout)
}

// record keeps a look for the tests that have no guest, where BACKOUT_RECORD names a
// folder for it.
func (s *site) record(name string) {
	s.t.Helper()
	dir := os.Getenv("BACKOUT_RECORD")
	if dir == "" {
		return
	}
	script, err := os.ReadFile("look.sh")
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.host.Run(s.t.Context(), backout.Exec{Argv: []string{"sh", "-c", string(script), "sh", "CHG1", "boot"}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".txt"), r.Stdout, 0o644)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// shop is a package in two versions.
const shop = `set -e
for v in 1.0 2.0; do
	mkdir -p /tmp/p/DEBIAN /tmp/p/srv
	printf 'Package: shop\nVersion: %s\nArchitecture: all\nMaintainer: nobody\nDescription: a shop\n' $v >/tmp/p/DEBIAN/control
	echo "$v" >/tmp/p/srv/shop
	dpkg-deb --root-owner-group -Znone -b /tmp/p /root/shop-$v.deb >/dev/null
done
dpkg -i /root/shop-1.0.deb >/dev/null
lvcreate -q -y -W n -L 16M -n data vg0
lvcreate -q -y -W n -L 32M -n small vg0
lvcreate -q -y -L 32M -T vg0/pool 2>/dev/null
lvcreate -q -y -V 24M -T vg0/pool -n thin 2>/dev/null
for v in data small thin; do mkfs.ext4 -q /dev/vg0/$v; done`

// write leaves the text on a volume that is not mounted otherwise; read finds it.
const (
	write = `mkdir -p /mnt; mount /dev/vg0/%s /mnt && echo %s >/mnt/text && umount /mnt`
	read  = `mkdir -p /mnt; mount -r /dev/vg0/%s /mnt && cat /mnt/text; umount /mnt`
)

func TestGuest(t *testing.T) {
	s := newSite(t)
	s.sh(shop)
	for _, v := range []string{"data", "thin"} {
		s.sh(fmt.Sprintf(write, v, "old"))
	}

	s.record("fresh")

	t.Run("root", func(t *testing.T) { s.root(t) })
	t.Run("thin", func(t *testing.T) { s.thin(t) })
	t.Run("overfull snapshot becomes invalid", func(t *testing.T) { s.overfull(t) })
}

// thin: a thin volume that is not in use goes back at once.
func (s *site) thin(t *testing.T) {
	s.t = t
	p := s.snapshot("CHG2", `{"volumes": ["vg0/thin"], "unchecked_boot": true}`)
	s.sh(fmt.Sprintf(write, "thin", "new"))
	s.record("thin")
	merge := s.step(lvm.MergeName, "CHG2", `{}`, p)
	merge.preflight()
	merge.does()
	merge.probes(backout.ProbeDone)
	s.step(lvm.FinishName, "CHG2", `{}`, p).does()
	if got := s.sh(fmt.Sprintf(read, "thin")); got != "old\n" {
		t.Errorf("after the merge vg0/thin has %q", got)
	}
}

// overfull: at 100 % the snapshot is invalid, and nothing of its set is merged.
func (s *site) overfull(t *testing.T) {
	s.t = t
	p := s.snapshot("CHG3", `{"volumes": ["vg0/small", "vg0/data"], "size": "4m", "unchecked_boot": true}`)
	merge := s.step(lvm.MergeName, "CHG3", `{}`, p)
	merge.preflight()
	s.sh(`dd if=/dev/zero of=/dev/vg0/small bs=1M seek=20 count=3 conv=notrunc,fsync 2>/dev/null`)
	merge.preflight("filling up")
	s.sh(`dd if=/dev/zero of=/dev/vg0/small bs=1M seek=10 count=8 conv=notrunc,fsync 2>/dev/null`)
	s.record("invalid")
	merge.preflight("snapshot vg0/backout_CHG3.small is invalid")
	merge.probes(backout.ProbeBroken)
	merge.fails("nothing was merged")
	if tags := s.sh("lvs --noheadings -o lv_tags vg0/data vg0/small"); strings.TrimSpace(tags) != "" {
		t.Errorf("tags are left: %s", tags)
	}
	clean := s.step(lvm.SnapshotName, "CHG3", `{"volumes": ["vg0/small", "vg0/data"], "size": "4m", "unchecked_boot": true}`, p)
	for range 2 {
		clean.task.AttemptID += "c"
		if err := clean.Executor.(backout.Cleaner).Cleanup(t.Context(), clean.task, s.host, t.Output()); err != nil {
			t.Fatal(err)
		}
	}
	if left := s.sh("lvs --noheadings -o lv_name vg0"); strings.Contains(left, "CHG3") {
		t.Errorf("after the clean-up there are %s", left)
	}
}

// root: a real patch of the root goes back by the next boot, a volume that is not in
// use at once, and both together.
func (s *site) root(t *testing.T) {
	s.t = t
	const section = `{"volumes": ["vg0/root", "vg0/data"]}`
	s.snapshot("CHG1", section) // of an opening that comes to nothing
	again := s.step(lvm.SnapshotName, "CHG1", section)
	p := backout.Prepared{Uses: lvm.SnapshotName, Facts: again.does().Facts}

	s.sh("dpkg -i /root/shop-2.0.deb >/dev/null; echo bad >/etc/patched; sync")
	s.sh(fmt.Sprintf(write, "data", "new"))
	merge := s.step(lvm.MergeName, "CHG1", `{}`, p)
	s.record("made")
	merge.preflight()
	if o := merge.does(); !strings.Contains(o.Summary, "the next boot does it") || !strings.Contains(o.Summary, "vg0/data is as its snapshot was") {
		t.Errorf("merged: %s", o.Summary)
	}
	s.step(lvm.MergeName, "CHG1", `{}`, p).does() // by another attempt: it is scheduled already
	s.record("scheduled")
	if got := s.sh("cat /srv/shop"); got != "2.0\n" {
		t.Errorf("before the reboot the shop is %q", got)
	}

	reboot := s.step(system.RebootName, "CHG1", `{"delay": "1s"}`)
	reboot.preflight()
	reboot.does()
	s.Await(t)
	_, _ = s.host.Probe(t.Context(), "none") // finds the old connection gone
	s.record("merging")
	finish := s.step(lvm.FinishName, "CHG1", `{}`, p)
	finish.probes(backout.ProbeInProgress)
	finish.does()
	s.record("merged")
	merge.probes(backout.ProbeDone)
	s.back(t)
}

// back asserts that the root is as before, and that the clean-up leaves nothing.
func (s *site) back(t *testing.T) {
	t.Helper()
	if got := s.sh("cat /srv/shop; dpkg-query -W -f '${Version}' shop; [ ! -e /etc/patched ] && echo , gone"); got != "1.0\n1.0, gone\n" {
		t.Errorf("after the reboot: %q", got)
	}
	clean := s.step(lvm.SnapshotName, "CHG1", `{"volumes": ["vg0/root", "vg0/data"]}`)
	if err := clean.Executor.(backout.Cleaner).Cleanup(t.Context(), clean.task, s.host, t.Output()); err != nil {
		t.Fatal(err)
	}
	if left := s.sh("lvs -a --noheadings -o lv_name,lv_tags vg0 | grep -e CHG1 -e backout; ls -d /.backout 2>/dev/null; true"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}
