package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// askedWorld opens CHG1 and starts a rollback whose L2 asks.
func (w *openWorld) asks(e *Engine) backout.Rollback {
	w.t.Helper()
	w.planned(e, "CHG1")
	if _, err := e.OpenChange(w.t.Context(), alice, "CHG1"); err != nil {
		w.t.Fatal(err)
	}
	r, err := e.StartRollback(w.t.Context(), alice, handlers.StartRequest{ChangeID: "CHG1", Targets: []string{"web1"}, Level: "L2", Reason: "broken"})
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	if r.Ask == nil {
		w.t.Fatalf("nothing is asked: %+v", r)
	}
	return r
}

// logOf are the events of a rollback.
func (w *openWorld) logOf(id string) (out []backout.Event) {
	w.t.Helper()
	entries, err := w.store.Rollbacks.Load(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		out = append(out, entry.Record.Events...)
	}
	return out
}

func eventsOf[E backout.Event](all []backout.Event) (out []E) {
	for _, ev := range all {
		if e, ok := ev.(E); ok {
			out = append(out, e)
		}
	}
	return out
}

// TestAThousandDecisionsAtOnce: of a thousand decisions from every channel and two
// servers one wins, every other is told who was first, and all thousand are recorded.
func TestAThousandDecisionsAtOnce(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		servers := []*Engine{w.serve("one", w.store), w.serve("two", w.store)}
		defer servers[1].Close()
		defer servers[0].Close()
		r := w.asks(servers[0])
		ask := r.Ask.ID
		const n = 1000
		failed := make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			by := handlers.Actor{Name: fmt.Sprint("person-", i), Groups: []string{"sre"}, Via: []string{"slack", "dashboard", "cli", "api"}[i%4]}
			choice := []backout.Choice{backout.ChoiceApprove, backout.ChoiceDeny}[i/4%2]
			all.Go(func() { _, failed[i] = servers[i%2].Vote(t.Context(), by, r.ID, ask, choice, "now") })
		}
		all.Wait()
		synctest.Wait()
		won := ""
		for i, err := range failed {
			switch {
			case err == nil && won == "":
				won = fmt.Sprint("person-", i)
			case err == nil:
				t.Errorf("person-%d wins too", i)
			case !errors.Is(err, backout.ErrStale):
				t.Errorf("person-%d: %v", i, err)
			}
		}
		told := "already decided by " + won + " at "
		for i, err := range failed {
			if err != nil && !strings.Contains(err.Error(), told) {
				t.Fatalf("person-%d is told %q, want %q", i, err, told)
			}
		}
		log := w.logOf(r.ID)
		votes, refused, answers := eventsOf[backout.Voted](log), eventsOf[backout.VoteRefused](log), eventsOf[backout.Answered](log)
		if len(votes) != 1 || votes[0].Vote.User != won || len(answers) != 1 || len(votes)+len(refused) != n {
			t.Errorf("%d votes, %d refused, %d answers; won by %s", len(votes), len(refused), len(answers), won)
		}
		people := map[string]bool{won: true}
		for _, no := range refused {
			people[no.Vote.User] = true
		}
		if len(people) != n {
			t.Errorf("%d people are in the log, want %d", len(people), n)
		}
	})
}

// TestRefusedVotesAreRecordedAndToldToTheVoter.
func TestRefusedVotesAreRecordedAndToldToTheVoter(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		level := &w.cfg.Plans["web"].Levels[1].Approval
		level.StepUp, level.Channels = backout.Duration(5*time.Minute), []string{"dashboard"}
		e := w.serve("me", w.store)
		defer e.Close()
		r := w.asks(e)
		sre := []string{"sre"}
		for _, tt := range []struct {
			by    handlers.Actor
			cause string
		}{
			{handlers.Actor{Name: "alice", Groups: sre, Via: "dashboard", LoginAt: time.Now()}, backout.RefusalExcluded},
			{handlers.Actor{Name: "eve", Via: "dashboard", LoginAt: time.Now()}, backout.RefusalGroup},
			{handlers.Actor{Name: "carol", Groups: sre, Via: "slack", LoginAt: time.Now()}, backout.RefusalChannel},
			{handlers.Actor{Name: "carol", Groups: sre, Via: "dashboard", LoginAt: time.Now().Add(-6 * time.Minute)}, backout.RefusalLogin},
			{handlers.Actor{Name: "carol", Groups: sre, Via: "dashboard"}, backout.RefusalLogin},
		} {
			if _, err := e.Vote(t.Context(), tt.by, r.ID, r.Ask.ID, backout.ChoiceApprove, ""); !errors.Is(err, backout.ErrRefused) {
				t.Errorf("%s: %v", tt.cause, err)
			}
			all := eventsOf[backout.VoteRefused](w.logOf(r.ID))
			if len(all) == 0 || all[len(all)-1].Cause != tt.cause || all[len(all)-1].Vote.User != tt.by.Name {
				t.Errorf("%s: the log has %+v", tt.cause, all)
			}
		}
		stranger := handlers.Actor{Name: "slack/T1/U7", Via: "slack"}
		if err := e.VoteRefused(t.Context(), stranger, r.ID, r.Ask.ID, backout.ChoiceApprove, backout.RefusalUnmapped, "linked to nobody"); err != nil {
			t.Error(err)
		}
		if err := e.VoteRefused(t.Context(), stranger, r.ID, "CHG1-r1.q9", backout.ChoiceApprove, backout.RefusalUnmapped, "linked to nobody"); !errors.Is(err, backout.ErrForbidden) {
			t.Errorf("on a question that never was: %v", err)
		}
		if n := len(eventsOf[backout.VoteRefused](w.logOf(r.ID))); n != 6 {
			t.Errorf("%d refused votes are recorded, want 6", n)
		}
		by := handlers.Actor{Name: "carol", Groups: sre, Via: "dashboard", LoginAt: time.Now().Add(-4 * time.Minute)}
		if _, err := e.Vote(t.Context(), by, r.ID, r.Ask.ID, backout.ChoiceApprove, ""); err != nil {
			t.Error(err)
		}
	})
}

// TestBreakGlassIsReviewedAfterTheEnd.
func TestBreakGlassIsReviewedAfterTheEnd(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer func() { e.Close() }()
		r := w.asks(e)
		act := func(who string, a handlers.Action) error {
			_, err := e.Act(t.Context(), handlers.Actor{Name: who, Groups: []string{"sre"}, Via: "cli"}, r.ID, a)
			return err
		}
		if err := act("alice", handlers.Action{Verb: handlers.VerbBreakGlass, AskID: "CHG1-r1.q9", Reason: "alone"}); !errors.Is(err, backout.ErrStale) {
			t.Errorf("another question: %v", err)
		}
		if err := act("alice", handlers.Action{Verb: handlers.VerbBreakGlass, AskID: r.Ask.ID, Reason: "alone"}); err != nil {
			t.Fatal(err)
		}
		if err := act("carol", handlers.Action{Verb: handlers.VerbHold, AskID: r.Ask.ID}); !errors.Is(err, backout.ErrStale) || !strings.Contains(err.Error(), "decided by alice") {
			t.Errorf("a hold that comes too late: %v", err)
		}
		if err := act("carol", handlers.Action{Verb: handlers.VerbAbort, Reason: "done"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour) // it is at rest by then
		e.Close()
		e = w.serve("me", w.store)
		if err := act("alice", handlers.Action{Verb: handlers.VerbReview, Reason: "I was right"}); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("alice reviews herself: %v", err)
		}
		if err := act("carol", handlers.Action{Verb: handlers.VerbReview, Reason: "she was right"}); err != nil {
			t.Fatal(err)
		}
		got, err := e.Rollback(t.Context(), r.ID)
		if err != nil || len(got.Reviews) != 1 || got.Reviews[0].ReviewedBy != "carol" || !got.Status.Final() {
			t.Errorf("%v, %s, %+v", err, got.Status, got.Reviews)
		}
	})
}

// TestWhatWaitsForAReviewIsFound: also long after the end and after a restart, without a
// look at anything that is at rest; and not any more once somebody has looked.
func TestWhatWaitsForAReviewIsFound(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer func() { e.Close() }()
		r := w.asks(e)
		act := func(who string, a handlers.Action) {
			t.Helper()
			if _, err := e.Act(t.Context(), handlers.Actor{Name: who, Groups: []string{"sre"}, Via: "cli"}, r.ID, a); err != nil {
				t.Fatal(err)
			}
		}
		owed := func(want int, resting ...string) {
			t.Helper()
			for f, n := range map[handlers.RollbackFilter]int{{Unreviewed: true}: want, {Unreviewed: true, ChangeID: r.ChangeID}: want, {Unreviewed: true, ChangeID: "other"}: 0} {
				if list, err := e.ListRollbacks(t.Context(), f); err != nil || len(list) != n {
					t.Errorf("%+v: %d rollbacks, want %d: %v", f, len(list), n, err)
				}
			}
			if diff := cmp.Diff(resting, e.rollbacks.resting()); diff != "" {
				t.Errorf("at rest (-want +got):\n%s", diff)
			}
		}
		owed(0)
		act("alice", handlers.Action{Verb: handlers.VerbBreakGlass, AskID: r.Ask.ID, Reason: "alone"})
		owed(1)
		act("carol", handlers.Action{Verb: handlers.VerbAbort, Reason: "done"})
		again := func() {
			time.Sleep(2 * restAfter)
			e.Close()
			e = w.serve("me", w.store)
		}
		again()
		owed(1)
		if active, err := e.ListRollbacks(t.Context(), handlers.RollbackFilter{Unreviewed: true, ActiveOnly: true}); err != nil || len(active) != 0 {
			t.Errorf("active: %d, %v", len(active), err)
		}
		act("carol", handlers.Action{Verb: handlers.VerbReview, Reason: "she was right"})
		owed(0)
		again()
		owed(0, r.ID)
	})
}

// TestOtherMembersVoidABrokenGlass: who broke it did so as one of the groups.
func TestOtherMembersVoidABrokenGlass(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.cfg.Groups = map[string][]string{"sre": {"carol", "dan"}}
		w.cfg.Plans["web"].Levels[1].Approval.Votes = 2
		e := w.serve("me", w.store)
		defer func() { e.Close() }()
		r := w.asks(e)
		carol := handlers.Actor{Name: "carol", Groups: []string{"sre"}, Via: "cli"}
		if _, err := e.Act(t.Context(), carol, r.ID, handlers.Action{Verb: handlers.VerbBreakGlass, AskID: r.Ask.ID, Reason: "alone"}); err != nil {
			t.Fatal(err)
		}
		reload := func(people ...string) backout.Rollback {
			cfg := *w.cfg
			cfg.Groups = map[string][]string{"sre": people}
			e.Reconfigure(&cfg)
			synctest.Wait()
			now, _ := e.rollbacks.get(r.ID)
			return now
		}
		if now := reload("dan", "carol"); now.Ask != nil || now.Level != 1 {
			t.Fatalf("the same people: %+v", now.Ask)
		}
		if now := reload("dan", "erin"); now.Ask == nil || now.Ask.Renews != r.Ask.ID || now.Level == 1 || len(now.Reviews) != 1 {
			t.Fatalf("other people: level %d, %+v, %+v", now.Level, now.Ask, now.Reviews)
		}
	})
}

// TestOtherMembersVoidAVote: at a reload, and when the files changed while no server ran.
func TestOtherMembersVoidAVote(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				w.cfg.Groups = map[string][]string{"sre": {"carol", "dan"}}
				w.cfg.Plans["web"].Levels[1].Approval.Votes = 2
				e := w.serve("me", w.store)
				defer func() { e.Close() }()
				r := w.asks(e)
				vote := func(who, ask string) error {
					_, err := e.Vote(t.Context(), handlers.Actor{Name: who, Groups: []string{"sre"}, Via: "cli"}, r.ID, ask, backout.ChoiceApprove, "")
					return err
				}
				if err := vote("carol", r.Ask.ID); err != nil {
					t.Fatal(err)
				}
				same := *w.cfg
				e.Reconfigure(&same)
				synctest.Wait()
				other := *w.cfg
				other.Groups = map[string][]string{"sre": {"dan", "erin"}}
				w.cfg = &other
				if restart {
					e.Close()
					e = w.serve("me", w.store)
				} else {
					e.Reconfigure(&other)
					synctest.Wait()
				}
				now, _ := e.rollbacks.get(r.ID)
				if now.Ask == nil || now.Ask.Renews != r.Ask.ID || len(now.Ask.Votes) != 0 || len(eventsOf[backout.ApprovalVoided](w.logOf(r.ID))) != 1 {
					t.Fatalf("%+v", now.Ask)
				}
				if err := vote("dan", r.Ask.ID); !errors.Is(err, backout.ErrStale) {
					t.Errorf("a vote on the old question: %v", err)
				}
			})
		})
	}
}

// TestKnownExploitedIsLookedUpWhenItOpens.
func TestKnownExploitedIsLookedUpWhenItOpens(t *testing.T) {
	c := &Config{Exploited: map[string]bool{"CVE-2026-2": true}}
	if got := c.exploited([]string{"CVE-2026-1", "cve-2026-2"}); len(got) != 1 || got[0] != "cve-2026-2" {
		t.Errorf("%v", got)
	}
}
