package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/evidence"
	"github.com/backout-io/backout/rules"
)

// redOf asks for a change's history and writes it as minutes since its window opened.
func (w *openWorld) redOf(e *Engine, id string) (lines []string, h handlers.RedHistory) {
	w.t.Helper()
	h, err := e.RedHistory(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	c, _ := e.changes.get(id)
	minute := func(t time.Time) string {
		if t.IsZero() {
			return "…"
		}
		return fmt.Sprint(t.Sub(c.OpenedAt).Round(time.Second))
	}
	for _, t := range h.Targets {
		for _, s := range t.Red {
			lines = append(lines, fmt.Sprintf("%s %s to %s %s", t.Target, minute(s.From), minute(s.To), strings.Join(s.Alerts, ",")))
		}
	}
	return lines, h
}

// over is the alert as it ends now.
func over(a backout.Alert) backout.Alert {
	a.Firing, a.EndsAt = false, time.Now().UTC()
	return a
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestRedHistoryOfAChange follows a change from before its window to after its end.
func TestRedHistoryOfAChange(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		watchdog, err := rules.ParseMatchers([]string{`alertname="Watchdog"`})
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.Monitoring = &Monitoring{Watchdog: watchdog, MissingAfter: 100 * time.Hour}
		old, stranger, dog := firing("Old", "web1"), firing("Old", "db1"), firing("Watchdog", "web1")
		w.send(e, old, stranger, dog)
		time.Sleep(time.Hour)
		w.planned(e, "C1")
		if got, h := w.redOf(e, "C1"); len(got) > 0 || len(h.Targets) > 0 || h.Cut != "" || !h.From.Equal(h.Until) {
			t.Errorf("before its window: %+v", h)
		}
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		got, h := w.redOf(e, "C1")
		wantLines(t, "just open", got, "web1 -10m0s to … Old")
		if h.Until.Sub(h.From).Round(time.Minute) != 15*time.Minute || len(h.Targets) != 2 || h.MoreTargets != 0 || h.Cut != "" {
			t.Errorf("from %s to %s, %d targets and %d more, cut %q", h.From, h.Until, len(h.Targets), h.MoreTargets, h.Cut)
		}
		w.send(e, over(old))
		late := firing("Shadow", "web2")
		time.Sleep(2 * time.Minute)
		w.send(e, late) // its group was waited for
		time.Sleep(3 * time.Minute)
		got, _ = w.redOf(e, "C1")
		wantLines(t, "while it is open", got, "web1 -10m0s to 5m0s Old", "web2 5m0s to … Shadow")
		w.send(e, over(late))
		if _, err := e.PatchEnded(t.Context(), alice, "C1", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour) // it is watched for one
		after := []string{"web1 -10m0s to 5m0s Old", "web2 5m0s to 10m0s Shadow"}
		w.send(e, firing("Shadow", "web2"))
		got, h = w.redOf(e, "C1")
		wantLines(t, "after its end", got, after...)
		c, _ := e.changes.get("C1")
		if !h.Until.Equal(c.EndedAt.Add(10 * time.Minute)) {
			t.Errorf("looked at up to %s, it ended at %s", h.Until, c.EndedAt)
		}
		again, h2 := w.redOf(e, "C1")
		wantLines(t, "again", again, after...)
		if &h.Targets[0] != &h2.Targets[0] {
			t.Error("what has ended was read again")
		}
		if _, err := e.RedHistory(t.Context(), "C9"); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("no such change: %v", err)
		}
		e.Reconfigure(w.cfg) // by which nothing else counts
		if _, h2 := w.redOf(e, "C1"); &h.Targets[0] != &h2.Targets[0] {
			t.Error("the same rules, and it was read again")
		}
		other := *w.cfg
		other.Monitoring = nil
		e.Reconfigure(&other)
		got, _ = w.redOf(e, "C1")
		wantLines(t, "without a watchdog", got, "web1 -10m0s to … Old,Watchdog", "web2 5m0s to 10m0s Shadow")
	})
}

// TestRedHistoryAgreesWithTheRules: whatever came in, what is red now is what rules see.
func TestRedHistoryAgreesWithTheRules(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		w.opened(e, "C1")
		random := rand.New(rand.NewPCG(1, 2))
		began := time.Now().UTC()
		for range 100 {
			time.Sleep(time.Duration(random.IntN(60)) * time.Second)
			a := firing([]string{"X", "Y", "Z"}[random.IntN(3)], []string{"web1", "web2"}[random.IntN(2)])
			a.StartsAt = began
			if random.IntN(2) == 0 {
				a.StartsAt = time.Now().UTC().Add(-time.Duration(random.IntN(600)) * time.Second)
			}
			switch random.IntN(4) {
			case 0:
				a = over(a)
			case 1:
				a.EndsAt = time.Now().UTC().Add(4 * time.Minute) // as Prometheus says
			}
			if random.IntN(3) > 0 {
				w.send(e, a)
			}
			synctest.Wait()
			time.Sleep(redFresh)
			e.judgeAll(t.Context()) // which lets expire what nobody confirms
			_, h := w.redOf(e, "C1")
			for _, target := range h.Targets {
				red := len(target.Red) > 0 && target.Red[len(target.Red)-1].To.IsZero()
				if want := len(e.world.redSince(target.Target, time.Time{})) > 0; red != want {
					t.Fatalf("%s is red %v, rules see %v", target.Target, red, want)
				}
			}
		}
	})
}

// TestRedHistoryEndsWhatNobodyConfirms, also when nothing comes in any more.
func TestRedHistoryEndsWhatNobodyConfirms(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		w.opened(e, "C1")
		a := firing("Shadow", "web1")
		a.EndsAt = a.StartsAt.Add(4 * time.Minute)
		w.send(e, a)
		for _, want := range []string{"…", "5m0s"} {
			time.Sleep(3 * time.Minute)
			got, _ := w.redOf(e, "C1")
			wantLines(t, "then", got, "web1 1m0s to "+want+" Shadow")
		}
	})
}

// TestManyWhoLookCostOneRead, and nobody reads what has not changed.
func TestManyWhoLookCostOneRead(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		w.opened(e, "C1")
		w.send(e, firing("Shadow", "web1"))
		var all sync.WaitGroup
		answers := make([]handlers.RedHistory, 200)
		for i := range answers {
			all.Go(func() { answers[i], _ = e.RedHistory(t.Context(), "C1") })
		}
		all.Wait()
		for _, h := range answers {
			if len(h.Targets) != 2 || &h.Targets[0] != &answers[0].Targets[0] || len(h.Targets[0].Red) != 1 {
				t.Fatalf("another answer: %+v", h)
			}
		}
		for range redReaders { // nobody can read
			e.histories.slots <- struct{}{}
		}
		time.Sleep(time.Minute)
		began := time.Now()
		got, h := w.redOf(e, "C1")
		wantLines(t, "nothing new", got, "web1 1m0s to … Shadow")
		if !time.Now().Equal(began) || h.Cut != "" || h.Until.Before(began) {
			t.Errorf("after %s, up to %s: %q", time.Since(began), h.Until, h.Cut)
		}
		w.send(e, firing("Shadow", "web2"))
		time.Sleep(redFresh)
		began = time.Now()
		got, h = w.redOf(e, "C1")
		wantLines(t, "what this server knows by itself", got, "web1 1m0s to … Shadow", "web2 2m0s to … Shadow")
		if time.Since(began) != redReadFor || !strings.Contains(h.Cut, "are not read yet") {
			t.Errorf("after %s: %q", time.Since(began), h.Cut)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		time.Sleep(redFresh)
		if _, err := e.RedHistory(ctx, "C1"); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone: %v", err)
		}
	})
}

// TestALongReadGoesOn: what is too much for once is read by the next who looks.
func TestALongReadGoesOn(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		e.histories.most = 3
		w.opened(e, "C1")
		var spans []string
		for i := range 5 {
			a := firing("Shadow", "web1")
			time.Sleep(time.Minute)
			w.send(e, over(a))
			time.Sleep(time.Minute)
			spans = append(spans, fmt.Sprintf("web1 %s to %s Shadow", time.Duration(1+2*i)*time.Minute, time.Duration(2+2*i)*time.Minute))
		}
		got, h := w.redOf(e, "C1")
		wantLines(t, "at first", got, spans[:3]...)
		if !strings.Contains(h.Cut, "alerts that came after 2") {
			t.Errorf("cut %q", h.Cut)
		}
		time.Sleep(redFresh)
		got, h = w.redOf(e, "C1")
		wantLines(t, "then", got, spans...)
		if h.Cut != "" {
			t.Errorf("cut %q", h.Cut)
		}
	})
}

// TestRedHistorySaysWhatIsMissing: alerts that are not kept any more, and such that
// cannot be read.
func TestRedHistorySaysWhatIsMissing(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		w.opened(e, "C1")
		w.send(e, firing("Shadow", "web1"))
		if err := e.Accept(t.Context(), handlers.Delivery{Kind: "webhook", Body: []byte("not JSON")}); err != nil {
			t.Fatal(err)
		}
		stream, err := w.js.Stream(t.Context(), "BACKOUT_ALERTS")
		if err == nil {
			err = stream.Purge(t.Context(), jetstream.WithPurgeKeep(1))
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		kept := time.Now().Add(-time.Minute).UTC().Format("2006-01-02T15:04")
		_, h := w.redOf(e, "C1")
		if !strings.Contains(h.Cut, "alerts are kept since "+kept) || !strings.Contains(h.Cut, "1 stored requests cannot be decoded") {
			t.Errorf("cut %q", h.Cut)
		}
	})
}

// TestTheReddestOfManyTargetsAreShown in the order of the change.
func TestTheReddestOfManyTargetsAreShown(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		h := &redHistory{}
		for i := range 3 * redTargets {
			h.targets = append(h.targets, fmt.Sprintf("t%03d", i))
		}
		h.history = evidence.NewHistory(h.targets, evidence.HistoryOptions{})
		for i, target := range h.targets {
			if a := firing("A", target); i%3 == 2 && i > 2 {
				a.StartsAt = noon
				h.history.Observe(target, &a, noon)
			}
		}
		got, more := h.shown(e, noon, noon.Add(time.Hour), false, false)
		if len(got) != redTargets || more != 2*redTargets {
			t.Fatalf("%d targets and %d more", len(got), more)
		}
		// 199 are red; of the green ones the first is shown.
		for i, want := 1, 5; i < redTargets; i, want = i+1, want+3 {
			if got[i].Target != h.targets[want] || len(got[i].Red) != 1 {
				t.Fatalf("place %d is %s, %d times red", i, got[i].Target, len(got[i].Red))
			}
		}
		if got[0].Target != "t000" || len(got[0].Red) != 0 || got[0].Red == nil {
			t.Errorf("the first is %+v", got[0])
		}
	})
}

// TestFewHistoriesAreKept, and none for long.
func TestFewHistoriesAreKept(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		opened := time.Now().Add(-time.Minute)
		for i := range 2 * redHistories {
			time.Sleep(time.Second)
			e.histories.of(&backout.Change{ChangeSpec: backout.ChangeSpec{ID: fmt.Sprint(i)}, OpenedAt: opened})
		}
		if n := len(e.histories.byID); n != redHistories || e.histories.byID["20"] == nil || e.histories.byID["3"] != nil {
			t.Errorf("%d are kept", n)
		}
		time.Sleep(redForget)
		h := e.histories.of(&backout.Change{ChangeSpec: backout.ChangeSpec{ID: "31"}, OpenedAt: opened})
		if n := len(e.histories.byID); n != 1 || h != e.histories.byID["31"] {
			t.Errorf("%d are kept", n)
		}
	})
}
