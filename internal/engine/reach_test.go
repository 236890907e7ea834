package engine

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
)

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
