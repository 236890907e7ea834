package capture_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// rpmRoot is an install root with packages of the test's own, by the real dnf and rpm.
type rpmRoot struct {
	t    *testing.T
	dir  string
	conf string
}

func newRPMRoot(t *testing.T) rpmRoot {
	t.Helper()
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "an install root needs root")
	}
	for _, part := range [][2]string{{"dnf", "dnf"}, {"rpmbuild", "rpm"}, {"createrepo_c", "createrepo-c"}, {"unshare", "util-linux"}} {
		if _, err := exec.LookPath(part[0]); err != nil {
			hosttest.Missing(t, "no "+part[0]+" here: apt-get install "+part[1])
		}
	}
	r := rpmRoot{t: t, dir: t.TempDir()}
	r.conf = filepath.Join(r.dir, "dnf.conf")
	write(t, r.conf, fmt.Sprintf("[main]\nreposdir=/nonexistent\nplugins=0\ngpgcheck=0\ncachedir=%[1]s/cache\nlogdir=%[1]s/log\n[demo]\nname=demo\nbaseurl=file://%[1]s/repo\n", r.dir))
	write(t, r.dir+"/os-release", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n")
	for _, p := range [][2]string{{"app", "1.0"}, {"app", "2.0"}, {"kernel", "5.1"}, {"kernel", "5.2"}} {
		spec := fmt.Sprintf("Name: %s\nVersion: %s\nRelease: 1.el9\nEpoch: 3\nSummary: x\nLicense: x\nBuildArch: noarch\nAutoReqProv: no\n%%description\n%%install\nmkdir -p %%{buildroot}/opt/%[1]s; echo %[2]s >%%{buildroot}/opt/%[1]s/%[2]s\n%%files\n/opt/%[1]s/%[2]s\n", p[0], p[1])
		write(t, r.dir+"/x.spec", spec)
		r.run("rpmbuild", "-bb", "--quiet", "--define", "_topdir "+r.dir+"/build", "--define", "_rpmdir "+r.dir+"/repo", r.dir+"/x.spec")
	}
	r.run("createrepo_c", "-q", r.dir+"/repo")
	return r
}

func (r rpmRoot) run(argv ...string) {
	r.t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

func (r rpmRoot) dnf(argv ...string) {
	r.t.Helper()
	r.run(append([]string{"dnf", "-y", "-q", "-c", r.conf, "--installroot=" + r.dir + "/root", "--releasever=9"}, argv...)...)
}

// host shows the script this machine with the databases of the root in place of its
// own, in a mount namespace that ends with it.
func (r rpmRoot) host() here {
	database := r.dir + "/root/root/.rpmdb" // where Debian's rpm keeps it, below HOME
	if _, err := os.Stat(database); err != nil {
		r.t.Fatal(err)
	}
	return here{
		env: []string{"HOME=" + r.dir + "/root/root"},
		before: "mkdir -p " + r.dir + "/upper " + r.dir + "/work\nmount -t overlay overlay -o lowerdir=/var/lib,upperdir=" + r.dir + "/upper,workdir=" + r.dir + "/work /var/lib\n" +
			"mkdir -p /var/lib/dnf\nmount --bind " + r.dir + "/root/var/lib/dnf /var/lib/dnf\nmount --bind " + r.dir + "/os-release /etc/os-release\n" +
			"mkdir -p " + r.dir + "/etc/dnf/plugins\nmount --bind " + r.dir + "/etc/dnf /etc/dnf",
	}
}

// TestTakeWithRealRPMAndDNF: versions with their epoch, where they came from, the
// number of the last transaction, locks, and the delta of an upgrade.
func TestTakeWithRealRPMAndDNF(t *testing.T) {
	r := newRPMRoot(t)
	r.dnf("install", "app-1.0", "kernel-5.1")
	write(t, r.dir+"/etc/dnf/dnf.conf", "[main]\n")
	write(t, r.dir+"/etc/dnf/plugins/versionlock.list", "# Added lock on Mon\nbash-0:5.1.8-9.el9.*\n!app-3:3.0-*\n")
	take := func() backout.Inventory {
		t.Helper()
		inv, err := capture.Take(t.Context(), r.host(), without(backout.PartPorts))
		if err != nil {
			t.Fatal(err)
		}
		return inv
	}
	before := take()
	p := before.Packages
	if p.Manager != "rpm" || !strings.HasPrefix(p.Tool, "dnf 4.") || p.History != "1" || fmt.Sprint(p.Held) != "[!app-3:3.0-* bash-0:5.1.8-9.el9.*]" {
		t.Errorf("%+v", p)
	}
	if want := (backout.Package{Name: "app", Version: "3:1.0-1.el9", Arch: "noarch", Repository: "demo"}); len(p.Installed) != 2 || p.Installed[0] != want {
		t.Errorf("%+v", p.Installed)
	}
	if again := take(); string(baseline.EncodeInventory(again)) != string(baseline.EncodeInventory(before)) {
		t.Errorf("the same state, and other bytes")
	}
	r.dnf("upgrade", "app")
	r.dnf("install", "kernel-5.2")
	after := take()
	d := baseline.Compare(before, after)
	want := "[{app noarch 3:1.0-1.el9 3:2.0-1.el9} {kernel noarch  3:5.2-1.el9}]" // the new kernel stands beside the old one
	if got := fmt.Sprint(d.Packages); got != want || d.HistoryFrom != "1" || d.HistoryTo != "3" {
		t.Errorf("%+v", d)
	}
	if verdict, list := baseline.Drift(before, after, &d, nil); verdict != backout.DriftNotBack {
		t.Errorf("%s %+v", verdict, list)
	}
	r.dnf("downgrade", "app-1.0")
	if verdict, list := baseline.Drift(before, take(), &d, nil); verdict == backout.DriftNone || strings.Contains(fmt.Sprint(list), "app.noarch") {
		t.Errorf("%s %+v", verdict, list)
	}
	// While rpm is at work there is no state to be kept.
	busy := r.host()
	busy.before += "\nset -- python3 -c 'import fcntl, subprocess, sys; f = open(sys.argv[1], \"w\"); fcntl.lockf(f, fcntl.LOCK_EX); sys.exit(subprocess.call(sys.argv[2:]))' " + r.dir + "/root/root/.rpmdb/.rpm.lock \"$@\""
	if _, err := capture.Take(t.Context(), busy, without(backout.PartPorts)); err == nil || !strings.Contains(err.Error(), "rpm is at work") {
		t.Errorf("got %v", err)
	}
	// With an empty history dnf itself ends in a traceback.
	for _, name := range []string{"history.sqlite", "history.sqlite-shm", "history.sqlite-wal"} {
		_ = os.Remove(r.dir + "/root/var/lib/dnf/" + name)
	}
	if got := take().Packages.History; got != "" {
		t.Errorf("history %q, of an empty one", got)
	}
}
