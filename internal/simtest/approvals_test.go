package simtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

func TestVeto_window_waits_until_somebody_can_be_told(t *testing.T) {
	plan := Plan()
	plan.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: minutes(5)}
	Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		for _, name := range []string{"ops", "web-team"} {
			w.Inbox(name).SetDown(true)
		}
		w.Fire("WebErrors", "web-1")
		w.Advance(20 * time.Minute)
		w.Restart()
		w.Advance(20 * time.Minute)
		equal(t, "did while nobody could be told", []string{}, w.Did())
		w.Inbox("web-team").SetDown(false)
		w.Advance(11 * time.Minute) // the next try, and the whole window
		equal(t, "did when they could", []string{"web-1 L1"}, w.Did())
		if n := w.Inbox("web-team").Count(backout.MomentUnreachable); n != 1 {
			t.Errorf("told %d times that nobody could be asked, want once", n)
		}
		w.Inbox("ops").SetDown(false)
		w.Advance(30 * time.Minute)
	})
}

func TestVeto_window_waits_for_a_question_that_was_given_up(t *testing.T) {
	plan := Plan()
	plan.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: minutes(5)}
	Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		revoked := func(context.Context, backout.Message) error { return backout.Permanent(errors.New("token_revoked")) }
		for _, name := range []string{"ops", "web-team"} {
			w.Inbox(name).SetFailing(revoked)
		}
		w.Fire("WebErrors", "web-1")
		w.Advance(20 * time.Minute)
		w.Restart()
		w.Advance(40 * time.Minute)
		equal(t, "did while nobody could be told", []string{}, w.Did())
		w.Inbox("web-team").SetFailing(nil)
		w.Restart()
		w.Advance(6 * time.Minute) // at once, and the whole window
		equal(t, "did when they could", []string{"web-1 L1"}, w.Did())
		if n := w.Inbox("web-team").Count(backout.MomentApproval); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		w.Inbox("ops").SetFailing(nil)
		w.Advance(30 * time.Minute)
	})
}

func TestApproval_of_the_night_starts_nothing_in_the_morning(t *testing.T) {
	Story(t, Setup{Plans: []backout.Plan{asking()}}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(31 * time.Minute)
		e := w.Server().Engine()
		w.Vote("CHG1-r1", "ann", backout.ChoiceApprove)
		first := w.Rollback("CHG1-r1").Ask.ID
		if _, err := e.Pause(t.Context(), as("ann"), "network works"); err != nil {
			t.Fatal(err)
		}
		w.Advance(7 * time.Hour)
		if _, err := e.Resume(t.Context(), as("ann"), "done"); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		if r := w.Rollback("CHG1-r1"); r.Ask == nil || r.Ask.Renews != first || len(r.Ask.Votes) != 0 {
			t.Fatalf("not asked anew: %+v", r.Ask)
		}
		w.Vote("CHG1-r1", "bob", backout.ChoiceApprove)
		equal(t, "did with one new vote of two", []string{"web-1 L1"}, w.Did())
		w.Vote("CHG1-r1", "ann", backout.ChoiceApprove)
		w.Advance(time.Second)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
	})
}

func TestVeto_window_waits_for_its_own_question(t *testing.T) {
	plan := Plan()
	plan.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: minutes(5)}
	Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		refuses := func(_ context.Context, m backout.Message) error {
			if m.Notice.Moment != backout.MomentApproval {
				return nil
			}
			return backout.Permanent(errors.New("413 too large"))
		}
		for _, name := range []string{"ops", "web-team"} {
			w.Inbox(name).SetFailing(refuses)
		}
		w.Fire("WebErrors", "web-1")
		w.Advance(30 * time.Minute)
		equal(t, "did while the question itself reached nobody", []string{}, w.Did())
		w.Inbox("ops").SetFailing(nil)
		w.Advance(16 * time.Minute) // it is handed over again, and the whole window
		equal(t, "did when it had arrived", []string{"web-1 L1"}, w.Did())
		w.Inbox("web-team").SetFailing(nil)
		w.Advance(30 * time.Minute)
	})
}
