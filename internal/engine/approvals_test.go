package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
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

// fakeReach answers what it is told to.
type fakeReach struct {
	mu    sync.Mutex
	ok    bool
	why   string
	asked []backout.Notice
	// since is when the question has been delivered.
	since time.Time
	// takes is how long a look takes.
	takes time.Duration
}

func (f *fakeReach) set(ok bool, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ok, f.why = ok, why
}

func (f *fakeReach) Reach(_ context.Context, asked []backout.Notice) (bool, time.Time, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = asked
	time.Sleep(f.takes)
	return f.ok, f.since, f.why
}

// arrives lets the question be delivered at this time.
func (f *fakeReach) arrives(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ok, f.why, f.since = true, "", at
}

// vetoWorld has a plan whose L2 starts in five minutes unless somebody holds it.
func (w *openWorld) vetoes(reach Reacher) {
	w.cfg.Reach = reach
	w.cfg.Plans["web"].Levels[1].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: backout.Duration(5 * time.Minute)}
}

// TestVetoWindowStandsStillWhileNobodyCanBeTold: over a restart too, and what is not
// known yet changes nothing.
func TestVetoWindowStandsStillWhileNobodyCanBeTold(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		reach := &fakeReach{ok: true}
		w.vetoes(reach)
		e := w.serve("me", w.store)
		defer func() { e.Close() }()
		r := w.asks(e)
		started := func() bool {
			synctest.Wait()
			now, _ := e.rollbacks.get(r.ID)
			return now.Level == 1
		}
		time.Sleep(3 * time.Minute)
		reach.set(false, "ops: slack answers 500")
		time.Sleep(10 * time.Minute)
		if now, _ := e.rollbacks.get(r.ID); started() || now.Ask.DownReason != "ops: slack answers 500" || len(reach.asked) != 1 || reach.asked[0].Audience != "ops" || reach.asked[0].NextLevel != "L2" {
			t.Fatalf("started, or not told: %+v, asked of %v", now.Ask, reach.asked)
		}
		// Routes send it by level and labels, so they are asked for this one.
		if q := reach.asked[0]; q.Moment != backout.MomentApproval || q.At.IsZero() || !maps.Equal(q.Labels, r.Labels) || q.ID == "" || q.ID != r.Ask.NoticeID {
			t.Errorf("the question is %+v", q)
		}
		e.Close()
		reach.set(false, "") // a new process does not know yet
		e = w.serve("me", w.store)
		time.Sleep(10 * time.Minute)
		if started() {
			t.Fatal("started after a restart, with nobody told")
		}
		reach.set(true, "")
		time.Sleep(90 * time.Second)
		if started() {
			t.Fatal("started before people had the rest of the window")
		}
		time.Sleep(40 * time.Second)
		if !started() {
			now, _ := e.rollbacks.get(r.ID)
			t.Fatalf("not started: %+v", now.Ask)
		}
		if n := len(eventsOf[backout.ChannelsDown](w.logOf(r.ID))); n != 1 {
			t.Errorf("it was recorded %d times that nobody can be told, want once", n)
		}
	})
}

// TestServersThatSeeChannelsDifferentlyDoNotFlipTheClock: one of them judges. The other
// starts the level all the same when the judge is gone.
func TestServersThatSeeChannelsDifferentlyDoNotFlipTheClock(t *testing.T) {
	for name, judge := range map[string]struct{ up, down string }{"the judge can": {"judge", "other"}, "the judge cannot": {"other", "judge"}} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				serve := func(server string, reach Reacher) *Engine {
					cfg := *w.cfg
					cfg.Reach = reach
					e := New(Options{Store: w.store, Server: server, Sender: w.mouth, Log: w.log, Peers: ownedBy{"judge"}}, &cfg)
					if err := e.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					return e
				}
				w.vetoes(nil)
				up, down := serve(judge.up, &fakeReach{ok: true, takes: 200 * time.Millisecond}), serve(judge.down, &fakeReach{why: "slack answers 500"})
				defer up.Close()
				defer down.Close()
				r := w.asks(up)
				time.Sleep(4 * time.Minute)
				synctest.Wait()
				downs, ups := eventsOf[backout.ChannelsDown](w.logOf(r.ID)), eventsOf[backout.ChannelsUp](w.logOf(r.ID))
				if want := map[bool]int{true: 0, false: 1}[judge.up == "judge"]; len(downs) != want || len(ups) != 0 {
					t.Fatalf("the clock stopped %d times and went on %d times", len(downs), len(ups))
				}
				time.Sleep(time.Minute + time.Second)
				synctest.Wait()
				if now, _ := up.rollbacks.get(r.ID); now.Level == 1 != (judge.up == "judge") {
					t.Errorf("level %d: %+v", now.Level, now.Ask)
				}
			})
		})
	}
}

// TestWithoutItsJudgeAWindowEndsAllTheSame: soon, by the server that is left.
func TestWithoutItsJudgeAWindowEndsAllTheSame(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.vetoes(&fakeReach{ok: true})
		e := New(Options{Store: w.store, Server: "me", Sender: w.mouth, Log: w.log, Peers: ownedBy{"gone"}}, w.cfg)
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		r := w.asks(e)
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		if now, _ := e.rollbacks.get(r.ID); now.Level != 1 || now.LevelEnteredAt.Sub(r.Ask.Deadline) > time.Second {
			t.Errorf("level %d, entered %s, due %s", now.Level, now.LevelEnteredAt, r.Ask.Deadline)
		}
	})
}

// TestAConnectionThatIsOpenedAnewStopsNoClock: a moment does not, but at the deadline it
// does.
func TestAConnectionThatIsOpenedAnewStopsNoClock(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		reach := &fakeReach{ok: true}
		w.vetoes(reach)
		e := w.serve("me", w.store)
		defer e.Close()
		r := w.asks(e)
		downs := func() int {
			synctest.Wait()
			return len(eventsOf[backout.ChannelsDown](w.logOf(r.ID)))
		}
		for range 5 {
			time.Sleep(30 * time.Second)
			reach.set(false, "it is opened anew")
			time.Sleep(3 * time.Second)
			reach.set(true, "")
		}
		if n := downs(); n != 0 {
			t.Errorf("the clock stopped %d times", n)
		}
		time.Sleep(time.Until(r.Ask.Deadline.Add(-time.Second)))
		reach.set(false, "it is opened anew")
		time.Sleep(3 * time.Second)
		if now, _ := e.rollbacks.get(r.ID); downs() != 1 || now.Level == 1 {
			t.Errorf("level %d though nobody could stop it at the deadline", now.Level)
		}
	})
}

// TestWhatIsNotKnownAtTheDeadlineStartsNothing: it is looked again, and after a while
// people count as not told. No other input starts the level meanwhile. Whoever was told
// before has had the time; whoever is told only then gets it.
func TestWhatIsNotKnownAtTheDeadlineStartsNothing(t *testing.T) {
	for name, tt := range map[string]struct{ before, known bool }{
		"it was known, and is again soon": {true, true}, "it is known too late": {false, true}, "it is never known": {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				reach := &fakeReach{}
				w.vetoes(reach)
				e := w.serve("me", w.store)
				defer e.Close()
				reach.set(tt.before, "")
				r := w.asks(e)
				time.Sleep(time.Until(r.Ask.Deadline.Add(-time.Second)))
				reach.set(false, "")
				now := func() backout.Rollback {
					synctest.Wait()
					now, _ := e.rollbacks.get(r.ID)
					return now
				}
				time.Sleep(time.Until(r.Ask.Deadline.Add(10 * time.Second)))
				for i := range 5 {
					alert := backout.AlertRef{Fingerprint: fmt.Sprint("f", i), Target: r.Targets[0].Name}
					if _, err := e.input(t.Context(), r.ID, rollback.AlertSeen{Alert: alert}); err != nil {
						t.Fatal(err)
					}
				}
				if now := now(); now.Level == 1 || !now.Ask.DownAt.IsZero() {
					t.Fatalf("level %d, %+v", now.Level, now.Ask)
				}
				reach.set(tt.known, "")
				if tt.known && tt.before {
					time.Sleep(time.Second)
					if now := now(); now.Level != 1 {
						t.Errorf("not started: %+v", now.Ask)
					}
					return
				}
				why := "only when its time was over"
				if !tt.known {
					time.Sleep(25 * time.Second)
					why = "not known"
				}
				time.Sleep(time.Second)
				if now := now(); now.Level == 1 || now.Ask == nil || !strings.Contains(now.Ask.DownReason, why) {
					t.Errorf("level %d, %+v", now.Level, now.Ask)
				}
				reach.set(true, "")
				time.Sleep(50 * time.Second)
				if now := now(); now.Level == 1 {
					t.Error("started before people had a minute")
				}
				time.Sleep(30 * time.Second)
				if now := now(); now.Level != 1 {
					t.Errorf("not started: %+v", now.Ask)
				}
			})
		})
	}
}

// TestWhatArrivesAfterTheDeadlineStartsNothing: also for a server that has looked at
// nothing before, since it was not there, or since another one judged until then. When it
// was delivered is in the store.
func TestWhatArrivesAfterTheDeadlineStartsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		late time.Duration // than the deadline
		want bool
	}{"after it": {time.Minute, false}, "just before it": {-time.Second, false}, "in time": {-2 * time.Minute, true}} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				reach := &fakeReach{}
				w.vetoes(reach)
				e := w.serve("me", w.store)
				r := w.asks(e)
				e.Close()
				time.Sleep(time.Until(r.Ask.Deadline.Add(time.Minute)))
				reach.arrives(r.Ask.Deadline.Add(tt.late))
				e = w.serve("me", w.store)
				defer func() { e.Close() }()
				level := func(after time.Duration) int {
					time.Sleep(after)
					synctest.Wait()
					now, _ := e.rollbacks.get(r.ID)
					return now.Level
				}
				if got := level(0) == 1; got != tt.want {
					t.Fatalf("started: %t", got)
				}
				if tt.want {
					return
				}
				if level(59*time.Second) == 1 {
					t.Error("started before people had a minute")
				}
				if level(30*time.Second) != 1 {
					t.Error("not started when they had it")
				}
			})
		})
	}
}

// TestAnotherServerStartsNothingThatArrivesLate: it has looked at nothing while the judge,
// who is gone, did not know.
func TestAnotherServerStartsNothingThatArrivesLate(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		reach := &fakeReach{}
		w.vetoes(reach)
		serve := func(server string) *Engine {
			e := New(Options{Store: w.store, Server: server, Sender: w.mouth, Log: w.log, Peers: ownedBy{"judge"}}, w.cfg)
			if err := e.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return e
		}
		judge, other := serve("judge"), serve("other")
		defer other.Close()
		r := w.asks(judge)
		time.Sleep(time.Until(r.Ask.Deadline.Add(-time.Second)))
		judge.Close()
		reach.arrives(r.Ask.Deadline)
		time.Sleep(time.Minute)
		synctest.Wait()
		if now, _ := other.rollbacks.get(r.ID); now.Level == 1 || now.Ask == nil || now.Ask.DownAt.IsZero() {
			t.Fatalf("level %d, %+v", now.Level, now.Ask)
		}
		judge = serve("judge")
		defer judge.Close()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if now, _ := other.rollbacks.get(r.ID); now.Level == 1 {
			t.Error("started before people had a minute")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if now, _ := other.rollbacks.get(r.ID); now.Level != 1 {
			t.Errorf("not started: %+v", now.Ask)
		}
	})
}

// TestVetoWindowThatNobodyWatchesRuns: where the plan says so, and where nobody can say.
func TestVetoWindowThatNobodyWatchesRuns(t *testing.T) {
	for name, set := range map[string]func(w *openWorld){
		"proceed": func(w *openWorld) {
			w.vetoes(&fakeReach{why: "down"})
			w.cfg.Plans["web"].Levels[1].Approval.OnChannelDown = backout.ChannelDownProceed
		},
		"nobody can say": func(w *openWorld) { w.vetoes(nil); w.cfg.Reach = nil },
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				set(w)
				e := w.serve("me", w.store)
				defer e.Close()
				r := w.asks(e)
				time.Sleep(5*time.Minute + time.Second)
				synctest.Wait()
				if now, _ := e.rollbacks.get(r.ID); now.Level != 1 {
					t.Errorf("not started: %+v", now.Ask)
				}
			})
		})
	}
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
