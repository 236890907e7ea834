package engine

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

// TestManyPiecesOfNewsAreOneCall: the first is told at once, those that follow together
// and no later than the next round, and nothing to who has stopped.
func TestManyPiecesOfNewsAreOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := news{wake: make(chan struct{}, 1)}
		go n.run(t.Context())
		began := time.Now()
		var told []time.Duration
		stop := n.watch(func() { told = append(told, time.Since(began)) })
		other := 0
		defer n.watch(func() { other++ })()
		for range 950 {
			n.tell()
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		stop()
		n.tell()
		time.Sleep(time.Second)
		synctest.Wait()
		want := make([]time.Duration, 10)
		for i := range want {
			want[i] = time.Duration(i) * newsEvery
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if other != 11 {
			t.Errorf("the other one was told %d times, want 11", other)
		}
	})
}

// TestNewsDuringACallIsToldAgain: whoever is called may have looked before the change.
func TestNewsDuringACallIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := news{wake: make(chan struct{}, 1)}
		go n.run(t.Context())
		calls := 0
		defer n.watch(func() {
			if calls++; calls == 1 {
				n.tell()
			}
		})()
		n.tell()
		time.Sleep(time.Second)
		synctest.Wait()
		if calls != 2 {
			t.Errorf("%d calls, want 2", calls)
		}
	})
}

// TestStopWaitsForACall: once it has returned, nothing of the one who watched is used.
func TestStopWaitsForACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := news{wake: make(chan struct{}, 1)}
		go n.run(t.Context())
		ended := false
		stop := n.watch(func() {
			time.Sleep(time.Minute)
			ended = true
		})
		next := false
		stopNext := n.watch(func() { next = true })
		n.tell()
		synctest.Wait()
		stopNext()
		stop()
		synctest.Wait()
		if !ended || next {
			t.Errorf("it returned during a call: %v; the next one was called after it had stopped: %v", !ended, next)
		}
	})
}

// newsOf counts the calls of one who watches.
type newsOf struct {
	*openWorld
	e     *Engine
	calls atomic.Int64
}

// after tells whether there is news within a second after do.
func (n *newsOf) after(do func()) bool {
	time.Sleep(2 * time.Second)
	synctest.Wait()
	n.calls.Store(0)
	do()
	time.Sleep(time.Second)
	synctest.Wait()
	return n.calls.Load() > 0
}

// alert takes in one about the instance.
func (n *newsOf) alert(name, instance string, firing bool, starts time.Time) {
	n.t.Helper()
	labels := map[string]string{"alertname": name, "instance": instance}
	a := backout.Alert{Fingerprint: alertwire.Fingerprint(labels), Firing: firing, Labels: labels, StartsAt: starts}
	if !firing {
		a.EndsAt = time.Now()
	}
	if err := n.e.Accept(n.t.Context(), handlers.Delivery{Kind: "webhook", Body: []byte("{}"), Alerts: []backout.Alert{a}}); err != nil {
		n.t.Fatal(err)
	}
}

func withNews(t *testing.T, test func(t *testing.T, n *newsOf)) {
	t.Helper()
	withTargets(t, func(t *testing.T, w *openWorld) {
		set, problems := rules.Load(map[string][]byte{"r.yaml": []byte("groups:\n  - name: g\n    rules:\n      - rule: R\n        match: [alertname=\"A\"]\n")})
		watchdog, err := rules.ParseMatchers([]string{`alertname="Watchdog"`})
		if fatal := problems.Fatal(); fatal != nil || err != nil {
			t.Fatal(fatal, err)
		}
		w.cfg.Rules, w.cfg.Monitoring = set, &Monitoring{Watchdog: watchdog, MissingAfter: time.Hour}
		n := &newsOf{openWorld: w, e: w.serve("me", w.store)}
		defer n.e.Close()
		defer n.e.Watch(func() { n.calls.Add(1) })()
		test(t, n)
	})
}

// TestNewsIsWhatPagesShow: each kind of change is told, and what no page shows is not.
func TestNewsIsWhatPagesShow(t *testing.T) {
	withNews(t, func(t *testing.T, n *newsOf) {
		ctx, began := t.Context(), time.Now()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		reds := func(alert, instance string, firing bool) func() {
			return func() { n.alert(alert, instance, firing, began) }
		}
		for _, test := range []struct {
			name string
			do   func()
			want bool
		}{
			{"nothing", func() {}, false},
			{"a change is planned", func() { n.planned(n.e, "C1") }, true},
			{"another server plans one", func() { n.plan("C2") }, true},
			{"its window opens", func() { _, err := n.e.OpenChange(ctx, alice, "C1"); must(err) }, true},
			{"red", reds("B", "web1:9100", true), true},
			{"the same again", reds("B", "web1:9100", true), false},
			{"another alert on it", reds("C", "web1:9100", true), true},
			{"a stranger is red", reds("B", "db1:9100", true), false},
			{"what names no target is red", reds("B", "", true), false},
			{"green", reds("B", "web1:9100", false), true},
			{"a stranger is green", reds("B", "db1:9100", false), false},
			{"a rollback begins", func() {
				_, err := n.e.StartRollback(ctx, alice, handlers.StartRequest{ChangeID: "C1", Targets: []string{"web1"}, Level: "L2", Reason: "broken"})
				must(err)
			}, true},
			{"it is held", func() {
				_, err := n.e.Act(ctx, alice, "C1-r1", handlers.Action{Verb: handlers.VerbHold, Reason: "wait"})
				must(err)
			}, true},
			{"a step prints", func() { _, _ = io.WriteString(n.e.outputs.writer("C1-r1.1"), "50 %") }, true},
			{"a step waits", func() { n.e.waits("C1-r1.1", "no runner") }, true},
			{"for the same reason", func() { n.e.waits("C1-r1.1", "no runner") }, false},
			{"for another reason", func() { n.e.waits("C1-r1.1", "no room") }, true},
			{"no more", func() { n.e.waitsNoMore("C1-r1.1") }, true},
			{"the store refuses", func() { n.e.rollbacks.noteRefusal(backout.ErrUnavailable, time.Now()) }, true},
			{"still", func() { n.e.rollbacks.noteRefusal(backout.ErrUnavailable, time.Now()) }, false},
			{"another server pauses", func() { must(n.store.Control.SetPause(ctx, store.PauseState{On: true, By: "bob", Reason: "wait"})) }, true},
			{"a rule is promoted", func() { _, err := n.store.Control.PutRule(ctx, "R", []byte(`{}`), 0); must(err) }, true},
			{"a reload", func() { n.e.Reconfigure(n.cfg) }, true},
		} {
			if got := n.after(test.do); got != test.want {
				t.Errorf("%s: told %v, want %v", test.name, got, test.want)
			}
		}
	})
}

// TestNewsOfMonitoring: that it is blind is told when it is found, that it is not as the
// watchdog comes, and so is that it was seen.
func TestNewsOfMonitoring(t *testing.T) {
	withNews(t, func(t *testing.T, n *newsOf) {
		barks := func() { n.alert("Watchdog", "", true, time.Unix(0, 0)) }
		if !n.after(barks) {
			t.Error("not told that the watchdog came")
		}
		if n.after(barks) {
			t.Error("told that it came again at once")
		}
		time.Sleep(time.Minute)
		if !n.after(barks) {
			t.Error("not told that it came again")
		}
		if n.after(func() { time.Sleep(59 * time.Minute) }) {
			t.Error("told that nothing came")
		}
		if !n.after(func() { time.Sleep(time.Minute) }) {
			t.Error("not told that monitoring is blind")
		}
		if !n.after(barks) {
			t.Error("not told that it is back")
		}
	})
}

// TestExpiredAlertsAreNews: nobody says that they end.
func TestExpiredAlertsAreNews(t *testing.T) {
	withNews(t, func(t *testing.T, n *newsOf) {
		n.planned(n.e, "C1")
		if _, err := n.e.OpenChange(t.Context(), alice, "C1"); err != nil {
			t.Fatal(err)
		}
		n.alert("B", "web1", true, time.Now())
		was := len(n.e.world.redOnLive())
		if !n.after(func() { n.e.world.expire(time.Now().Add(25 * time.Hour)) }) || was != 1 || len(n.e.world.redOnLive()) != 0 {
			t.Errorf("%d red before, %d after, or not told", was, len(n.e.world.redOnLive()))
		}
	})
}

// TestActiveChangesAreThoseThatHaveNotEnded, whatever the table has put to rest.
func TestActiveChangesAreThoseThatHaveNotEnded(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer func() { e.Close() }()
		for i := range 4 {
			w.planned(e, fmt.Sprintf("C%d", i+1))
		}
		cancel := func(id string) {
			t.Helper()
			if _, err := e.CancelChange(t.Context(), alice, id, "not needed"); err != nil {
				t.Fatal(err)
			}
		}
		cancel("C2")
		time.Sleep(2 * restAfter)
		e.Close()
		e = w.serve("me", w.store) // which puts to rest what ended long ago
		cancel("C3")
		list := func(f handlers.ChangeFilter) []string {
			t.Helper()
			changes, err := e.ListChanges(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, c := range changes {
				ids = append(ids, c.ID)
			}
			return ids
		}
		for _, test := range []struct {
			filter handlers.ChangeFilter
			want   []string
		}{
			{handlers.ChangeFilter{}, []string{"C1", "C2", "C3", "C4"}},
			{handlers.ChangeFilter{ActiveOnly: true}, []string{"C1", "C4"}},
			{handlers.ChangeFilter{ActiveOnly: true, State: backout.ChangeCancelled}, nil},
			{handlers.ChangeFilter{ActiveOnly: true, Target: "db1"}, nil},
		} {
			if diff := cmp.Diff(test.want, list(test.filter)); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", test.filter, diff)
			}
		}
		if diff := cmp.Diff([]string{"C2"}, e.changes.resting()); diff != "" {
			t.Errorf("at rest (-want +got):\n%s", diff)
		}
	})
}
