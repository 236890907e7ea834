package dnf_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/dnf"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

// world is a machine with dnf, a repository on its disk, and packages that are
// built there.
type world struct {
	m *hosttest.Machine
	h backout.Host
	n int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	m := hosttest.Systemd(t, "dnf", "dnf-plugins-core", "rpm", "createrepo-c")
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
	w := &world{m: m, h: h}
	w.write(t, "etc/dnf/dnf.conf", "[main]\ngpgcheck=0\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\nskip_if_unavailable=False\n")
	w.write(t, "etc/dnf/vars/releasever", "9\n")
	w.write(t, "etc/yum.repos.d/base.repo", "[base]\nname=base\nbaseurl=file:///srv/repo\nenabled=1\n")
	// Plugins that no test needs make each of many calls slower.
	w.sh(t, `mkdir -p /srv/repo /srv/rpms; cd /usr/lib/python3/dist-packages/dnf-plugins && for p in *.py; do
case $p in __init__.py | download.py | needs_restarting.py | versionlock.py) ;; *) rm "$p" ;; esac; done`)
	return w
}

func (w *world) write(t testing.TB, path, text string) {
	t.Helper()
	path = filepath.Join(w.m.Root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w *world) read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.m.Root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (w *world) sh(t testing.TB, text string) string {
	t.Helper()
	return w.m.Do(t, "sh", "-c", text)
}

// rpm is a package to build. Each has a file with its version, and, with Config,
// a configuration file.
type rpm struct {
	Name, Version, Head, Post, Config string
	// Arch is the machine's; empty means noarch.
	Arch string
}

func (r rpm) file() string {
	_, v, ok := strings.Cut(r.Version, ":")
	if !ok {
		v = r.Version
	}
	return fmt.Sprintf("%s-%s-1.%s.rpm", r.Name, v, cmp.Or(r.Arch, "noarch"))
}

// build builds the packages that are not there yet.
func (w *world) build(t testing.TB, list ...rpm) {
	t.Helper()
	var script strings.Builder
	for _, r := range list {
		if _, err := os.Stat(filepath.Join(w.m.Root, "srv/rpms", r.file())); err == nil {
			continue
		}
		epoch, version, ok := strings.Cut(r.Version, ":")
		if !ok {
			epoch, version = "0", r.Version
		}
		spec := fmt.Sprintf("Name: %s\nEpoch: %s\nVersion: %s\nRelease: 1\nSummary: demo\nLicense: MIT\n%sAutoReqProv: no\n%s\n%%description\ndemo\n",
			r.Name, epoch, version, map[bool]string{true: "BuildArch: noarch\n"}[r.Arch == ""], r.Head)
		spec += fmt.Sprintf("%%install\nmkdir -p %%{buildroot}/opt/%s %%{buildroot}/etc/opt\necho %s >%%{buildroot}/opt/%s/version\n", r.Name, version, r.Name)
		if r.Config != "" {
			spec += fmt.Sprintf("echo '%s' >%%{buildroot}/etc/opt/%s.conf\n", r.Config, r.Name)
		}
		if r.Post != "" {
			spec += "%post -p <lua>\n" + r.Post + "\n"
		}
		spec += "%files\n/opt/" + r.Name + "\n"
		if r.Config != "" {
			spec += "%config(noreplace) /etc/opt/" + r.Name + ".conf\n"
		}
		w.write(t, "srv/specs/"+r.file()+".spec", spec)
		fmt.Fprintf(&script, "rpmbuild -bb --quiet --define '_topdir /srv/top' --define '_rpmdir /srv/rpms' --define '_build_name_fmt %%%%{NAME}-%%%%{VERSION}-%%%%{RELEASE}.%%%%{ARCH}.rpm' /srv/specs/%s.spec || exit 1\n", r.file())
	}
	w.sh(t, script.String())
}

// offer makes the repository hold exactly these.
func (w *world) offer(t testing.TB, list ...rpm) {
	t.Helper()
	w.build(t, list...)
	var files []string
	for _, r := range list {
		files = append(files, "/srv/rpms/"+r.file())
	}
	w.sh(t, "rm -f /srv/repo/*.rpm; cp "+strings.Join(files, " ")+" /srv/repo/ && createrepo_c -q /srv/repo && rm -rf /var/cache/dnf/base*")
}

// fresh takes everything of earlier tests off the machine and installs these.
func (w *world) fresh(t testing.TB, list ...rpm) {
	t.Helper()
	w.sh(t, `p=$(rpm -qa); [ -z "$p" ] || rpm -e --nodeps --allmatches $p; rm -rf /etc/opt /var/lib/backout/stash /var/lib/backout/holds; : >/etc/dnf/plugins/versionlock.list`)
	w.offer(t, list...)
	var names []string
	for _, r := range list {
		names = append(names, r.Name)
	}
	w.sh(t, "dnf -q -y install "+strings.Join(names, " "))
}

// snapshot is what capture makes of the packages.
func (w *world) snapshot(t testing.TB) []backout.Package {
	t.Helper()
	var list []backout.Package
	for line := range strings.Lines(w.m.Do(t, "rpm", "-qa", "--qf", `%{NAME} %{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n`)) {
		f := strings.Fields(line)
		list = append(list, backout.Package{Name: f[0], Arch: f[1], Version: f[2]})
	}
	return list
}

// rpms writes what is installed, sorted, in one line.
func (w *world) rpms(t testing.TB) string {
	t.Helper()
	return strings.Join(strings.Fields(w.sh(t, "rpm -qa | sort")), " ")
}

// patch runs a command and returns what it changed as a delta.
func (w *world) patch(t testing.TB, command string) *backout.Delta {
	t.Helper()
	before := w.snapshot(t)
	w.sh(t, command)
	return delta(before, w.snapshot(t))
}

func delta(before, after []backout.Package) *backout.Delta {
	d := &backout.Delta{Target: "web1", Manager: "rpm"}
	for _, b := range before {
		if slices.Contains(after, b) {
			continue
		}
		c := backout.PackageChange{Name: b.Name, Arch: b.Arch, From: b.Version}
		for _, a := range after {
			if a.Name == b.Name && a.Arch == b.Arch && !slices.Contains(before, a) {
				c.To = a.Version
			}
		}
		d.Packages = append(d.Packages, c)
	}
	for _, a := range after {
		if !slices.ContainsFunc(before, func(b backout.Package) bool { return a.Name == b.Name && a.Arch == b.Arch }) {
			d.Packages = append(d.Packages, backout.PackageChange{Name: a.Name, Arch: a.Arch, To: a.Version})
		}
	}
	return d
}

type executor interface {
	backout.Executor
	backout.Preflighter
	backout.Preparer
	backout.Prober
	backout.Cleaner
	backout.Holder
}

func undo(t testing.TB, section string) executor {
	t.Helper()
	e, err := dnf.Kind().Build(context.Background(), json.RawMessage(section), nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.(executor)
}

// task is a new attempt.
func (w *world) task(change string, d *backout.Delta) backout.Task {
	w.n++
	task := executorstest.Task(dnf.Kind(), fmt.Sprintf("%s-r1.L1.s1.t1.a%d", change, w.n))
	task.ChangeID, task.Delta = change, d
	return task
}

// again is the next attempt of the same step.
func (w *world) again(task backout.Task) backout.Task {
	task.AttemptID = w.task(task.ChangeID, nil).AttemptID
	return task
}

// prepare keeps the packages and returns what later tasks know of it.
func (w *world) prepare(t testing.TB, e executor, change string) []backout.Prepared {
	t.Helper()
	var out bytes.Buffer
	p, err := e.Prepare(t.Context(), w.task(change, nil), w.h, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return []backout.Prepared{p}
}

// execute runs the step and returns what it said.
func (w *world) execute(t testing.TB, e executor, task backout.Task) (backout.Outcome, string, error) {
	t.Helper()
	var out bytes.Buffer
	o, err := e.Execute(t.Context(), task, w.h, &out)
	return o, out.String(), err
}

func (w *world) mustExecute(t testing.TB, e executor, task backout.Task) (backout.Outcome, string) {
	t.Helper()
	o, out, err := w.execute(t, e, task)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.clean(t)
	return o, out
}

// clean asserts that rpm's database is in order.
func (w *world) clean(t testing.TB) {
	t.Helper()
	if out := w.sh(t, "dnf -q check; echo rc $?"); !strings.HasSuffix(out, "rc 0\n") {
		t.Errorf("dnf check says: %s", out)
	}
}

func (w *world) probe(t testing.TB, e executor, task backout.Task, want backout.ProbeState) string {
	t.Helper()
	p, err := e.Probe(t.Context(), task, w.h)
	if err != nil || p.State != want {
		t.Fatalf("probe: %+v %v, want %s", p, err, want)
	}
	return p.Detail
}

// passes asserts that the preflight has nothing to say.
func (w *world) passes(t testing.TB, e executor, task backout.Task) {
	t.Helper()
	if v := e.Preflight(t.Context(), task, w.h); len(v) != 0 {
		t.Fatalf("preflight: %s", reasons(v))
	}
}

// refuses asserts that the preflight says all of this, and returns its words.
func (w *world) refuses(t testing.TB, e executor, task backout.Task, want ...string) {
	t.Helper()
	v := e.Preflight(t.Context(), task, w.h)
	text := reasons(v)
	for _, part := range want {
		if len(v) == 0 || !strings.Contains(text, part) {
			t.Fatalf("preflight: %q, want %q", text, part)
		}
	}
	for _, one := range v {
		if one.Check != dnf.Name || one.Target != "web1" || one.Level != "L1" || one.Fix == "" {
			t.Errorf("violation is not whole: %+v", one)
		}
	}
}

func reasons(list []backout.Violation) string {
	var lines []string
	for _, v := range list {
		lines = append(lines, v.Reason+" => "+v.Fix)
	}
	return strings.Join(lines, "\n")
}

// recorder is a writer that tests may read meanwhile.
type recorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// await waits until the text was written.
func (r *recorder) await(t testing.TB, text string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(r.String(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("%q was not said within 30 s:\n%s", text, r)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
