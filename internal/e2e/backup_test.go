package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestBackupInTheMiddleOfARollback: a backup taken from the running server while a
// step runs is restored elsewhere; the server there does nothing until it is told
// to, then finds the step on its target and brings the rollback to its end.
func TestBackupInTheMiddleOfARollback(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, step.plan(), autoRule, web1)
	srv := s.serve()
	srv.open("web-1")
	red := shopDown("web-1")
	srv.mustPost(red)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })

	file := s.path("shop.backup")
	if said := srv.mustCLI("backup", file); !strings.Contains(said, "a whole backup") || !strings.Contains(said, "BACKOUT_ROLLBACKS") {
		t.Errorf("backup said %q", said)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info, err)
	}
	// The command finds out by itself that a server holds the store.
	code, _, stderr := srv.cli("backup", "--config", s.path("backout.yaml"), s.path("second.backup"))
	if code != 0 || !strings.Contains(stderr, "a server runs on this store: asking it") {
		t.Errorf("backup --config: exit code %d, %s", code, stderr)
	}
	srv.kill()
	code, _, stderr = run(t, nil, "restore", file, "--config", s.path("backout.yaml"))
	if code != 1 || !strings.Contains(stderr, "holds a store already") {
		t.Errorf("restore over a store: exit code %d, %s", code, stderr)
	}

	s.more = "data_dir: elsewhere\n"
	s.config()
	code, stdout, stderr := run(t, nil, "restore", file, "--config", s.path("backout.yaml"))
	if code != 0 || !strings.Contains(stdout, "The pause switch is on") {
		t.Fatalf("restore: exit code %d, %s%s", code, stdout, stderr)
	}
	srv = s.serve()
	id := s.change + "-r1"
	if said := srv.mustCLI("pause", "--status"); !strings.Contains(said, "paused by backout restore") || !strings.Contains(said, "restored from the backup of") {
		t.Errorf("pause --status said %q", said)
	}
	r := srv.awaitStatus(id, backout.RollbackRunning, 20*time.Second)
	if r.PausedAt.IsZero() {
		t.Error("the rollback is not paused")
	}
	step.letGo()
	eventually(t, 20*time.Second, "the step ends", func() error { return notYet(step.finished() > 0) })
	srv.mustCLI("resume", "--reason", "looked at it")
	srv.awaitStatus(id, backout.RollbackVerifying, 20*time.Second)
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 20*time.Second)
	if step.began() != 1 || step.finished() != 1 {
		t.Errorf("the step began %d times and finished %d times, want once each", step.began(), step.finished())
	}
}

// TestFromEmbeddedToOwnNATSAndBack: a backup of a stopped server is the way, and
// no server starts with nothing where a store was left behind.
func TestFromEmbeddedToOwnNATSAndBack(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	step.letGo()
	s := newSite(t, step.plan(), autoRule, web1)
	srv := s.serve()
	srv.open("web-1")
	srv.mustPost(shopDown("web-1"))
	srv.awaitStatus(s.change+"-r1", backout.RollbackVerifying, 20*time.Second)
	if code := srv.terminate(15 * time.Second); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	config := func(more string) string { s.more = more; return s.config() }
	must := func(args ...string) {
		t.Helper()
		if code, stdout, stderr := run(t, nil, args...); code != 0 {
			t.Fatalf("backout %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
		}
	}
	nats := "nats: {url: \"" + natsServer(t) + "\"}\n"
	must("backup", "--config", config(""), s.path("one.backup"))

	p := func() *process { config(nats); return s.launch() }()
	if code := p.wait(t, 30*time.Second); code == 0 || !strings.Contains(p.said.String(), "holds an embedded one") {
		t.Errorf("serve beside a store left behind: exit code %d\n%s", code, p.said.String())
	}
	must("restore", s.path("one.backup"), "--config", config(nats))
	srv = s.serve()
	srv.awaitStatus(s.change+"-r1", backout.RollbackVerifying, 20*time.Second)
	srv.mustCLI("resume", "--reason", "moved")
	if code := srv.terminate(15 * time.Second); code != 0 {
		t.Fatalf("exit code %d", code)
	}

	must("backup", "--config", config(nats), s.path("two.backup"))
	must("restore", s.path("two.backup"), "--config", config("data_dir: back\n"))
	srv = s.serve()
	srv.mustCLI("resume", "--reason", "moved back")
	srv.mustPost(shopDown("web-1").resolved())
	srv.awaitStatus(s.change+"-r1", backout.RollbackRecovered, 20*time.Second)
	if step.began() != 1 {
		t.Errorf("the step ran %d times, want once", step.began())
	}
	left, err := filepath.Glob(s.path("back/.backout-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
