package snapper_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/snapper"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// world is this machine as seen from a mount namespace in which /srv is a btrfs
// with a config of snapper's, and /etc may be written to. No bus is there.
type world struct {
	backout.Host
	keeper string
}

const keeperText = `set -e
mount --make-rprivate /
mount -t tmpfs none "$1/over"
mkdir "$1/over/etc" "$1/over/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/over/etc,workdir=$1/over/work" /etc
mount -t tmpfs none /run
device=$(losetup -f --show "$1/image")
mount -t btrfs "$device" /srv
losetup -d "$device"
snapper --no-dbus -c srv create-config /srv
echo ready
exec sleep 3600
`

func need(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "snapper needs root")
	}
	for _, tool := range [][2]string{{"mkfs.btrfs", "btrfs-progs"}, {"snapper", "snapper"}, {"losetup", "mount"}, {"unshare", "util-linux"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			hosttest.Missing(t, "no "+tool[0]+" here: apt-get install "+tool[1])
		}
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	need(t)
	dir := t.TempDir()
	if out, err := exec.Command("sh", "-c", `mkdir "$1/over"; truncate -s 4G "$1/image" && mkfs.btrfs -q "$1/image"`, "sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.btrfs: %v\n%s", err, out)
	}
	w := &world{Host: executorstest.Local(t)}
	keeper := exec.Command("unshare", "-m", "sh", "-c", keeperText, "sh", dir)
	keeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var why bytes.Buffer
	keeper.Stderr = &why
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = keeper.Process.Kill()
		_ = keeper.Wait()
	})
	if _, err := bufio.NewReader(said).ReadString('\n'); err != nil {
		hosttest.Missing(t, "no btrfs can be mounted here: "+why.String())
	}
	w.keeper = strconv.Itoa(keeper.Process.Pid)
	return w
}

func (w *world) inside(e backout.Exec) backout.Exec {
	e.Argv = append([]string{"nsenter", "--target", w.keeper, "--mount"}, e.Argv...)
	return e
}

func (w *world) Start(ctx context.Context, id string, e backout.Exec) error {
	return w.Host.Start(ctx, id, w.inside(e))
}

func (w *world) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	return w.Host.Run(ctx, w.inside(e))
}

// sh runs a script in the world and returns what it said.
func (w *world) sh(t *testing.T, text string, args ...string) string {
	t.Helper()
	r, err := w.Run(t.Context(), backout.Exec{Argv: append([]string{"sh", "-ec", text, "sh"}, args...)})
	if err != nil || r.ExitCode != 0 {
		t.Fatalf("%s: %d %v %s%s", text, r.ExitCode, err, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(string(r.Stdout))
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
	back.Prepared = []backout.Prepared{{Uses: "snapper.snapshot", Facts: o.Facts}}
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
