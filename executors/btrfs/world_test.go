package btrfs_test

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
	"github.com/backout-io/backout/executors/btrfs"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// world is this machine as seen from a mount namespace in which a real btrfs is
// mounted from an image: at /srv subvolume @srv by name, and at its top level the
// folder Top. Nothing of it is left when its keeper ends.
type world struct {
	backout.Host
	keeper string
	dir    string
	device string
}

const keeperText = `set -e
mount --make-rprivate /
device=$(losetup -f --show "$1/image")
mkdir -p "$1/top"
mount -t btrfs "$device" "$1/top"
losetup -d "$device"
mount -t tmpfs none /run
btrfs subvolume create "$1/top/@srv" >/dev/null
printf '%s /srv btrfs subvol=@srv 0 0\n' "$device" >"$1/fstab"
touch /etc/fstab 2>/dev/null || :
mount --bind "$1/fstab" /etc/fstab
mount /srv
echo "$device"
exec sleep 3600
`

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "a btrfs of its own needs root")
	}
	for _, tool := range [][2]string{{"mkfs.btrfs", "btrfs-progs"}, {"losetup", "mount"}, {"unshare", "util-linux"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			hosttest.Missing(t, "no "+tool[0]+" here: apt-get install "+tool[1])
		}
	}
	w := &world{Host: executorstest.Local(t), dir: t.TempDir()}
	image := filepath.Join(w.dir, "image")
	if out, err := exec.Command("sh", "-c", `truncate -s 4G "$1" && mkfs.btrfs -q "$1"`, "sh", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.btrfs: %v\n%s", err, out)
	}
	keeper := exec.Command("unshare", "-m", "sh", "-c", keeperText, "sh", w.dir)
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
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		hosttest.Missing(t, "no btrfs can be mounted here: "+why.String())
	}
	w.keeper, w.device = strconv.Itoa(keeper.Process.Pid), strings.TrimSpace(line)
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
		t.Fatalf("%s: %d %v %s", text, r.ExitCode, err, r.Stderr)
	}
	return strings.TrimSpace(string(r.Stdout))
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
	restore.Prepared = []backout.Prepared{{Uses: "btrfs.snapshot", Facts: o.Facts}}
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
