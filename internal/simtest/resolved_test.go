package simtest

import (
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// entered is a change of whose rollback L1 is entered and nothing has started: its target
// is away.
func entered(t *testing.T, w *World, fire func()) *Host {
	t.Helper()
	h := w.Host("web-1")
	h.Looks(nginx(old))
	w.OpenChange("CHG1", "web-1")
	h.Looks(nginx(patched))
	h.SetOffline(true)
	fire()
	w.Advance(time.Minute)
	if r := w.Rollback("CHG1-r1"); r.Status != backout.RollbackRunning || !r.LevelStartedAt.IsZero() {
		t.Fatalf("%s, started at %s: want L1 entered and nothing of it started", r.Status, r.LevelStartedAt)
	}
	return h
}

// L1's time is up before anybody could claim it, and L2 is entered.
func TestResolved_cancels_a_later_level_when_none_has_started(t *testing.T) {
	Story(t, Setup{WantsDelta: true}, func(t *testing.T, w *World) {
		h := entered(t, w, func() { w.Fire("WebErrors", "web-1") })
		w.Advance(30 * time.Minute)
		if r := w.Rollback("CHG1-r1"); r.Level != 1 || r.Status != backout.RollbackRunning {
			t.Fatalf("%s, level %d: want L2 entered", r.Status, r.Level)
		}
		w.Resolve("WebErrors", "web-1")
		is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
		h.SetOffline(false)
		w.Advance(10 * time.Minute)
		equal(t, "did", []string{}, w.Did())
	})
}

// When Prometheus dies every alert seems to be over: that takes back nothing of what was
// entered, also once somebody watches again.
func TestResolved_while_monitoring_is_blind_cancels_no_level(t *testing.T) {
	for name, end := range map[string]func(w *World){
		"after the watchdog": func(w *World) {
			w.Resolve("Watchdog", "prometheus")
			w.Resolve("WebErrors", "web-1")
		},
		"before the watchdog": func(w *World) {
			w.Resolve("WebErrors", "web-1")
			w.Advance(missingAfter / 4)
			w.Resolve("Watchdog", "prometheus")
		},
		"once more, and before the watchdog": func(w *World) {
			w.Resolve("WebErrors", "web-1")
			bark(t, w.Server())
			w.Advance(missingAfter - time.Minute)
			w.Fire("WebErrors", "web-1")
			bark(t, w.Server())
			w.Advance(50 * time.Second)
			w.Resolve("WebErrors", "web-1")
			w.Advance(30 * time.Second)
			w.Resolve("Watchdog", "prometheus")
		},
		"before the watchdog is missed": func(w *World) {
			w.Resolve("WebErrors", "web-1")
			w.Advance(missingAfter + 10*time.Second)
		},
		"in one message with it": func(w *World) {
			w.Server().Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true}, Alert{Name: "Watchdog", Target: "prometheus", Resolved: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{WantsDelta: true, Monitoring: dog(t)}, func(t *testing.T, w *World) {
				bark(t, w.Server())
				h := entered(t, w, func() { w.Fire("WebErrors", "web-1") })
				end(w)
				wantBlind(t, w, true)
				w.Advance(time.Minute)
				is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
				w.Restart()
				bark(t, w.Server())
				w.Advance(time.Minute)
				wantBlind(t, w, false)
				w.Restart()
				is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
				h.SetOffline(false)
				w.Advance(5 * time.Minute)
				equal(t, "did", []string{"web-1 L1"}, w.Did())
			})
		})
	}
}

// The end may be told when the watchdog is back.
func TestResolved_told_after_a_blindness_cancels_no_level(t *testing.T) {
	Story(t, Setup{WantsDelta: true, Monitoring: dog(t)}, func(t *testing.T, w *World) {
		bark(t, w.Server())
		h := entered(t, w, func() { w.Fire("WebErrors", "web-1") })
		w.Resolve("Watchdog", "prometheus")
		w.Advance(time.Minute)
		wantBlind(t, w, true)
		bark(t, w.Server())
		w.Resolve("WebErrors", "web-1")
		for range 4 {
			w.Advance(missingAfter / 3)
			bark(t, w.Server())
		}
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
		w.Restart()
		for range 4 {
			w.Advance(missingAfter / 3)
			bark(t, w.Server())
		}
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
		h.SetOffline(false)
		w.Advance(5 * time.Minute)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

// With a watchdog that is heard on, an end is one, once the watchdog would have been missed.
func TestResolved_while_somebody_watches_cancels_a_level(t *testing.T) {
	Story(t, Setup{WantsDelta: true, Monitoring: dog(t)}, func(t *testing.T, w *World) {
		bark(t, w.Server())
		h := entered(t, w, func() { w.Fire("WebErrors", "web-1") })
		w.Resolve("WebErrors", "web-1")
		bark(t, w.Server())
		w.Advance(missingAfter / 2)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
		bark(t, w.Server())
		w.Advance(missingAfter/2 + 10*time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
		h.SetOffline(false)
		w.Advance(5 * time.Minute)
		equal(t, "did", []string{}, w.Did())
	})
}

// What waits for its rule's "for" has no reason any more when nothing is red once somebody
// watches again, and is opened anew when something is.
func TestResolved_while_monitoring_is_blind_cancels_what_waits_once_it_is_back(t *testing.T) {
	for name, back := range map[string]func(w *World){
		"the watchdog is back":     func(w *World) { bark(t, w.Server()) },
		"nobody waits for it more": func(w *World) { w.Reconfigure(func(s *Setup) { s.Monitoring = nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{Rules: AutoRule + "        for: 1h\n", Monitoring: dog(t)}, func(t *testing.T, w *World) {
				bark(t, w.Server())
				w.OpenChange("CHG1", "web-1")
				w.Fire("WebErrors", "web-1")
				w.Resolve("Watchdog", "prometheus")
				w.Resolve("WebErrors", "web-1")
				w.Advance(time.Minute)
				is(t, w.Rollback("CHG1-r1"), backout.RollbackPending)
				back(w)
				w.Advance(10 * time.Second)
				is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
			})
		})
	}
}

// An alert whose own end passes unconfirmed is unknown, not resolved.
func TestExpired_cancels_no_level_that_was_entered(t *testing.T) {
	for name, wait := range map[string]func(w *World){
		"while the server runs": func(w *World) { w.Advance(10 * time.Minute) },
		"while it is down": func(w *World) {
			w.Crash()
			w.Advance(10 * time.Minute)
			w.Start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{WantsDelta: true}, func(t *testing.T, w *World) {
				h := entered(t, w, func() { w.Server().PostDirect(Alert{Name: "WebErrors", Target: "web-1"}) })
				wait(w)
				w.Advance(time.Minute)
				is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
				h.SetOffline(false)
				w.Advance(5 * time.Minute)
				equal(t, "did", []string{"web-1 L1"}, w.Did())
			})
		})
	}
}

// The approval lapses while the target is away. What waits again, and has no alert that is
// known to fire, is not asked for anew.
func TestExpired_cancels_what_is_taken_back(t *testing.T) {
	plan := asking()
	plan.Levels[0].Approval = plan.Levels[1].Approval
	plan.Levels[0].Approval.Votes = 1
	Story(t, Setup{WantsDelta: true, Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		entered(t, w, func() {
			w.Server().PostDirect(Alert{Name: "WebErrors", Target: "web-1"})
			w.Vote("CHG1-r1", "ann", backout.ChoiceApprove)
		})
		w.Advance(8 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
		w.Advance(2 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackCancelled)
	})
}
