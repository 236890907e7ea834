package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// must runs the command line and returns what it printed.
func must(t testing.TB, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(t, nil, args...)
	if code != 0 {
		t.Fatalf("backout %s ended with %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// nearRunner is a runner of site fra, and its file.
type nearRunner struct {
	t         testing.TB
	name, dir string
	*process
}

// newRunner lays out its files. It speaks to NATS at url; more is YAML for
// runner.yaml.
func newRunner(t testing.TB, name, url string, n *natsUsers, key, more string) *nearRunner {
	t.Helper()
	r := &nearRunner{t: t, name: name, dir: t.TempDir()}
	write(t, filepath.Join(r.dir, "nats.creds"), n.creds("--site", "fra", "--name", name), 0o600)
	write(t, r.file(), fmt.Sprintf("name: %s\nsite: fra\nnats: {url: %q, credentials: {file: nats.creds}}\nserver_keys: [%q]\n%s", name, url, key, more), 0o644)
	must(t, "check", "--runner", r.file())
	return r
}

func (r *nearRunner) file() string { return filepath.Join(r.dir, "runner.yaml") }

// start runs it, again and again as a service manager does, and returns when it
// waits for steps.
func (r *nearRunner) start(within time.Duration) {
	r.t.Helper()
	eventually(r.t, within, r.name+" waits for steps", func() error {
		if r.process == nil || r.ended() {
			r.process = start(r.t, exec.Command(binary(r.t), "runner", "--config", r.file(), "--log-level", "debug"))
		}
		return notYet(strings.Contains(r.said.String(), "waiting for steps"))
	})
}

// TestRunnersNearTheTargets: the whole way with a site of its own. The gate is shut
// while nobody is there; a runner is killed in the middle of the step and another
// goes on; the server is killed too. The step's effect happens once.
func TestRunnersNearTheTargets(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, step.plan(), autoRule, strings.Replace(web1, "{name: web-1", "{name: web-1, site: fra", 1))
	key := strings.TrimSpace(must(t, "runner", "keygen", "--file", s.path("secrets/runners.key")))
	n := newNATSUsers(t)
	write(t, s.path("secrets/nats.creds"), n.creds("--server"), 0o600)
	s.more = fmt.Sprintf("nats: {url: %q, credentials: {file: secrets/nats.creds}}\nrunners: {signing_key: {file: secrets/runners.key}, sites: [fra]}\n", n.address)
	srv := s.serve()
	srv.plan(s.change, "web-1")
	if code, _, said := srv.cli("change", "open", s.change); code != 3 || !strings.Contains(said, "no runner at site fra") {
		t.Fatalf("opening without a runner ended with %d: %s", code, said)
	}
	first := newRunner(t, "fra-1", n.address, n, key, "")
	first.start(30 * time.Second)
	srv.mustCLI("change", "open", s.change)
	red := shopDown("web-1")
	srv.mustPost(red)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })
	newRunner(t, "fra-2", n.address, n, key, "").start(30 * time.Second)
	first.kill()
	srv.kill()
	step.letGo()
	srv = s.serve()
	id := s.change + "-r1"
	srv.awaitStatus(id, backout.RollbackVerifying, 40*time.Second)
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 30*time.Second)
	if step.began() != 1 || step.finished() != 1 {
		t.Errorf("the step began %d times and finished %d times, want once each", step.began(), step.finished())
	}
	if n := count[backout.StepStarted](srv, id); n != 1 {
		t.Errorf("%d attempts were started, want one", n)
	}
	for _, r := range srv.rollbacks() {
		if a := r.Targets[0].Attempt; a == nil || a.Via != "fra-1" {
			t.Errorf("the attempt was claimed via %+v, want fra-1", a)
		}
	}
}
