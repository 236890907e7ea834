package pkg_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/pkg"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

func kind(t testing.TB, name string) executors.Kind {
	t.Helper()
	for _, k := range pkg.Kinds() {
		if k.KindName() == name {
			return k
		}
	}
	t.Fatalf("no kind %s", name)
	return executors.Kind{}
}

func build(t testing.TB, name string) backout.Executor {
	t.Helper()
	e, err := kind(t, name).Build(context.Background(), json.RawMessage(`{}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSections(t *testing.T) {
	for _, name := range []string{"package.hold", "package.release"} {
		_, err := kind(t, name).Decode(func(into any) error {
			d := json.NewDecoder(strings.NewReader(`{"packages": ["a"]}`))
			d.DisallowUnknownFields()
			return d.Decode(into)
		})
		if err == nil {
			t.Errorf("%s takes a key that it does not know", name)
		}
	}
	if !kind(t, "package.hold").WantsDelta {
		t.Error("package.hold does not ask for the delta")
	}
}

func TestHostileDeltasReachNoTarget(t *testing.T) {
	for _, name := range []string{"-y", "a b", "$(id)", "a;b", "", "a/../b"} {
		task := executorstest.Task(kind(t, "package.hold"), "a1")
		task.Delta = &backout.Delta{Manager: "rpm", Packages: []backout.PackageChange{{Name: name, Arch: "noarch", To: "0:1-1"}}}
		// The host is nil: it would panic.
		if _, err := build(t, "package.hold").Execute(t.Context(), task, nil, &bytes.Buffer{}); !backout.IsPermanent(err) {
			t.Errorf("%q: %v", name, err)
		}
	}
	task := executorstest.Task(kind(t, "package.hold"), "a1")
	if _, err := build(t, "package.hold").Execute(t.Context(), task, nil, &bytes.Buffer{}); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "not known") {
		t.Errorf("without a delta: %v", err)
	}
	task.ChangeID = "../x"
	if _, err := build(t, "package.release").Execute(t.Context(), task, nil, &bytes.Buffer{}); !backout.IsPermanent(err) {
		t.Errorf("a change that leads out of its folder: %v", err)
	}
}

// told is a host whose target says what its locks are.
type told struct {
	backout.Host
	said string
}

func (h told) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	return backout.ExecResult{Stdout: []byte(h.said)}, nil
}

func (told) Probe(context.Context, string) (backout.AttemptReport, error) {
	return backout.AttemptReport{State: backout.AttemptUnknown}, nil
}

// TestWhatIsFoundHeldCanBeReleased: an attempt in doubt that is found done holds
// what it has placed, and nothing that was there before.
func TestWhatIsFoundHeldCanBeReleased(t *testing.T) {
	task := executorstest.Task(kind(t, "package.hold"), "a1")
	task.Delta = &backout.Delta{Manager: "dpkg", Packages: []backout.PackageChange{{Name: "aa", Arch: "all", From: "1", To: "2"}, {Name: "bb", Arch: "all", From: "1", To: "2"}}}
	p, ok := build(t, "package.hold").(backout.Prober)
	if !ok {
		t.Fatal("no probe")
	}
	got, err := p.Probe(t.Context(), task, told{said: "backout-lock ours aa\nbackout-lock before bb\n"})
	if err != nil || got.State != backout.ProbeDone || strings.Join(got.Held, " ") != "aa" {
		t.Errorf("%+v %v", got, err)
	}
}

// TestHoldOnAMachine locks with the real apt and the real dnf.
func TestHoldOnAMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine")
	}
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
	m.Do(t, "sh", "-c", "echo 9 >/etc/dnf/vars/releasever; sed -i 's/^enabled.*/enabled = 0/' /etc/dnf/plugins/local.conf")
	native := strings.TrimSpace(m.Do(t, "dpkg", "--print-architecture"))
	for name, c := range map[string]struct {
		delta  backout.Delta
		before string // a lock of somebody's own
		list   string
		held   string
	}{
		"apt": {
			backout.Delta{Manager: "dpkg", Packages: []backout.PackageChange{
				{Name: "sudo", Arch: native, From: "1.0", To: "2.0"},
				{Name: "adduser", Arch: "all", From: "1.0", To: "2.0"},
				{Name: "mount", Arch: native, From: "1.0", To: "2.0"},
				{Name: "added", Arch: native, To: "2.0"},
			}},
			"apt-mark hold mount", "apt-mark showhold", "adduser sudo",
		},
		"dnf": {
			backout.Delta{Manager: "rpm", Packages: []backout.PackageChange{
				{Name: "boa", Arch: "noarch", From: "0:1.0-1", To: "0:2.0-1"},
				{Name: "lib", Arch: "noarch", To: "1:2.0-1"},
				{Name: "gone", Arch: "noarch", From: "0:1-1"},
				{Name: "cog", Arch: "noarch", From: "0:1.0-1", To: "0:2.0-1"},
			}},
			"echo '!cog-0:2.0-1.*' >>/etc/dnf/plugins/versionlock.list", "dnf -q -C versionlock list", "!boa-0:2.0-1.* !lib-1:2.0-1.*",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m.Do(t, "sh", "-c", c.before)
			was := m.Do(t, "sh", "-c", c.list)
			i := 0
			next := func(name string) backout.Task {
				i++
				task := executorstest.Task(kind(t, name), fmt.Sprintf("%s-r1.L2.s2.t1.a%d", c.delta.Manager, i))
				task.Delta = &c.delta
				return task
			}
			e := build(t, "package.hold")
			p := e.(backout.Prober)
			if v := e.(backout.Preflighter).Preflight(t.Context(), next("package.hold"), h); len(v) != 0 {
				t.Fatalf("%+v", v)
			}
			if got, err := p.Probe(t.Context(), next("package.hold"), h); err != nil || got.State != backout.ProbeBroken {
				t.Errorf("probe before: %+v %v", got, err) // one is there already
			}
			for range 2 {
				var out bytes.Buffer
				o, err := e.Execute(t.Context(), next("package.hold"), h, &out)
				if err != nil {
					t.Fatalf("%v\n%s", err, &out)
				}
				if got := strings.Join(o.Held, " "); got != c.held || !strings.Contains(o.Summary, "3 bad versions locked, 1 of them by somebody else before") {
					t.Errorf("held %q, %s", got, o.Summary)
				}
			}
			if got, err := p.Probe(t.Context(), next("package.hold"), h); err != nil || got.State != backout.ProbeDone {
				t.Errorf("probe: %+v %v", got, err)
			}
			if v := build(t, "package.release").(backout.Preflighter).Preflight(t.Context(), next("package.release"), h); len(v) != 0 {
				t.Fatalf("%+v", v)
			}
			o, err := build(t, "package.release").Execute(t.Context(), next("package.release"), h, &bytes.Buffer{})
			if err != nil || o.Summary != "2 locks released" {
				t.Fatalf("release: %+v %v", o, err)
			}
			if err := e.(backout.Holder).Release(t.Context(), next("package.hold"), h, &bytes.Buffer{}); err != nil {
				t.Errorf("release again: %v", err)
			}
			if got := m.Do(t, "sh", "-c", c.list); got != was {
				t.Errorf("after the release: %q, want %q", got, was)
			}
		})
	}
}
