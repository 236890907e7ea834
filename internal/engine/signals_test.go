package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/checks"
)

// onA is an alert on target a.
func onA(fingerprint string, firing bool, starts, ends time.Time) *backout.Alert {
	a := alertOn("a", firing, starts)
	a.Fingerprint, a.EndsAt = fingerprint, ends
	return a
}

// TestSignalsKnowTheTargetsOwnPatch: of two targets that are patched one after
// another each has its own before and after, and alerts that have ended count.
func TestSignalsKnowTheTargetsOwnPatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testWorld(t)
		opened := time.Now()
		in := func(minutes int) time.Time { return opened.Add(time.Duration(minutes) * time.Minute) }
		c := live("C1", backout.ChangeOpen, "a", "b")
		c.OpenedAt = opened
		w.changed(c)
		want := func(when, target string, want backout.Signals) {
			t.Helper()
			if diff := cmp.Diff(want, w.Signals(&c, target, "f")); diff != "" {
				t.Errorf("%s, on %s (-want +got):\n%s", when, target, diff)
			}
		}
		want("nothing is red", "a", backout.Signals{})
		w.observe(onA("f", true, opened.Add(-time.Minute), time.Time{}), in(0))
		want("red since before the opening", "a", backout.Signals{})
		w.observe(onA("x", true, in(1), time.Time{}), in(1))
		w.observe(onA("x", false, in(1), in(2)), in(2))
		want("red for a minute before the patch", "a", backout.Signals{RedBeforePatch: true})
		c.PatchedTargets = map[string]time.Time{"a": in(5)}
		w.changed(c)
		want("patched, and green", "a", backout.Signals{RedBeforePatch: true})
		time.Sleep(7 * time.Minute)
		w.observe(onA("y", true, in(6), time.Time{}), in(7))
		w.observe(onA("y", false, in(6), in(7)), in(7))
		w.observe(onA("f", false, opened.Add(-time.Minute), in(6)), in(6))
		w.observe(onA("f", true, in(7), time.Time{}), in(7))
		want("red for a minute after it", "a", backout.Signals{RedBeforePatch: true, FirstRed: in(6), Flaps: 1})
		want("not patched", "b", backout.Signals{})
		time.Sleep(3 * time.Hour)
		w.expire(time.Now())
		c.State = backout.ChangeWatching
		c.PatchedAt = in(9)
		w.changed(c)
		want("hours later", "a", backout.Signals{RedBeforePatch: true, FirstRed: in(6)})
		want("patched with the change", "b", backout.Signals{})
		c.State = backout.ChangeClosed
		w.changed(c)
		if got := w.Signals(&c, "a", "f"); got.RedBeforePatch {
			t.Errorf("what a closed change watched is kept: %+v", got)
		}
	})
}

// treating answers for Alertmanager.
type treating struct {
	mu      sync.Mutex
	asked   int
	err     error
	treated map[string]checks.Treatment
}

func (f *treating) Treated(context.Context) (map[string]checks.Treatment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.treated, f.err
}

func (f *treating) set(do func()) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	return f.asked
}

// TestSilencesAreAskedForWhileSomethingIsRed: soon after it turns red, then every so
// often, and what is older than a minute is not known any more.
func TestSilencesAreAskedForWhileSomethingIsRed(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		am := &treating{treated: map[string]checks.Treatment{
			"s": {Known: true, Silenced: true}, "i": {Known: true, Inhibited: true}, "a": {Known: true}, "new": {}, "elsewhere": {Known: true},
		}}
		w.cfg.Treated, w.cfg.Rules = am, testWorld(t).cfg().Rules
		e := w.serve("me", w.store)
		defer e.Close()
		c := w.open1(e)
		time.Sleep(time.Hour - time.Minute)
		if n := am.set(func() {}); n > 0 {
			t.Errorf("asked %d times though nothing is red", n)
		}
		var red []backout.Alert
		for _, f := range []string{"s", "i", "a", "new", "not there"} {
			red = append(red, backout.Alert{Fingerprint: f, Firing: true, Labels: map[string]string{"alertname": "A", "instance": "web1"}, StartsAt: time.Now()})
		}
		stranger := backout.Alert{Fingerprint: "elsewhere", Firing: true, Labels: map[string]string{"alertname": "A", "instance": "db1"}, StartsAt: time.Now()}
		e.handle(append(red, stranger), time.Now())
		time.Sleep(treatmentSoon)
		synctest.Wait()
		for fingerprint, want := range map[string]backout.Signals{
			"s": {Asked: true, Silenced: true}, "i": {Asked: true, Inhibited: true}, "a": {Asked: true}, "new": {}, "not there": {}, "elsewhere": {},
		} {
			got := e.world.Signals(&c, "web1", fingerprint)
			got.RedBeforePatch = false
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", fingerprint, diff)
			}
		}
		before := am.set(func() {})
		time.Sleep(time.Minute)
		if n := am.set(func() { am.err = errors.New("away") }) - before; n < 3 || n > 4 {
			t.Errorf("asked %d times in a minute, want every %s", n, treatmentEvery)
		}
		time.Sleep(treatmentFor - treatmentEvery - time.Second)
		if !e.world.Signals(&c, "web1", "s").Asked {
			t.Error("forgotten too early")
		}
		time.Sleep(2*treatmentEvery + 2*time.Second)
		if got := e.world.Signals(&c, "web1", "s"); got.Asked || got.Silenced {
			t.Errorf("an old answer counts: %+v", got)
		}
	})
}
