package btrfs_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/btrfs"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// world is this machine with a real btrfs from an image: at /srv subvolume @srv by
// name, and its top level in a folder.
type world struct {
	*hosttest.Apart
	dir string
}

const mounts = `device=$(losetup -f --show "$1/image")
mkdir -p "$1/top"
mount -t btrfs "$device" "$1/top"
losetup -d "$device"
mount -t tmpfs none /run
btrfs subvolume create "$1/top/@srv" >/dev/null
printf '%s /srv btrfs subvol=@srv 0 0\n' "$device" >"$1/fstab"
mount --bind "$1/fstab" /etc/fstab
mount /srv
echo "$device"`

func newWorld(t *testing.T) *world {
	t.Helper()
	for _, tool := range [][2]string{{"mkfs.btrfs", "btrfs-progs"}, {"losetup", "mount"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			hosttest.Missing(t, "no "+tool[0]+" here: apt-get install "+tool[1])
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("sh", "-c", `truncate -s 4G "$1" && mkfs.btrfs -q "$1"`, "sh", filepath.Join(dir, "image")).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.btrfs: %v\n%s", err, out)
	}
	return &world{hosttest.NewApart(t, executorstest.Local(t), mounts, dir), dir}
}

func (w *world) top(path string) string { return filepath.Join(w.dir, "top", path) }

func kindOf(t *testing.T, name string) executors.Kind {
	t.Helper()
	for _, k := range btrfs.Kinds() {
		if k.KindName() == name {
			return k
		}
	}
	t.Fatal(name)
	return executors.Kind{}
}

func task(kind, attempt string) backout.Task {
	return backout.Task{
		AttemptID: "CHG1-" + attempt, ChangeID: "CHG1", RollbackID: "CHG1-r1", Level: "L2", Step: backout.Step{Uses: kind}, Target: backout.Target{Name: "web1", Transport: "local"},
	}
}

// snapshot takes the set's snapshots and returns the task of its restore.
func snapshot(t *testing.T, h backout.Host, section, attempt string) backout.Task {
	t.Helper()
	var out bytes.Buffer
	o, err := executorstest.Build(t, kindOf(t, "btrfs.snapshot"), section).Execute(t.Context(), task("btrfs.snapshot", attempt), h, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	restore := task("btrfs.restore", "r1.L2.s1.t1.a1")
	restore.Prepared, restore.Opened = []backout.Prepared{{Uses: "btrfs.snapshot", Facts: o.Facts}}, true
	return restore
}

func probe(t *testing.T, h backout.Host, section string, task backout.Task) backout.Probed {
	t.Helper()
	p, ok := executorstest.Build(t, kindOf(t, task.Step.Uses), section).(backout.Prober)
	if !ok {
		t.Fatal("no probe")
	}
	got, err := p.Probe(t.Context(), task, h)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func preflight(t *testing.T, h backout.Host, section string, task backout.Task) string {
	t.Helper()
	p, ok := executorstest.Build(t, kindOf(t, task.Step.Uses), section).(backout.Preflighter)
	if !ok {
		t.Fatal("no preflight")
	}
	var reasons []string
	for _, v := range p.Preflight(t.Context(), task, h) {
		reasons = append(reasons, v.Reason)
		if v.Check == "" || v.Fix == "" {
			t.Errorf("a violation without check or fix: %+v", v)
		}
	}
	return strings.Join(reasons, "\n")
}
