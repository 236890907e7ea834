package simtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// asking is a plan whose L2 wants two votes.
func asking() backout.Plan {
	p := Plan()
	p.Levels[1].Approval = backout.Approval{
		Mode: backout.ApprovalRequired, Votes: 2, Groups: []string{"sre"}, Expires: minutes(20), OnExpiry: backout.ExpiryDeny,
	}
	return p
}

func TestAsk_mode_waits_for_a_vote_and_follows_it(t *testing.T) {
	Story(t, Setup{Plans: []backout.Plan{asking()}, Rules: strings.Replace(AutoRule, "mode: auto", "mode: ask", 1)}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-1")
		w.Fire("WebErrors", "web-2")
		w.Advance(10 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackPending)
		if len(w.Effects()) > 0 {
			t.Fatalf("did %v before anybody said so", w.Did())
		}
		if _, err := w.Server().Engine().Vote(t.Context(), as("rita"), "CHG1-r1", w.Rollback("CHG1-r1").Ask.ID, backout.ChoiceApprove, ""); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("the requester's own vote: %v", err)
		}
		w.Vote("CHG1-r1", "ann", backout.ChoiceApprove)
		w.Vote("CHG1-r2", "bob", backout.ChoiceDeny)
		w.Advance(time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying)
		is(t, w.Rollback("CHG1-r2"), backout.RollbackHeld)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestNext_level_waits_for_its_votes(t *testing.T) {
	Story(t, Setup{Plans: []backout.Plan{asking()}}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(31 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackAwaiting)
		w.Vote("CHG1-r1", "ann", backout.ChoiceApprove)
		w.Restart() // a vote that was given stays given
		is(t, w.Rollback("CHG1-r1"), backout.RollbackAwaiting)
		w.Vote("CHG1-r1", "bob", backout.ChoiceApprove)
		w.Advance(time.Second)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
	})
}

func TestQuestion_nobody_answers_expires(t *testing.T) {
	Story(t, Setup{Plans: []backout.Plan{asking()}}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(50*time.Minute - time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackAwaiting)
		w.Advance(time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackHeld)
		w.Advance(time.Second)
		if w.Inbox("managers").Count(backout.MomentHeld) != 1 {
			t.Errorf("managers read %v", w.Inbox("managers").Moments())
		}
	})
}

func TestPause_switch_stops_everything_and_resume_goes_on_with_clocks_shifted(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		e := w.Server().Engine()
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-1")
		w.Advance(10 * time.Minute)
		if _, err := e.Pause(t.Context(), as("ann"), ""); !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("a pause without a reason: %v", err)
		}
		if _, err := e.Pause(t.Context(), as("ann"), "network works"); err != nil {
			t.Fatal(err)
		}
		w.Fire("WebErrors", "web-2") // opened, and paused from birth
		w.Advance(40 * time.Minute)
		equal(t, "did while paused", []string{"web-1 L1"}, w.Did())
		if w.Rollback("CHG1-r2").PausedAt.IsZero() {
			t.Error("a rollback that opened under the switch is not paused")
		}
		w.Restart()
		w.Advance(20 * time.Minute)
		equal(t, "did after a restart while paused", []string{"web-1 L1"}, w.Did())
		if _, err := w.Server().Engine().Resume(t.Context(), as("ann"), "done"); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		equal(t, "did after resuming", []string{"web-1 L1", "web-2 L1"}, w.Did())
		w.Advance(20*time.Minute - 2*time.Second)
		equal(t, "did before 30 minutes of its own", []string{"web-1 L1", "web-2 L1"}, w.Did())
		w.Advance(2 * time.Second)
		equal(t, "did after them", []string{"web-1 L1", "web-2 L1", "web-1 L2"}, w.Did())
	})
}

func TestResume_of_the_switch_leaves_alone_what_a_person_paused(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbPause})
		if _, err := w.Server().Engine().Pause(t.Context(), as("bob"), "all"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Server().Engine().Resume(t.Context(), as("bob"), "all"); err != nil {
			t.Fatal(err)
		}
		if w.Rollback("CHG1-r1").PausedBy != "ann" {
			t.Errorf("paused by %q", w.Rollback("CHG1-r1").PausedBy)
		}
	})
}

func TestAbort_ends_the_rollback_when_its_step_has_ended(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Hangs: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbAbort})
		is(t, w.Rollback("CHG1-r1"), backout.RollbackAborting)
		w.Advance(time.Hour)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackAborting)
		w.Host("web-1").Release()
		w.Advance(time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackAborted)
		if s := w.Change("CHG1").State; s != backout.ChangeBackoutFailed {
			t.Errorf("the change is %s", s)
		}
	})
}

func TestAbort_stops_a_step_that_may_be_stopped(t *testing.T) {
	plan := Plan()
	plan.Levels[0].Steps[0].OnOverdue = backout.OverdueStop
	Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Hangs: true})
		w.OpenChange("CHG1", "web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbAbort})
		w.Advance(time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackAborted)
	})
}

func TestEscalate_now(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(5 * time.Minute)
		w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbEscalate})
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
	})
}

func TestIn_doubt_is_held_until_a_person_says_what_happened(t *testing.T) {
	for verdict, want := range map[string][]string{
		"happened": {"web-1 L1"},
		"did_not":  {"web-1 L1", "web-1 L1"},
		"failed":   {"web-1 L1", "web-1 L2"},
	} {
		t.Run(verdict, func(t *testing.T) {
			Story(t, Setup{}, func(t *testing.T, w *World) {
				w.Host("web-1").On("L1", Script{Hangs: true})
				w.OpenChange("CHG1", "web-1")
				w.Break("web-1")
				w.Fire("WebErrors", "web-1")
				w.Advance(time.Minute)
				w.Host("web-1").Reboot()
				w.Advance(time.Second)
				r := w.Rollback("CHG1-r1")
				is(t, r, backout.RollbackHeld)
				w.Advance(2 * time.Hour)
				is(t, w.Rollback("CHG1-r1"), backout.RollbackHeld)
				w.Restart()
				w.Host("web-1").On("L1", Script{})
				w.Act("CHG1-r1", handlers.Action{Verb: handlers.VerbResolve, AttemptID: r.Targets[0].Attempt.ID, Verdict: verdict})
				w.Advance(time.Second)
				equal(t, "did", want, w.Did())
				if w.Inbox("web-team").Count(backout.MomentInDoubt) != 1 {
					t.Errorf("web-team read %v", w.Inbox("web-team").Moments())
				}
			})
		})
	}
}

func TestStart_by_hand(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2")
		e := w.Server().Engine()
		if _, err := e.StartRollback(t.Context(), as("ann"), handlers.StartRequest{ChangeID: "CHG1", Reason: "x"}); !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("no target: %v", err)
		}
		r, err := e.StartRollback(t.Context(), as("ann"), handlers.StartRequest{ChangeID: "CHG1", Targets: []string{"web-2"}, Level: "L2", Reason: "it is slow"})
		if err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		equal(t, "did", []string{"web-2 L2"}, w.Did())
		w.Advance(3 * time.Minute)
		is(t, w.Rollback(r.ID), backout.RollbackRecovered)
	})
}

func limited(limits backout.Limits) Setup {
	p := asking()
	p.Limits = limits
	return Setup{Plans: []backout.Plan{p}}
}

func TestLimits_hold_for_approval(t *testing.T) {
	for name, tt := range map[string]struct {
		limits backout.Limits
		free   int
	}{
		"active rollbacks": {backout.Limits{ActiveRollbacks: 2}, 2},
		"targets per hour": {backout.Limits{TargetsPerHour: 1}, 1},
		"share of change":  {backout.Limits{ShareOfChange: 50}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, limited(tt.limits), func(t *testing.T, w *World) {
				all := []string{"web-1", "web-2", "web-3", "web-4"}
				w.OpenChange("CHG1", all...)
				w.Break(all...)
				w.Fire("WebErrors", all...) // all at once
				w.Advance(time.Second)
				if n := len(w.Effects()); n != tt.free {
					t.Errorf("%d targets were taken back at once, the limit allows %d", n, tt.free)
				}
				waiting := 0
				for _, r := range w.Rollbacks() {
					if r.Ask != nil && strings.HasPrefix(r.Ask.Why, "limit:") {
						waiting++
					}
				}
				if waiting != 4-tt.free {
					t.Errorf("%d wait for approval, want %d", waiting, 4-tt.free)
				}
			})
		})
	}
}
