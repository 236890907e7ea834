package apt_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/apt"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

// box is a Debian of its own with a repository of its own: small packages whose
// names begin with bo-.
type box struct {
	*hosttest.Machine
	host backout.Host
	dir  string
	n    int
}

const repository = "srv/repo"

func newBox(t *testing.T) *box {
	t.Helper()
	for _, tool := range []string{"dpkg-deb", "apt-ftparchive"} {
		if _, err := exec.LookPath(tool); err != nil {
			hosttest.Missing(t, "no "+tool+" here: apt-get install dpkg apt-utils")
		}
	}
	m := hosttest.Systemd(t, "unattended-upgrades", "dpkg-repack")
	n, err := ssh.New(ssh.Options{User: "root", Key: m.KeySecret, KnownHosts: m.KnownHosts, Port: m.Port, ConnectTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	h, err := n.Host(m.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{Machine: m, host: h, dir: filepath.Join(m.Root, repository)}
	b.Do(t, "sh", "-c", `rm -rf /etc/apt/sources.list.d/* && mkdir -p /srv/repo && echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list && echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/test`)
	return b
}

// reset makes the box as it was before a test.
func (b *box) reset(t *testing.T) {
	t.Helper()
	b.Do(t, "sh", "-c", `p=$(dpkg-query -W -f '${Package}\n' 'bo-*' 2>/dev/null); [ -z "$p" ] || { apt-mark unhold $p; dpkg --purge --force-all $p; } >/dev/null 2>&1
rm -rf /srv/repo/* /var/lib/backout/stash /var/lib/backout/holds /var/cache/apt/archives/*.deb /etc/bo-*`)
	b.publish(t)
}

// deb is one small package.
type deb struct {
	name, version  string
	depends, extra string
	conf, postinst string
	arch           string
}

// add puts packages into the repository.
func (b *box) add(t *testing.T, debs ...deb) {
	t.Helper()
	for _, d := range debs {
		dir := t.TempDir()
		put := func(name, text string, mode os.FileMode) {
			t.Helper()
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), mode); err != nil {
				t.Fatal(err)
			}
		}
		control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@example.com>\nDescription: test\n%s", d.name, d.version, cmp.Or(d.arch, "all"), d.extra)
		if d.depends != "" {
			control += "Depends: " + d.depends + "\n"
		}
		put("DEBIAN/control", control, 0o644)
		put("usr/share/"+d.name+"/version", d.version+"\n", 0o644)
		if d.conf != "" {
			put("etc/"+d.name+".conf", d.conf+"\n", 0o644)
			put("DEBIAN/conffiles", "/etc/"+d.name+".conf\n", 0o644)
		}
		if d.postinst != "" {
			put("DEBIAN/postinst", "#!/bin/sh\n"+d.postinst+"\n", 0o755)
		}
		if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", dir, b.dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	b.publish(t)
}

// gone takes files out of the repository.
func (b *box) gone(t *testing.T, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		b.Do(t, "sh", "-c", "rm /srv/repo/"+p)
	}
	b.publish(t)
}

func (b *box) publish(t *testing.T) {
	t.Helper()
	out, err := exec.Command("sh", "-c", `cd "$0" && apt-ftparchive packages . >Packages && apt-ftparchive release . >Release.new && mv Release.new Release`, b.dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.Do(t, "apt-get", "-qq", "update")
}

// apt runs apt-get as a person's patch tool would.
func (b *box) apt(t *testing.T, args ...string) string {
	t.Helper()
	return b.Do(t, append([]string{
		"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
	}, args...)...)
}

// state is every package's version with its state.
func (b *box) state(t *testing.T) map[string]string {
	t.Helper()
	list := map[string]string{}
	for line := range strings.Lines(b.Do(t, "sh", "-c", `dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\n' 'bo-*' 2>/dev/null || true`)) {
		if f := strings.Fields(line); len(f) == 3 && f[0][1] == 'i' {
			list[f[1]] = f[2]
		}
	}
	return list
}

// delta is what differs from the state before.
func (b *box) delta(t *testing.T, before map[string]string) *backout.Delta {
	t.Helper()
	d, now := &backout.Delta{Manager: "dpkg"}, b.state(t)
	names := maps.Clone(before)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != now[name] {
			d.Packages = append(d.Packages, backout.PackageChange{Name: name, Arch: "all", From: before[name], To: now[name]})
		}
	}
	return d
}

func (b *box) task(attempt string) backout.Task {
	b.n++
	t := executorstest.Task(apt.Kind(), fmt.Sprintf("%s-%d", attempt, b.n))
	t.ChangeID = "CHG0030001"
	return t
}

// prepare keeps what is needed, as opening a window does.
func (b *box) prepare(t *testing.T, e backout.Executor) []backout.Prepared {
	t.Helper()
	p, ok := e.(backout.Preparer)
	if !ok {
		t.Fatal("nothing can be prepared")
	}
	var out bytes.Buffer
	made, err := p.Prepare(t.Context(), b.task("prepare"), b.host, &out)
	if err != nil {
		t.Fatalf("prepare: %v\n%s", err, out.Bytes())
	}
	return []backout.Prepared{made}
}

func undo(t *testing.T, section string) backout.Executor {
	t.Helper()
	return executorstest.Build(t, apt.Kind(), section)
}

// preflight asks and returns all reasons and fixes as one text.
func (b *box) preflight(t *testing.T, e backout.Executor, task backout.Task) string {
	t.Helper()
	p, ok := e.(backout.Preflighter)
	if !ok {
		t.Fatal("no preflight")
	}
	var all []string
	for _, v := range p.Preflight(t.Context(), task, b.host) {
		all = append(all, v.Check+": "+v.Reason+" | "+v.Fix)
	}
	return strings.Join(all, "\n")
}

func (b *box) probe(t *testing.T, e backout.Executor, task backout.Task) backout.Probed {
	t.Helper()
	p, ok := e.(backout.Prober)
	if !ok {
		t.Fatal("no probe")
	}
	got, err := p.Probe(t.Context(), task, b.host)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// execute runs the step and asserts that the packages are as before.
func (b *box) execute(t *testing.T, e backout.Executor, task backout.Task, want map[string]string) (backout.Outcome, string) {
	t.Helper()
	var out bytes.Buffer
	o, err := e.Execute(t.Context(), task, b.host, &out)
	if err != nil {
		t.Fatalf("execute: %v\n%s", err, out.Bytes())
	}
	if got := b.state(t); !maps.Equal(got, want) {
		t.Errorf("afterwards %v, want %v\n%s", got, want, out.Bytes())
	}
	if p := b.probe(t, e, task); p.State != backout.ProbeDone {
		t.Errorf("probe: %+v", p)
	}
	return o, out.String()
}

func says(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q does not say %q", got, w)
		}
	}
}

// transactions is how many apt has logged.
func (b *box) transactions(t *testing.T) int {
	t.Helper()
	return strings.Count(b.Do(t, "cat", "/var/log/apt/history.log"), "Start-Date")
}
