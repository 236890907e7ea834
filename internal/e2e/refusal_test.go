package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// refuses runs the server and wants it to end with code 1 and these words.
func (s *site) refuses(words ...string) {
	s.t.Helper()
	p := s.launch()
	if code := p.wait(s.t, 30*time.Second); code != 1 {
		s.t.Errorf("exit code %d, want 1", code)
	}
	for _, w := range words {
		if !strings.Contains(p.said.String(), w) {
			s.t.Errorf("the server does not say %q:\n%s", w, p.said.String())
		}
	}
}

// plain is a site whose plan does nothing that matters.
func plain(t testing.TB) *site {
	t.Helper()
	return newSite(t, `plans:
  - name: web-shop
    baseline: {without: [units, ports, mounts, accounts]}
    verify: {every: 100ms, hold_for: 200ms}
    levels: [{steps: [{uses: command, with: {argv: ["true"]}}]}]
`, autoRule, web1)
}

func TestSecondServerOnSameDirRefuses(t *testing.T) {
	t.Parallel()
	s := plain(t)
	srv := s.serve()
	s.refuses(s.path("data"), "in use by another backout server", "data_dir")
	if err := get(srv.url+"/readyz", http.StatusOK); err != nil {
		t.Errorf("the first server suffered: %v", err)
	}
}

func TestNonLoopbackNeedsTLSAndTokens(t *testing.T) {
	t.Parallel()
	s := plain(t)
	s.listen = "0.0.0.0:0"
	s.refuses("backout.yaml:1:", "0.0.0.0:0", "can be reached from other machines", "tls.cert_file and tls.key_file", "listen on 127.0.0.1")

	certificate(t, s)
	config := strings.NewReplacer("auth:\n  tokens: [{name: ann, groups: [sre], token: {file: secrets/ann.token}}]\n", "",
		"intake:\n  tokens: [{name: alertmanager, token: {file: secrets/intake.token}}]\n", "").Replace(read(s.config()))
	write(t, s.path("open.yaml"), config, 0o644)
	code, _, said := run(t, nil, "serve", "--config", s.path("open.yaml"))
	if code != 1 || !strings.Contains(said, "auth.tokens") || !strings.Contains(said, "intake.tokens") || strings.Contains(said, "tls.cert_file") {
		t.Errorf("exit code %d, want 1 and what is missing:\n%s", code, said)
	}
}

// TestReadOnlyDataDir: a server that cannot keep anything says so at once.
func TestReadOnlyDataDir(t *testing.T) {
	t.Parallel()
	needRoot(t, "mount a file system")
	s := plain(t)
	mount(t, s.path("data"), "-o", "size=1m,ro")
	s.refuses(s.path("data"), "cannot be written", "read-only file system", "mount it writable or choose another data_dir")
}

// mount mounts a tmpfs until the test ends.
func mount(t testing.TB, dir string, options ...string) {
	t.Helper()
	program := part(t, "mount", "mount")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, append(append([]string{"-t", "tmpfs"}, options...), "backout-e2e", dir)...).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// TestReload: a bad file changes nothing and its place is named; a good one takes
// effect; a rollback that runs keeps the plan it began with.
func TestReload(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, step.plan(), autoRule, web1)
	srv := s.serve()
	srv.open("web-1")
	red := shopDown("web-1")
	srv.mustPost(red)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })

	bad := strings.Replace(autoRule, "mode: auto", "mode: atuo", 1)
	write(t, s.path("rules/rules.yaml"), bad, 0o644)
	code, _, said := srv.cli("reload")
	if code != 1 || !strings.Contains(said, "rules.yaml:8:15: ") || !strings.Contains(said, "atuo") {
		t.Errorf("reload of a bad file: exit code %d:\n%s", code, said)
	}
	if err := srv.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the log names the place", func() error {
		log := srv.said.String()
		return notYet(strings.Contains(log, "old one stays") && strings.Contains(log, "rules.yaml:8:15: "))
	})

	write(t, s.path("rules/rules.yaml"), autoRule, 0o644)
	write(t, s.path("inventory/targets.yaml"), web1+"  - {name: web-2, transport: local}\n", 0o644)
	write(t, s.path("plans/plan.yaml"), strings.Replace(step.plan(), step.dir+"/step", "/bin/false", 1), 0o644)
	if err := srv.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the new target is known", func() error {
		return notYet(strings.Contains(srv.mustCLI("target", "list"), "web-2"))
	})
	write(t, s.path("inventory/targets.yaml"), web1+"  - {name: web-3, transport: local}\n", 0o644)
	srv.mustCLI("reload")
	if list := srv.mustCLI("target", "list"); !strings.Contains(list, "web-3") || strings.Contains(list, "web-2") {
		t.Errorf("after the reload the targets are\n%s", list)
	}

	step.letGo()
	id := s.change + "-r1"
	r := srv.awaitStatus(id, backout.RollbackVerifying, 20*time.Second)
	if with := string(r.Frozen.Plan.Levels[0].Steps[0].With); !strings.Contains(with, step.dir) {
		t.Errorf("the running rollback took over the new plan: %s", with)
	}
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 20*time.Second)
}
