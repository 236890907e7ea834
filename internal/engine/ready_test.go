package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// TestReadinessIsWatched: what would not work any more is told when it is seen, and
// once; so is that it would work again.
func TestReadinessIsWatched(t *testing.T) {
	changed := func(w *openWorld, spoil func(cfg *Config)) {
		cfg := *w.cfg
		spoil(&cfg)
		w.engine.config.Store(&cfg)
	}
	edited := snapshotPlan()
	edited.Summary = "edited"
	for name, tt := range map[string]struct {
		spoil func(w *openWorld)
		check string
	}{
		"a snapshot fills up": {func(w *openWorld) { w.site.no["L2"] = []backout.Violation{{Check: "space", Reason: "91 % full"}} }, "space"},
		"a target goes away":  {func(w *openWorld) { w.site.away["web2"] = true }, "reachable"},
		"an approver leaves":  {func(w *openWorld) { changed(w, func(cfg *Config) { cfg.Groups = map[string][]string{"sre": {"bob"}} }) }, "approval"},
		"the plan is edited": {func(w *openWorld) {
			changed(w, func(cfg *Config) { cfg.Plans = map[string]backout.Plan{"web": edited} })
		}, "plan"},
		"a target is left out": {func(w *openWorld) {
			changed(w, func(cfg *Config) { cfg.Inventory = map[string]backout.Target{"web1": {Name: "web1"}} })
		}, "targets"},
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				e := w.serve("me", w.store)
				w.engine = e
				defer e.Close()
				w.open1(e)
				w.site.set(func() { tt.spoil(w) })
				for range 3 {
					time.Sleep(readinessEvery)
				}
				synctest.Wait()
				c, _ := e.Change(t.Context(), "C1")
				if c.State != backout.ChangeOpen || len(c.NotReady) == 0 || c.NotReady[0].Check != tt.check {
					t.Fatalf("%s, not ready: %+v", c.State, c.NotReady)
				}
				w.site.set(func() { clear(w.site.no); clear(w.site.away) })
				e.config.Store(w.cfg)
				time.Sleep(readinessEvery)
				synctest.Wait()
				if c, _ = e.Change(t.Context(), "C1"); len(c.NotReady) > 0 {
					t.Errorf("still not ready: %+v", c.NotReady)
				}
				want := []string{"readiness_changed", "readiness_changed"}
				if diff := cmp.Diff(want, w.kinds("C1")[3:]); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
				if told := w.mouth.told(); len(told) != 3 { // opened, not ready, ready again
					t.Errorf("told %v", told)
				}
			})
		})
	}
}

// TestGateOfALiveChange looks at once, by the frozen plan, and records what it finds.
func TestGateOfALiveChange(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.open1(e)
		if r, err := e.CheckGate(t.Context(), alice, "C1"); err != nil || !r.Passed || len(r.Looks) != 6 {
			t.Errorf("%+v, %v", r, err)
		}
		w.site.set(func() { w.site.away["web1"] = true })
		r, err := e.CheckGate(t.Context(), alice, "C1")
		if err != nil || r.Passed || len(r.Violations) != 1 || !strings.Contains(r.Violations[0].Reason, "no route") {
			t.Errorf("%+v, %v", r, err)
		}
		if c, _ := e.Change(t.Context(), "C1"); len(c.NotReady) != 1 {
			t.Errorf("not recorded: %+v", c.NotReady)
		}
	})
}

// TestDeltaThatCannotBeHadIsTold: steps that undo the patch would not begin.
func TestDeltaThatCannotBeHadIsTold(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.open1(e)
		w.site.set(func() { w.site.captures["web2"] = backout.ErrInvalid })
		if _, err := e.PatchEnded(t.Context(), alice, "C1", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * readinessEvery)
		synctest.Wait()
		c, _ := e.Change(t.Context(), "C1")
		if len(c.NotReady) != 1 || c.NotReady[0].Check != "delta" || c.NotReady[0].Target != "web2" {
			t.Errorf("not ready: %+v", c.NotReady)
		}
		w.site.set(func() { clear(w.site.captures) })
		time.Sleep(2 * readinessEvery)
		synctest.Wait()
		if c, _ = e.Change(t.Context(), "C1"); len(c.NotReady) > 0 || c.Deltas["web2"] == "" {
			t.Errorf("not ready: %+v, deltas %v", c.NotReady, c.Deltas)
		}
	})
}
