package simtest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

func equal[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, sameInstant); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func is(t *testing.T, r backout.Rollback, want backout.RollbackStatus) {
	t.Helper()
	if r.Status != want {
		t.Errorf("%s is %s (%s %s), want %s", r.ID, r.Status, r.Reason, r.HeldReason, want)
	}
}

func TestL1_30_minutes_then_L2_in_virtual_time(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Takes: time.Minute})
		w.Host("web-1").On("L2", Script{Takes: 2 * time.Minute, Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		began := time.Now()
		equal(t, "did", []string{"web-1 L1"}, w.Did())

		w.Advance(29*time.Minute + 59*time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying)
		equal(t, "did before the half hour", []string{"web-1 L1"}, w.Did())

		w.Advance(time.Second)
		equal(t, "did after it", []string{"web-1 L1", "web-1 L2"}, w.Did())
		if at := w.Effects()[1].At.Sub(began); at != 30*time.Minute {
			t.Errorf("L2 started %s after L1, want 30m", at)
		}

		w.Advance(3 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying) // the alert is still red
		w.Resolve("WebErrors", "web-1")
		w.Advance(3 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		if s := w.Change("CHG1").State; s != backout.ChangeBackedOut {
			t.Errorf("the change is %s", s)
		}
		equal(t, "ops read", []string{"window_opened", "red", "recovered L2", "window_closed"}, w.Inbox("ops").Moments())
		equal(t, "web-team read", []string{"red", "level_started L1", "escalated L1", "recovered L2"}, w.Inbox("web-team").Moments())
		equal(t, "managers read", []string{"escalated L1", "level_started L2", "recovered L2"}, w.Inbox("managers").Moments())
	})
}

func TestVerification_must_hold_for_hold_for_without_a_break(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Resolve("WebErrors", "web-1")
		w.Host("web-1").SetHealthy(true)
		w.Advance(time.Minute)
		if w.Rollback("CHG1-r1").Targets[0].GreenSince.IsZero() {
			t.Fatal("not green yet")
		}
		w.Advance(50 * time.Second)
		w.Host("web-1").SetHealthy(false)
		w.Advance(20 * time.Second)
		w.Host("web-1").SetHealthy(true)
		w.Advance(90 * time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying)
		w.Advance(time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}

func TestNothing_counts_as_recovered_without_a_look(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Fire("WebErrors", "web-1")
		w.Resolve("WebErrors", "web-1")
		w.Advance(time.Minute)
		w.Crash()
		w.Advance(10 * time.Minute)
		w.Break("web-1") // green when it was last looked at
		w.Start()
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying)
	})
}

func TestLevel_that_fails_everywhere_escalates_at_once(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Exit: 3})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Second)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
		w.Advance(31 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackExhausted)
		if s := w.Change("CHG1").State; s != backout.ChangeBackoutFailed {
			t.Errorf("the change is %s", s)
		}
	})
}

func TestStep_is_stopped_when_its_level_is_overdue(t *testing.T) {
	plan := Plan()
	plan.Levels[0].Steps[0].OnOverdue = backout.OverdueStop
	Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Hangs: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(30 * time.Minute)
		w.Advance(time.Second)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
		if w.Host("web-1").Running() != 0 {
			t.Error("L1 still runs")
		}
		if w.Inbox("web-team").Count(backout.MomentOverdue) != 1 {
			t.Error("nobody was told that L1 is overdue")
		}
	})
}

func TestStep_that_may_not_be_interrupted_is_waited_for(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Takes: 40 * time.Minute, Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(39 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
		w.Resolve("WebErrors", "web-1")
		w.Advance(4 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestTargets_that_recovered_drop_out_of_the_next_level(t *testing.T) {
	rule := AutoRule + "        scope: change\n"
	Story(t, Setup{Rules: rule}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-2")
		w.Advance(31 * time.Minute)
		equal(t, "did", []string{"web-1 L1", "web-2 L1", "web-2 L2"}, w.Did())
		if r := w.Rollback("CHG1-r1"); r.Target("web-1").Phase != backout.TargetRecovered {
			t.Errorf("web-1 is %s", r.Target("web-1").Phase)
		}
	})
}

func TestHundred_targets_share_records(t *testing.T) {
	var targets []string
	for i := range 100 {
		targets = append(targets, "node-"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	Story(t, Setup{Rules: AutoRule + "        scope: change\n", Inventory: targets}, func(t *testing.T, w *World) {
		for _, name := range targets {
			w.Host(name).On("L1", Script{Takes: time.Minute, Heals: true})
		}
		w.OpenChange("CHG1", targets...)
		w.Fire("WebErrors", targets[0])
		w.Resolve("WebErrors", targets[0])
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		if n := len(w.Effects()); n != 100 {
			t.Errorf("%d effects, want 100", n)
		}
		if n := w.Logs().Records("CHG1-r1"); n > 60 {
			t.Errorf("%d records for 100 claims, outcomes and checks: they do not share", n)
		} else {
			t.Logf("%d records", n)
		}
		if !slices.Equal(w.Inbox("web-team").Moments(), []string{"red", "level_started L1", "recovered L1"}) {
			t.Errorf("web-team read %v", w.Inbox("web-team").Moments())
		}
	})
}
