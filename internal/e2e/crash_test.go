package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestKill9InARunningStep: whatever kills the server, the step's effect happens
// once, the new server attaches to it, and the rollback goes on to its end.
func TestKill9InARunningStep(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, step.plan(), autoRule, web1)
	srv := s.serve()
	srv.open("web-1")
	red := shopDown("web-1")
	srv.mustPost(red)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })
	srv.kill()

	srv = s.serve()
	t.Logf("ready again in %s", srv.ready.Round(time.Millisecond))
	id := s.change + "-r1"
	r := srv.awaitStatus(id, backout.RollbackRunning, 20*time.Second)
	if r.Targets[0].Phase != backout.TargetRunning {
		t.Errorf("the target is %s, want running", r.Targets[0].Phase)
	}
	step.letGo()
	srv.awaitStatus(id, backout.RollbackVerifying, 20*time.Second)
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 20*time.Second)
	if step.began() != 1 || step.finished() != 1 {
		t.Errorf("the step began %d times and finished %d times, want once each", step.began(), step.finished())
	}
	if n := count[backout.StepStarted](srv, id); n != 1 {
		t.Errorf("%d attempts were started, want one", n)
	}
}

// TestKill9AfterTheStepEnded: what ended while no server ran is found, with its
// exit code, and not run again.
func TestKill9AfterTheStepEnded(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, step.plan(), autoRule, web1)
	srv := s.serve()
	srv.open("web-1")
	red := shopDown("web-1")
	srv.mustPost(red)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })
	srv.kill()
	step.letGo()
	eventually(t, 20*time.Second, "the step ends by itself", func() error { return notYet(step.finished() > 0) })

	srv = s.serve()
	id := s.change + "-r1"
	srv.awaitStatus(id, backout.RollbackVerifying, 20*time.Second)
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 20*time.Second)
	if step.began() != 1 {
		t.Errorf("the step ran %d times, want once", step.began())
	}
}

// TestKill9AfterTheAlertWasTaken: an alert that got its 2xx is never lost. The
// rule here waits two seconds, so nothing but the alert is stored when the server
// dies.
func TestKill9AfterTheAlertWasTaken(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	step.letGo()
	rule := strings.Replace(autoRule, "when: evidence.red_share_patched > evidence.red_share_unpatched", `when: alert.age > duration("2s")`, 1)
	s := newSite(t, step.plan(), rule, web1)
	srv := s.serve()
	srv.open("web-1")
	srv.mustPost(shopDown("web-1"))
	srv.kill()

	srv = s.serve()
	id := srv.awaitRollback(20 * time.Second)
	eventually(t, 20*time.Second, "the step has run", func() error { return notYet(step.finished() > 0) })
	if list := srv.rollbacks(); len(list) != 1 || list[0].ID != id {
		t.Errorf("%d rollbacks, want one", len(list))
	}
}

// TestKill9AtOnce kills the server as soon as the sender has its 2xx, wherever
// the rollback stands by then: there is one rollback afterwards, and its step ran
// once.
func TestKill9AtOnce(t *testing.T) {
	t.Parallel()
	for i, wait := range []time.Duration{0, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			step := newStep(t)
			step.letGo()
			s := newSite(t, step.plan(), autoRule, web1)
			srv := s.serve()
			srv.open("web-1")
			red := shopDown("web-1")
			srv.mustPost(red)
			<-time.After(wait) // no event is waited for: the kill is to come at any point
			srv.kill()

			srv = s.serve()
			id := srv.awaitRollback(20 * time.Second)
			srv.awaitStatus(id, backout.RollbackVerifying, 20*time.Second)
			srv.mustPost(red.resolved())
			srv.awaitStatus(id, backout.RollbackRecovered, 20*time.Second)
			if step.began() != 1 || step.finished() != 1 {
				t.Errorf("the step began %d times and finished %d times, want once each", step.began(), step.finished())
			}
			if n := len(srv.rollbacks()); n != 1 {
				t.Errorf("%d rollbacks, want one", n)
			}
		})
	}
}

// TestGracefulStop: asked to stop, the server is gone within seconds; the step
// goes on on its target and the next server attaches to it.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, step.plan(), autoRule, web1)
	srv := s.serve()
	srv.open("web-1")
	red := shopDown("web-1")
	srv.mustPost(red)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })
	asked := time.Now()
	if code := srv.terminate(15 * time.Second); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	t.Logf("stopped in %s", time.Since(asked).Round(time.Millisecond))

	srv = s.serve()
	id := s.change + "-r1"
	step.letGo()
	eventually(t, 20*time.Second, "the step ends", func() error { return notYet(step.finished() > 0) })
	srv.awaitStatus(id, backout.RollbackVerifying, 20*time.Second)
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 20*time.Second)
	if step.began() != 1 {
		t.Errorf("the step ran %d times, want once", step.began())
	}
}

// TestNewStoreTrustsNoOldAttempt: a server that begins with an empty store does
// not take what another one left on a target for its own work, though the change
// has the same name.
func TestNewStoreTrustsNoOldAttempt(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, step.plan(), autoRule, web1)
	srv := s.serve()
	srv.open("web-1")
	srv.mustPost(shopDown("web-1"))
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })
	srv.kill()
	step.letGo()
	eventually(t, 20*time.Second, "the step ends by itself", func() error { return notYet(step.finished() > 0) })

	s.more = "data_dir: new\n"
	srv = s.serve()
	srv.open("web-1")
	srv.mustPost(shopDown("web-1"))
	srv.awaitStatus(s.change+"-r1", backout.RollbackVerifying, 20*time.Second)
	if step.began() != 2 {
		t.Errorf("the step ran %d times, want once for each store", step.began())
	}
}
