package engine

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
)

// Arm implements armer.
func (f *fakeSite) Arm(targets []backout.Target) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = nil
	for _, t := range targets {
		f.armed = append(f.armed, t.Name)
	}
	return 0, nil
}

// Unarmed implements armer.
func (f *fakeSite) Unarmed(targets []backout.Target) map[string]error {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]error{}
	for _, t := range targets {
		if f.away[t.Name] {
			out[t.Name] = errors.New("away")
		}
	}
	return out
}

// TestTargetsOfOpenWindowsAreArmed: from the opening to the change's end.
func TestTargetsOfOpenWindowsAreArmed(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		w.engine = e
		defer e.Close()
		armed := func() (names []string) {
			time.Sleep(2 * armSettle)
			synctest.Wait()
			w.site.set(func() { names = slices.Clone(w.site.armed) })
			return names
		}
		if got := armed(); len(got) != 0 {
			t.Errorf("armed before a window opened: %v", got)
		}
		c := w.open1(e)
		if got := armed(); !slices.Equal(got, slices.Sorted(slices.Values(c.Targets))) {
			t.Errorf("armed while the window is open: %v", got)
		}
		for range 2 { // the window, then the watch
			if _, err := e.CloseChange(t.Context(), alice, "C1", "done"); err != nil {
				t.Fatal(err)
			}
		}
		if got := armed(); len(got) != 0 {
			t.Errorf("armed after the change's end: %v", got)
		}
	})
}

// TestAnArmedTargetThatGoesIsToldSoon: not only with the next look at all.
func TestAnArmedTargetThatGoesIsToldSoon(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		w.engine = e
		defer e.Close()
		w.open1(e)
		for _, away := range []bool{true, false} {
			w.site.set(func() { w.site.away["web2"] = away })
			time.Sleep(2 * goneLook)
			synctest.Wait()
			if c, _ := e.Change(t.Context(), "C1"); (len(c.NotReady) > 0) != away {
				t.Errorf("away %t, not ready: %+v", away, c.NotReady)
			}
		}
	})
}

// TestSitesOfAnOldConfigKeepNothingConnected: nobody would ever end it.
func TestSitesOfAnOldConfigKeepNothingConnected(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.open1(e)
		time.Sleep(time.Second)
		synctest.Wait()
		want := []string{"web1", "web2"}
		if !slices.Equal(w.site.armed, want) {
			t.Fatalf("armed %v", w.site.armed)
		}
		after, cfg := newFakeSite(), *w.cfg
		cfg.Runner = after
		e.Reconfigure(&cfg)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(w.site.armed) > 0 || !slices.Equal(after.armed, want) {
			t.Errorf("armed by the site of before %v, by that of now %v", w.site.armed, after.armed)
		}
	})
}
