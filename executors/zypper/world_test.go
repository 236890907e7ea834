package zypper_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/zypper"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// world is this machine with an /etc, /var and /srv that may be written to: zypper
// and rpm are the real ones, with a database and a repository of their own.
type world struct {
	*hosttest.Apart
	dir string
}

const mounts = `mount -t tmpfs none "$1/over"
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
echo ready`

func newWorld(t *testing.T) *world {
	t.Helper()
	for _, tool := range [][2]string{{"zypper", "zypper"}, {"rpmbuild", "rpm"}, {"createrepo_c", "createrepo-c"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			hosttest.Missing(t, "no "+tool[0]+" here: apt-get install "+tool[1])
		}
	}
	dir := t.TempDir()
	for _, d := range []string{"over", "repo", "all"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &world{hosttest.NewApart(t, executorstest.Local(t), mounts, dir), dir}
}

// pkg is a package to build.
type pkg struct{ name, version, extra, more string }

// build makes packages; they are in no repository before publish.
func (w *world) build(t *testing.T, all ...pkg) {
	t.Helper()
	var specs []string
	for i, p := range all {
		spec := filepath.Join(w.dir, fmt.Sprintf("%d.spec", i))
		text := fmt.Sprintf("Name: %s\nVersion: %s\nRelease: 1\nSummary: a test\nLicense: MIT\nBuildArch: noarch\n%s\n%%description\ntest\n%%install\nmkdir -p %%{buildroot}/srv\necho %s >%%{buildroot}/srv/%s\n%s\n%%files\n/srv/%s\n",
			p.name, p.version, p.extra, p.version, p.name, p.more, p.name)
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
	w.Sh(t, `cd "$1"; shift; rm -f repo/*.rpm; for f; do cp "all/$f-1.noarch.rpm" repo/; done; createrepo_c -q repo
[ -e /etc/zypp/repos.d/test.repo ] || zypper -n addrepo --no-gpgcheck -f "dir://$PWD/repo" test >/dev/null; zypper -n refresh -f >/dev/null`, append([]string{w.dir}, files...)...)
}

func (w *world) installed(t *testing.T) string {
	t.Helper()
	return strings.Join(strings.Fields(w.Sh(t, `rpm -qa --qf '%{NAME}-%{VERSION}\n' | sort`)), " ")
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
