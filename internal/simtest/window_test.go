package simtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

func TestNo_plan_no_window(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		spec := w.Spec("CHG1", "web-1", "mars")
		spec.Plan = "nothing"
		w.PlanChange(spec)
		w.Host("web-1").SetMissing(true)
		_, err := w.Server().Engine().OpenChange(t.Context(), as("rita"), "CHG1")
		var refused *backout.RefusedError
		if !errors.As(err, &refused) || !errors.Is(err, backout.ErrRefused) {
			t.Fatalf("open: %v", err)
		}
		checks := map[string]bool{}
		for _, v := range refused.Violations {
			checks[v.Check] = true
			if v.Reason == "" || v.Fix == "" {
				t.Errorf("a reason without a fix: %+v", v)
			}
		}
		if !checks["plan"] || !checks["targets"] {
			t.Errorf("reasons %+v, want the plan's and the target's at once", refused.Violations)
		}
		if c := w.Change("CHG1"); c.State != backout.ChangePlanned || len(c.Violations) < 2 {
			t.Errorf("the change is %s with %d reasons", c.State, len(c.Violations))
		}
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		if len(w.Effects()) > 0 {
			t.Errorf("and yet: %v", w.Did())
		}
	})
}

func TestPlan_whose_check_fails_keeps_the_window_shut(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").SetMissing(true)
		w.Host("web-2").SetOffline(true)
		w.PlanChange(w.Spec("CHG1", "web-1", "web-2"))
		result, err := w.Server().Engine().CheckGate(t.Context(), as("rita"), "CHG1")
		if err != nil || result.Passed {
			t.Fatalf("gate: %+v %v", result, err)
		}
		var text []string
		for _, v := range result.Violations {
			text = append(text, v.Target+" "+v.Level+" "+v.Reason)
		}
		all := strings.Join(text, "\n")
		if !strings.Contains(all, "web-1 L1 program") || !strings.Contains(all, "web-2  dial web-2") {
			t.Errorf("reasons:\n%s", all)
		}
		w.Host("web-1").SetMissing(false)
		w.Host("web-2").SetOffline(false)
		if _, err := w.Server().Engine().OpenChange(t.Context(), as("rita"), "CHG1"); err != nil {
			t.Errorf("open once everything is there: %v", err)
		}
		w.Advance(time.Second)
		if w.Inbox("ops").Count(backout.MomentGateRefused) != 1 {
			t.Errorf("ops read %v", w.Inbox("ops").Moments())
		}
	})
}

func TestOf_two_windows_on_one_target_one_opens(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2")
		w.PlanChange(w.Spec("CHG2", "web-2", "web-3"))
		if _, err := w.Server().Engine().OpenChange(t.Context(), as("rita"), "CHG2"); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("a second window on web-2: %v", err)
		}
	})
}

func TestWindows_open_and_close_by_themselves(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		spec := w.Spec("CHG1", "web-1")
		spec.Window = backout.Window{
			Opens: time.Now().Add(time.Hour), Closes: time.Now().Add(2 * time.Hour), Watch: minutes(30), Auto: true,
		}
		w.PlanChange(spec)
		w.Host("web-1").SetOffline(true)
		state := func(want backout.ChangeState) {
			t.Helper()
			if got := w.Change("CHG1").State; got != want {
				t.Errorf("%s: the change is %s, want %s", time.Now().Format("15:04:05"), got, want)
			}
		}
		w.Advance(time.Hour + 2*time.Minute + 30*time.Second)
		state(backout.ChangePlanned) // the gate says no, and is asked again
		if n := w.Inbox("ops").Count(backout.MomentGateRefused); n != 1 {
			t.Errorf("ops heard of the same no %d times", n)
		}
		w.Host("web-1").SetOffline(false)
		w.Advance(31 * time.Second)
		state(backout.ChangeOpen)
		w.Advance(time.Hour - 3*time.Minute - 2*time.Second)
		state(backout.ChangeOpen)
		w.Advance(2 * time.Second)
		state(backout.ChangeWatching)
		w.Advance(30 * time.Minute)
		state(backout.ChangeClosed)
	})
}

func TestWindow_that_should_have_opened_while_the_server_was_down(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		spec := w.Spec("CHG1", "web-1")
		spec.Window = backout.Window{Opens: time.Now().Add(time.Hour), Closes: time.Now().Add(3 * time.Hour), Watch: minutes(30), Auto: true}
		w.PlanChange(spec)
		w.Crash()
		w.Advance(90 * time.Minute)
		w.Start()
		w.Advance(11 * time.Second) // one of several servers opens it: first it must know which
		if s := w.Change("CHG1").State; s != backout.ChangeOpen {
			t.Errorf("the change is %s", s)
		}
	})
}

func TestAlert_before_the_window_never_triggers(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		w.OpenChange("CHG1", "web-1")
		w.Fire("WebErrors", "web-1") // sent again, red since before
		w.Advance(10 * time.Minute)
		if rs := w.Rollbacks(); len(rs) > 0 || len(w.Effects()) > 0 {
			t.Errorf("rollbacks %v, did %v", rs, w.Did())
		}
		w.Fire("DiskFull", "web-1")
		if len(w.Rollbacks()) != 1 {
			t.Error("what turned red afterwards does count")
		}
	})
}

func TestAlert_on_a_target_nobody_changes_does_nothing(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Fire("WebErrors", "web-2")
		w.Advance(time.Minute)
		if len(w.Rollbacks()) > 0 {
			t.Error("web-2 is rolled back")
		}
	})
}

func TestWatch_ends_and_the_change_is_closed(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		if _, err := w.Server().Engine().PatchEnded(t.Context(), as("rita"), "CHG1", 0); err != nil {
			t.Fatal(err)
		}
		w.Advance(59 * time.Minute)
		if s := w.Change("CHG1").State; s != backout.ChangeWatching {
			t.Errorf("the change is %s", s)
		}
		w.Advance(time.Minute)
		if s := w.Change("CHG1").State; s != backout.ChangeClosed {
			t.Errorf("the change is %s", s)
		}
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		if len(w.Rollbacks()) > 0 {
			t.Error("an alert counted after the watch")
		}
	})
}

func TestPlan_edited_while_a_rollback_runs_does_not_change_it(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(10 * time.Minute)
		w.Reconfigure(func(s *Setup) {
			edited := Plan()
			edited.Levels = slices.Clone(edited.Levels[:1])
			edited.Levels[0].EscalateAfter = minutes(90)
			s.Plans = []backout.Plan{edited}
		})
		w.Advance(21 * time.Minute)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
	})
}

func TestRule_edited_while_a_rollback_runs_does_not_change_it(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(10 * time.Minute)
		w.Reconfigure(func(s *Setup) { s.Rules = strings.Replace(AutoRule, "mode: auto", "mode: shadow", 1) })
		w.Fire("WebErrors", "web-2")
		w.Advance(21 * time.Minute)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
		if n := len(w.Rollbacks()); n != 1 {
			t.Errorf("%d rollbacks, want 1: the rule is in shadow now", n)
		}
	})
}

func TestTarget_removed_from_the_inventory_fails_its_step_and_says_why(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-4")
		w.Reconfigure(func(s *Setup) { s.Inventory = s.Inventory[:3] })
		w.Fire("WebErrors", "web-4")
		w.Advance(2 * time.Second)
		r := w.Rollback("CHG1-r1")
		is(t, r, backout.RollbackExhausted)
		if !strings.Contains(r.Targets[0].Failure, "not in the inventory") {
			t.Errorf("web-4 failed because: %q", r.Targets[0].Failure)
		}
	})
}
