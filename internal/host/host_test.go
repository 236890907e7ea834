package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/local"
	"github.com/backout-io/backout/internal/host/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func registry(t *testing.T, o ssh.Options) *host.Registry {
	t.Helper()
	r, err := host.New(host.Options{SSH: o, Local: local.Options{Dir: filepath.Join(t.TempDir(), "attempts")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestTargetsAreFoundByTransport(t *testing.T) {
	s := hosttest.SSHD(t, 2)
	r := registry(t, ssh.Options{User: s.User, Key: s.KeySecret, KnownHosts: s.KnownHosts, Port: s.Port, Dir: s.Attempts})
	if err := r.Arm(t.Context()); err != nil {
		t.Fatal(err)
	}
	here := backout.Target{Name: "here", Transport: "local"}
	unnamed := backout.Target{Name: s.Targets[0].Address}
	for _, target := range append(s.Targets, here, unnamed) {
		h, err := r.For(target)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.For(target); err != nil || again != h {
			t.Errorf("%s: another host the second time (%v)", target.Name, err)
		}
		if id, err := h.BootID(t.Context()); err != nil || len(id) != 36 {
			t.Errorf("%s: %q %v", target.Name, id, err)
		}
	}
}

func TestTargetsThatCannotBeReached(t *testing.T) {
	r := registry(t, ssh.Options{})
	for want, target := range map[string]backout.Target{
		`section "ssh"`: {Name: "web1", Transport: "ssh"},
		"use local":     {Name: "web1", Transport: "telepathy"},
	} {
		if _, err := r.For(target); err == nil || !strings.Contains(err.Error(), want) || !backout.IsPermanent(err) {
			t.Errorf("%+v: %v, want %q", target, err, want)
		}
	}
}

// TestMarkedAttemptsDoNotMeet: two stores that know a change of the same name
// share a target, and neither takes the other's attempt for its own.
func TestMarkedAttemptsDoNotMeet(t *testing.T) {
	here := backout.Target{Name: "here", Transport: "local"}
	dir := filepath.Join(t.TempDir(), "attempts")
	for _, mark := range []string{"one", "two", "one"} {
		r, err := host.New(host.Options{Local: local.Options{Dir: dir}, Mark: mark})
		if err != nil {
			t.Fatal(err)
		}
		h, err := r.For(here)
		if err != nil {
			t.Fatal(err)
		}
		const id = "CHG1-r1.L1.s1.t1.a1"
		file := filepath.Join(dir, "ran-"+mark)
		if err := h.Start(t.Context(), id, backout.Exec{Argv: []string{"sh", "-c", `echo x >>"$1"; echo "$1"`, "sh", file}}); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if report, err := h.Attach(t.Context(), id, 0, &out); err != nil || report.State != backout.AttemptFinished || strings.TrimSpace(out.String()) != file {
			t.Errorf("%s: %+v, %v, %q", mark, report, err, out.String())
		}
		if report, err := h.Probe(t.Context(), id); err != nil || report.State != backout.AttemptFinished {
			t.Errorf("%s: %+v, %v", mark, report, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, mark := range []string{"one", "two"} {
		if data, err := os.ReadFile(filepath.Join(dir, "ran-"+mark)); err != nil || string(data) != "x\n" {
			t.Errorf("%s ran %q, %v, want once", mark, data, err)
		}
	}
}
