package simtest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func TestResolved_before_start_cancels(t *testing.T) {
	Story(t, Setup{Rules: AutoRule + "        for: 2m\n"}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Fire("WebErrors", "web-1")
		is(t, w.Rollback("CHG1-r1"), backout.RollbackPending)
		w.Advance(time.Minute)
		w.Resolve("WebErrors", "web-1")
		is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
		w.Advance(10 * time.Minute)
		if len(w.Effects()) > 0 {
			t.Errorf("did %v", w.Did())
		}
		if s := w.Change("CHG1").State; s != backout.ChangeOpen {
			t.Errorf("the change is %s", s)
		}
		// Red again, and this time it stays.
		w.Fire("WebErrors", "web-1")
		w.Advance(2*time.Minute + time.Second)
		is(t, w.Rollback("CHG1-r2"), backout.RollbackVerifying)
	})
}

func TestResolved_in_the_same_breath_cancels_too(t *testing.T) {
	Story(t, Setup{Rules: AutoRule + "        for: 2m\n"}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		a := Alert{Name: "WebErrors", Target: "web-1", Since: time.Now()}
		gone := a
		gone.Resolved = true
		w.Server().Post(a, gone)
		w.Advance(3 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
	})
}

// A level of which nothing has started waits for the delta of a target that is away: when
// the target comes back, green, it is not rolled back any more.
func TestResolved_cancels_a_level_of_which_nothing_has_started(t *testing.T) {
	Story(t, Setup{WantsDelta: true}, func(t *testing.T, w *World) {
		h := w.Host("web-1")
		h.Looks(nginx(old))
		w.OpenChange("CHG1", "web-1")
		h.Looks(nginx(patched))
		h.SetOffline(true)
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		if r := w.Rollback("CHG1-r1"); r.Status != backout.RollbackRunning || !r.LevelStartedAt.IsZero() {
			t.Fatalf("%s, started at %s: want L1 entered and nothing of it started", r.Status, r.LevelStartedAt)
		}
		if _, err := w.Server().Engine().Pause(t.Context(), as("ann"), "network works"); err != nil {
			t.Fatal(err)
		}
		w.Resolve("WebErrors", "web-1")
		h.SetOffline(false)
		w.Advance(time.Hour)
		if _, err := w.Server().Engine().Resume(t.Context(), as("ann"), "done"); err != nil {
			t.Fatal(err)
		}
		w.Advance(10 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
		equal(t, "did", []string{}, w.Did())
	})
}

// L1 was left out and L2 approved while the target is away: nothing has been done, nor is
// when it comes back.
func TestResolved_cancels_a_later_level_that_was_approved(t *testing.T) {
	plan := asking()
	plan.Levels[1].Approval.Votes = 1
	setup := Setup{WantsDelta: true, Plans: []backout.Plan{plan}, Rules: strings.Replace(AutoRule, "mode: auto", "mode: ask", 1)}
	Story(t, setup, func(t *testing.T, w *World) {
		h := w.Host("web-1")
		h.Looks(nginx(old))
		w.OpenChange("CHG1", "web-1")
		h.Looks(nginx(patched))
		h.SetOffline(true)
		w.Fire("WebErrors", "web-1")
		w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbHold, Reason: "L1 does not help"})
		w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbEscalate})
		w.Vote("CHG1-r1", "ann", backout.ChoiceApprove)
		w.Advance(time.Minute)
		if r := w.Rollback("CHG1-r1"); r.Status != backout.RollbackRunning || r.Level != 1 || !r.LevelStartedAt.IsZero() {
			t.Fatalf("%s, level %d, started at %s: want L2 entered and nothing of it started", r.Status, r.Level, r.LevelStartedAt)
		}
		w.Resolve("WebErrors", "web-1")
		is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
		h.SetOffline(false)
		w.Advance(10 * time.Minute)
		equal(t, "did", []string{}, w.Did())
	})
}

func TestDuplicates_from_two_Alertmanagers_and_both_intakes_count_once(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		a := Alert{Name: "WebErrors", Target: "web-1", Since: time.Now()}
		for range 2 {
			for _, send := range []func(...Alert) int{w.Server().Post, w.Server().PostDirect, w.Server().Post} {
				if code := send(a, a); code != http.StatusOK {
					t.Fatalf("answer %d", code)
				}
			}
		}
		w.Advance(time.Minute)
		r := w.Rollback("CHG1-r1")
		if len(w.Rollbacks()) != 1 || len(r.Evidence) != 1 || len(w.Effects()) != 1 {
			t.Errorf("%d rollbacks, evidence %v, did %v", len(w.Rollbacks()), r.Evidence, w.Did())
		}
	})
}

func TestOne_rollback_per_target_and_a_second_alert_becomes_evidence(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-1")
		w.Fire("DiskFull", "web-1")
		w.Fire("WebErrors", "web-2")
		w.Advance(time.Minute)
		if n := len(w.Rollbacks()); n != 2 {
			t.Fatalf("%d rollbacks, want 2", n)
		}
		var names []string
		for _, a := range w.Rollback("CHG1-r1").Evidence {
			names = append(names, a.Name)
		}
		equal(t, "evidence", []string{"WebErrors", "DiskFull"}, names)
	})
}

func TestBoth_alerts_of_one_webhook_become_one_rollback(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1"}, Alert{Name: "DiskFull", Target: "web-1"})
		w.Advance(10 * time.Second)
		if n := len(w.Rollbacks()); n != 1 {
			t.Fatalf("%d rollbacks, want 1", n)
		}
		if n := len(w.Rollback("CHG1-r1").Evidence); n != 2 {
			t.Errorf("%d alerts speak for it, want 2", n)
		}
	})
}

func (w *World) verdicts() int {
	n := 0
	for _, e := range w.Logs().Changes {
		for _, ev := range e.Record.Events {
			if _, ok := ev.(backout.VerdictGiven); ok {
				n++
			}
		}
	}
	return n
}

func TestShadow_rule_records_its_verdict_once_and_does_nothing(t *testing.T) {
	Story(t, Setup{Rules: strings.Replace(AutoRule, "mode: auto", "mode: shadow", 1)}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(10 * time.Minute)
		w.Fire("WebErrors", "web-1")
		w.Restart()
		w.Advance(10 * time.Minute)
		if n := w.verdicts(); n != 1 {
			t.Errorf("%d verdicts in the log, want 1", n)
		}
		if len(w.Rollbacks()) > 0 || len(w.Effects()) > 0 {
			t.Errorf("did %v", w.Did())
		}
		w.Resolve("WebErrors", "web-1")
		w.Advance(3 * time.Minute)
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Second)
		if n := w.verdicts(); n != 2 {
			t.Errorf("%d verdicts, want 2: it turned red a second time", n)
		}
	})
}

func TestWhen_alert_age_becomes_true_by_time_alone(t *testing.T) {
	Story(t, Setup{Rules: AutoRule + "        when: alert.age > duration(\"5m\")\n"}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(4*time.Minute + 58*time.Second)
		if len(w.Rollbacks()) > 0 {
			t.Fatal("too early")
		}
		w.Advance(8 * time.Second)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestScope_change_takes_every_target_back(t *testing.T) {
	Story(t, Setup{Rules: AutoRule + "        scope: change\n"}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2", "web-3")
		w.Break("web-2")
		w.Fire("WebErrors", "web-2")
		w.Advance(time.Second)
		equal(t, "did", map[string]bool{"web-1 L1": true, "web-2 L1": true, "web-3 L1": true}, set(w.Did()))
	})
}

func set(list []string) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		out[s] = true
	}
	return out
}

// alertmanager answers for the real one.
type alertmanager struct {
	mu     sync.Mutex
	firing map[string]bool
	err    error
}

func (a *alertmanager) Firing(context.Context) (map[string]bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.firing, a.err
}

func (a *alertmanager) set(err error, firing ...Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err, a.firing = err, map[string]bool{}
	for _, f := range firing {
		a.firing[f.Fingerprint()] = true
	}
}

func TestLost_resolved_is_made_up_by_asking_Alertmanager(t *testing.T) {
	am, red := &alertmanager{}, Alert{Name: "WebErrors", Target: "web-1"}
	am.set(nil, red)
	Story(t, Setup{Alerts: am}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying)
		if !strings.Contains(w.Rollback("CHG1-r1").Targets[0].Red, "WebErrors") {
			t.Errorf("red because %q", w.Rollback("CHG1-r1").Targets[0].Red)
		}
		am.set(errors.New("away"))
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying) // who cannot be asked says nothing
		am.set(nil)
		w.Advance(3 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}

func TestStorm_of_alerts_costs_no_records(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		before := w.Logs().Records("CHG1-r1")
		for range 50 {
			w.Fire("WebErrors", "web-1")
		}
		w.Advance(time.Minute)
		if after := w.Logs().Records("CHG1-r1"); after != before {
			t.Errorf("%d records more", after-before)
		}
	})
}
