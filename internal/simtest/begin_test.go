package simtest

import (
	"errors"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
)

// A claim may be old when the target can be reached at last. What has been
// forbidden meanwhile does not begin.
func TestClaimed_step_that_reaches_its_target_late(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile, then func(t *testing.T, w *World)
		early, late     int
	}{
		"the pause switch is on": {
			meanwhile: func(t *testing.T, w *World) {
				if _, err := w.Server().engine.Pause(t.Context(), as("ann"), "look first"); err != nil {
					t.Fatal(err)
				}
			},
			then: func(t *testing.T, w *World) {
				if _, err := w.Server().engine.Resume(t.Context(), as("ann"), ""); err != nil {
					t.Fatal(err)
				}
			},
			late: 1,
		},
		"the rollback is held": {
			meanwhile: func(_ *testing.T, w *World) { w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbHold}) },
			then:      func(_ *testing.T, w *World) { w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbRelease}) },
			late:      1,
		},
		"it is aborted": {
			meanwhile: func(_ *testing.T, w *World) { w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbAbort}) },
			then:      func(*testing.T, *World) {},
		},
		"the server restarts, and it is paused": {
			meanwhile: func(_ *testing.T, w *World) {
				w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbPause})
				w.Crash()
				w.Start()
			},
			then: func(_ *testing.T, w *World) { w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbResume}) },
			late: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{}, func(t *testing.T, w *World) {
				w.Host("web-1").On("L1", Script{Heals: true})
				w.OpenChange("CHG1", "web-1")
				w.Break("web-1")
				w.Host("web-1").SetOffline(true)
				w.Fire("WebErrors", "web-1")
				w.Advance(10 * time.Second)
				if by := w.Rollback("CHG1-r1").Targets[0].Attempt.Runner; by == "" {
					t.Fatal("the step is not claimed")
				}
				c.meanwhile(t, w)
				w.Host("web-1").SetOffline(false)
				w.Advance(2 * time.Minute)
				equal(t, "effects before", c.early, len(w.Effects()))
				c.then(t, w)
				w.Advance(2 * time.Minute)
				equal(t, "effects after", c.late, len(w.Effects()))
			})
		})
	}
}

// What a target keeps of a rollback goes away some time after its end, also when
// the target was away then, or the server died. Until then a start that is stuck on
// its way finds that its attempt was there.
func TestTargets_forget_the_attempts_of_a_rollback_that_has_ended(t *testing.T) {
	for name, later := range map[string]func(w *World){
		"in time": func(*World) {},
		"the target was away": func(w *World) {
			w.Advance(20 * time.Minute)
			w.Server().Cut("web-1", false)
			w.Advance(11 * time.Minute)
		},
		"the server died": func(w *World) { w.Crash(); w.Start() },
		"it died, and came back the next morning": func(w *World) {
			w.Crash()
			w.Advance(8 * time.Hour)
			w.Start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{}, func(t *testing.T, w *World) {
				w.Host("web-1").On("L1", Script{Heals: true})
				w.OpenChange("CHG1", "web-1")
				w.Break("web-1")
				w.Fire("WebErrors", "web-1")
				w.Resolve("WebErrors", "web-1")
				w.Advance(3 * time.Minute)
				is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
				w.Advance(10 * time.Minute)
				equal(t, "attempts kept ten minutes after", 1, w.Host("web-1").Keeps())
				if name == "the target was away" {
					w.Server().Cut("web-1", true)
				}
				later(w)
				w.Advance(12 * time.Minute)
				equal(t, "attempts kept", 0, w.Host("web-1").Keeps())
				equal(t, "did", []string{"web-1 L1"}, w.Did())
			})
		})
	}
}

// The server that moved the pause switch died before it had reached every
// rollback.
func TestStart_pauses_what_the_switch_had_not_reached(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Hangs: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		state := store.PauseState{On: true, By: "ann", Reason: "look first", At: time.Now().UTC()}
		if err := w.Server().Store().Control.SetPause(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		w.Crash()
		w.Start()
		w.Advance(40 * time.Minute)
		r := w.Rollback("CHG1-r1")
		if r.PausedAt.IsZero() || r.Overdue {
			t.Errorf("paused %v, overdue %v: the clocks go on", !r.PausedAt.IsZero(), r.Overdue)
		}
		if _, err := w.Server().engine.Resume(t.Context(), as("ann"), ""); err != nil {
			t.Fatal(err)
		}
		w.Host("web-1").Release()
	})
}

// A server with a new name on an old store tells nothing anew, however old the
// receipts.
func TestServer_with_a_new_name_tells_no_old_news(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Resolve("WebErrors", "web-1")
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		read := len(w.Inbox("ops").Notices())
		w.Crash()
		w.Advance(25 * time.Hour) // JetStream remembers what it has seen for a day
		w.Start()
		w.ForgetReceipts()
		w.Join("server-9")
		w.Advance(10 * time.Minute)
		equal(t, "notices read", read, len(w.Inbox("ops").Notices()))
	})
}

// While everything is paused no single rollback is resumed: what it has claimed
// would begin.
func TestSwitch_holds_for_every_rollback(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Host("web-1").SetOffline(true)
		w.Fire("WebErrors", "web-1")
		w.Advance(10 * time.Second)
		if _, err := w.Server().engine.Pause(t.Context(), as("ann"), "look first"); err != nil {
			t.Fatal(err)
		}
		resume := handlers.Action{Verb: handlers.VerbResume}
		if _, err := w.Server().engine.Act(t.Context(), as("bob"), "CHG1-r1", resume); !errors.Is(err, backout.ErrPaused) {
			t.Errorf("resume of one: %v", err)
		}
		w.Host("web-1").SetOffline(false)
		w.Advance(2 * time.Minute)
		equal(t, "effects while everything is paused", 0, len(w.Effects()))
		if _, err := w.Server().engine.Resume(t.Context(), as("ann"), ""); err != nil {
			t.Fatal(err)
		}
		w.Advance(2 * time.Minute)
		equal(t, "effects after", 1, len(w.Effects()))
	})
}
