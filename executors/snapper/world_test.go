package snapper_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/snapper"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// world is this machine with a real btrfs at /srv, which has a config of snapper's.
// No bus is there.
type world struct{ *hosttest.Apart }

const mounts = `mount -t tmpfs none "$1/over"
mkdir "$1/over/etc" "$1/over/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/over/etc,workdir=$1/over/work" /etc
mount -t tmpfs none /run
device=$(losetup -f --show "$1/image")
mount -t btrfs "$device" /srv
losetup -d "$device"
snapper --no-dbus -c srv create-config /srv
echo ready`

func newWorld(t *testing.T) *world {
	t.Helper()
	for _, tool := range [][2]string{{"mkfs.btrfs", "btrfs-progs"}, {"snapper", "snapper"}, {"losetup", "mount"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			hosttest.Missing(t, "no "+tool[0]+" here: apt-get install "+tool[1])
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("sh", "-c", `mkdir "$1/over"; truncate -s 4G "$1/image" && mkfs.btrfs -q "$1/image"`, "sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.btrfs: %v\n%s", err, out)
	}
	return &world{hosttest.NewApart(t, executorstest.Local(t), mounts, dir)}
}

func kindOf(t *testing.T, name string) executors.Kind {
	t.Helper()
	for _, k := range snapper.Kinds() {
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

// snapshot takes the set's snapshots and returns the task of going back to them.
func snapshot(t *testing.T, h backout.Host, section, attempt string) backout.Task {
	t.Helper()
	var out bytes.Buffer
	o, err := executorstest.Build(t, kindOf(t, "snapper.snapshot"), section).Execute(t.Context(), task("snapper.snapshot", attempt), h, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	back := task("snapper.rollback", "r1.L2.s1.t1.a1")
	back.Prepared, back.Opened = []backout.Prepared{{Uses: "snapper.snapshot", Facts: o.Facts}}, true
	return back
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

func cleanup(t *testing.T, h backout.Host, section, attempt string) error {
	t.Helper()
	c, ok := executorstest.Build(t, kindOf(t, "snapper.snapshot"), section).(backout.Cleaner)
	if !ok {
		t.Fatal("no clean-up")
	}
	return c.Cleanup(t.Context(), task("snapper.snapshot", attempt), h, &bytes.Buffer{})
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "# ") {
			kept = append(kept, "|"+line)
		}
	}
	return strings.Join(kept, "")
}
