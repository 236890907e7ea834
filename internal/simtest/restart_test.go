package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
)

func TestRestart_in_the_middle_of_a_step_attaches_and_never_starts_twice(t *testing.T) {
	for name, restart := range map[string]func(*World){
		"graceful": func(w *World) { w.Restart() },
		"crash":    func(w *World) { w.Crash(); w.Advance(2 * time.Minute); w.Start() },
		"crash, and the step ends meanwhile": func(w *World) {
			w.Crash()
			w.Advance(15 * time.Minute)
			w.Start()
		},
		"again and again": func(w *World) {
			for range 3 {
				w.Crash()
				w.Start()
			}
		},
		"target away at the start": func(w *World) {
			w.Crash()
			w.Host("web-1").SetOffline(true)
			w.Start()
			w.Advance(time.Minute)
			w.Host("web-1").SetOffline(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{}, func(t *testing.T, w *World) {
				w.Host("web-1").On("L1", Script{Takes: 10 * time.Minute, Heals: true})
				w.OpenChange("CHG1", "web-1")
				w.Break("web-1")
				w.Fire("WebErrors", "web-1")
				w.Resolve("WebErrors", "web-1")
				w.Advance(time.Minute)
				restart(w)
				w.Advance(15 * time.Minute)
				is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
				equal(t, "did", []string{"web-1 L1"}, w.Did())
				equal(t, "web-team read", []string{"red", "level_started L1", "recovered L1"}, w.Inbox("web-team").Moments())
			})
		})
	}
}

func TestTarget_that_rebooted_while_the_server_was_down_is_in_doubt(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Hangs: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Crash()
		w.Host("web-1").Reboot()
		w.Start()
		w.Advance(time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackHeld)
	})
}

// forge appends to the logs what a server wrote that died right after it.
func (w *World) forge(t *testing.T) {
	t.Helper()
	c := w.Change("CHG1")
	opened := backout.Opened{
		RollbackID: "CHG1-r1", ChangeID: "CHG1", Frozen: *c.Frozen, Targets: []string{"web-1"}, Requester: "rita",
		Trigger: backout.Trigger{By: "ann", Reason: "by hand"}, Baselines: change.BaselinesOf(c, []string{"web-1"}),
	}
	at := time.Now().UTC()
	events, err := change.Decide(c, change.Input{At: at, Do: change.RequestRollback{Request: backout.RollbackRequested{Opened: opened}}})
	if err != nil {
		t.Fatal(err)
	}
	rec := backout.Record{Op: "forged", By: "server-0", At: at, Events: events}
	if _, err := w.Server().Store().Changes.Append(t.Context(), "CHG1", c.Revision, rec); err != nil {
		t.Fatal(err)
	}
}

func TestRestart_between_the_changes_log_and_the_rollbacks_opens_it(t *testing.T) {
	for name, next := range map[string]func(*World){
		"restart":                  func(w *World) { w.Restart() },
		"another server looks too": func(w *World) { w.Advance(6 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{}, func(t *testing.T, w *World) {
				w.OpenChange("CHG1", "web-1")
				w.forge(t)
				next(w)
				w.Advance(time.Second)
				equal(t, "did", []string{"web-1 L1"}, w.Did())
			})
		})
	}
}

func TestAttempt_that_was_requested_and_never_claimed_runs_after_a_restart(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Server().RefuseFrom(3) // asked for, opened, and no claim
		w.Fire("WebErrors", "web-1")
		if a := w.Rollback("CHG1-r1").Targets[0].Attempt; a == nil || a.Runner != "" {
			t.Fatalf("attempt %+v, want one that nobody has claimed", a)
		}
		w.Crash()
		w.Start()
		w.Advance(time.Second)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestRestart_with_an_overdue_deadline_fires_at_once(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(10 * time.Minute)
		w.Crash()
		w.Advance(25 * time.Minute)
		w.Start()
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
	})
}

func TestRestart_while_a_step_is_being_stopped_stops_it(t *testing.T) {
	plan := Plan()
	plan.Levels[0].Steps[0].OnOverdue = backout.OverdueStop
	Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Hangs: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(29 * time.Minute)
		w.Host("web-1").SetOffline(true)
		w.Advance(2 * time.Minute)
		if !w.Rollback("CHG1-r1").Targets[0].Attempt.Stopping {
			t.Fatal("nobody wants it to stop")
		}
		w.Crash()
		w.Start()
		w.Host("web-1").SetOffline(false)
		w.Advance(time.Minute)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
		if w.Host("web-1").Running() != 0 {
			t.Error("L1 still runs")
		}
	})
}

func TestResolved_that_was_stored_before_a_crash_still_cancels(t *testing.T) {
	Story(t, Setup{Rules: AutoRule + "        for: 10m\n"}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		w.Server().RefuseFrom(1) // nothing but the alert itself gets to the disk
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
		w.Crash()
		w.Start()
		w.Advance(20 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
		equal(t, "did", []string{}, w.Did())
	})
}

func TestAlert_that_was_stored_before_a_crash_is_judged(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Server().RefuseFrom(1)
		w.Fire("WebErrors", "web-1")
		w.Crash()
		w.Start()
		w.Advance(time.Second)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

// writes is how many records the story below leaves in the two logs after its
// window is open.
const writes = 10

// whole is a story that goes through both levels. Whatever befalls the store in
// its middle, its end must be the same.
func whole(t *testing.T, trouble func(w *World)) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L2", Script{Takes: time.Minute, Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		trouble(w)
		if code := w.Server().Post(Alert{Name: "WebErrors", Target: "web-1"}); code != 200 {
			t.Fatalf("answer %d", code)
		}
		w.Advance(30 * time.Minute)
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
		w.Advance(10 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
		if n := w.Server().Logged(); n < writes {
			t.Logf("only %d writes", n)
		}
	})
}

func TestLost_answer_to_any_append_loses_and_doubles_nothing(t *testing.T) {
	for n := range writes {
		t.Run(fmt.Sprint(n+1), func(t *testing.T) {
			whole(t, func(w *World) { w.Server().LoseAnswers(n+1, 1) })
		})
	}
}

func TestCrash_at_any_append_loses_and_doubles_nothing(t *testing.T) {
	for n := range writes {
		t.Run(fmt.Sprint(n+1), func(t *testing.T) {
			Story(t, Setup{}, func(t *testing.T, w *World) {
				w.Host("web-1").On("L2", Script{Takes: time.Minute, Heals: true})
				w.OpenChange("CHG1", "web-1")
				w.Break("web-1")
				w.Server().RefuseFrom(n + 1)
				w.Server().Post(Alert{Name: "WebErrors", Target: "web-1"})
				for range 33 {
					w.Advance(time.Minute)
					if w.Server().Stuck() {
						w.Crash()
						w.Start()
					}
				}
				w.Server().Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
				w.Advance(10 * time.Minute)
				if w.Server().Stuck() {
					w.Crash()
					w.Start()
					w.Advance(10 * time.Minute)
				}
				is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
				equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
			})
		})
	}
}
