package zypper_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/zypper"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// world is this machine as seen from a mount namespace in which /etc, /var and /srv
// may be written to and nothing stays: zypper and rpm are the real ones, with a
// database and a repository of their own.
type world struct {
	backout.Host
	keeper, dir string
}

const keeperText = `set -e
mount --make-rprivate /
mount -t tmpfs none "$1/over"
for d in etc var srv; do
	mkdir -p "$1/over/$d" "$1/over/work-$d"
	mount -t overlay overlay -o "lowerdir=/$d,upperdir=$1/over/$d,workdir=$1/over/work-$d" "/$d"
done
for d in /var/lib/rpm /etc/zypp/repos.d /var/cache/zypp /var/lib/zypp /var/lib/backout; do
	mkdir -p "$d"
	mount -t tmpfs none "$d"
done
# Debian's rpm has a database for each user.
mkdir -p /etc/rpm
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros
echo ready
exec sleep 3600
`

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "zypper needs root")
	}
	for _, tool := range [][2]string{{"zypper", "zypper"}, {"rpmbuild", "rpm"}, {"createrepo_c", "createrepo-c"}, {"unshare", "util-linux"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			hosttest.Missing(t, "no "+tool[0]+" here: apt-get install "+tool[1])
		}
	}
	w := &world{Host: executorstest.Local(t), dir: t.TempDir()}
	for _, d := range []string{"over", "repo", "all"} {
		if err := os.Mkdir(filepath.Join(w.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
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
	if _, err := bufio.NewReader(said).ReadString('\n'); err != nil {
		hosttest.Missing(t, "no overlay can be mounted here: "+why.String())
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

// pkg is a package to build.
type pkg struct{ name, version, extra, arch string }

// build makes packages; they are in no repository before publish.
func (w *world) build(t *testing.T, all ...pkg) {
	t.Helper()
	var specs []string
	for i, p := range all {
		spec := filepath.Join(w.dir, fmt.Sprintf("%d.spec", i))
		text := fmt.Sprintf("Name: %s\nVersion: %s\nRelease: 1\nSummary: a test\nLicense: MIT\nBuildArch: noarch\n%s\n%%description\ntest\n%%install\nmkdir -p %%{buildroot}/srv\necho %s >%%{buildroot}/srv/%s\n%%files\n/srv/%s\n",
			p.name, p.version, p.extra, p.version, p.name, p.name)
		if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		specs = append(specs, spec)
	}
	argv := append([]string{"--quiet", "--define", "_topdir " + w.dir + "/build", "--define", "_rpmdir " + w.dir + "/all", "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "-bb"}, specs...)
	if out, err := exec.Command("rpmbuild", argv...).CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s", err, out)
	}
}

// publish makes the repository have exactly these files.
func (w *world) publish(t *testing.T, files ...string) {
	t.Helper()
	w.sh(t, `cd "$1"; shift; rm -f repo/*.rpm; for f; do cp "all/$f-1.noarch.rpm" repo/; done; createrepo_c -q repo
[ -e /etc/zypp/repos.d/test.repo ] || zypper -n addrepo --no-gpgcheck -f "dir://$PWD/repo" test >/dev/null; zypper -n refresh -f >/dev/null`, append([]string{w.dir}, files...)...)
}

func (w *world) installed(t *testing.T) string {
	t.Helper()
	return strings.Join(strings.Fields(w.sh(t, `rpm -qa --qf '%{NAME}-%{VERSION}\n' | sort`)), " ")
}

func task(attempt string) backout.Task {
	return backout.Task{
		AttemptID: "CHG1-" + attempt, ChangeID: "CHG1", RollbackID: "CHG1-r1", Level: "L1", Step: backout.Step{Uses: "zypper.undo"}, Target: backout.Target{Name: "web1", Transport: "local"},
	}
}

func change(name, from, to string) backout.PackageChange {
	full := func(v string) string {
		if v == "" {
			return ""
		}
		if !strings.Contains(v, ":") {
			v = "0:" + v
		}
		return v + "-1"
	}
	return backout.PackageChange{Name: name, Arch: "noarch", From: full(from), To: full(to)}
}

func delta(changes ...backout.PackageChange) *backout.Delta {
	return &backout.Delta{Manager: "rpm", Packages: changes}
}

func undo(t *testing.T, section string) zypper.Undo {
	t.Helper()
	u, ok := executorstest.Build(t, zypper.Kind(), section).(zypper.Undo)
	if !ok {
		t.Fatal("not a zypper.Undo")
	}
	return u
}

func reasons(t *testing.T, v []backout.Violation) string {
	t.Helper()
	var all []string
	for _, one := range v {
		all = append(all, one.Reason)
		if one.Check == "" || one.Fix == "" {
			t.Errorf("a violation without check or fix: %+v", one)
		}
	}
	return strings.Join(all, "\n")
}
