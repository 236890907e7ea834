package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// open is a change whose window is open.
func (w *openWorld) open1(e *Engine) backout.Change {
	w.t.Helper()
	w.planned(e, "C1")
	c, err := e.OpenChange(w.t.Context(), alice, "C1")
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func deltasOf(c backout.Change) []string { return slices.Sorted(maps.Keys(c.Deltas)) }

// TestDeltaIsCapturedOnceAfterPatching: when patching ends or the window is over,
// and again for what was away, as long as the change is live.
func TestDeltaIsCapturedOnceAfterPatching(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, e *Engine){
		"patching ended": func(t *testing.T, e *Engine) {
			if _, err := e.PatchEnded(t.Context(), alice, "C1", 0); err != nil {
				t.Fatal(err)
			}
		},
		"the window is over": func(*testing.T, *Engine) { time.Sleep(time.Hour + time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				e := w.serve("me", w.store)
				defer e.Close()
				w.open1(e)
				time.Sleep(10 * time.Minute)
				if c, _ := e.Change(t.Context(), "C1"); len(c.Deltas) > 0 {
					t.Errorf("captured while the window is open: %v", c.Deltas)
				}
				w.site.set(func() { w.site.version["web1"], w.site.away["web2"] = "0:2.0-1", true })
				end(t, e)
				time.Sleep(time.Second)
				synctest.Wait()
				c, _ := e.Change(t.Context(), "C1")
				if diff := cmp.Diff([]string{"web1"}, deltasOf(c)); diff != "" {
					t.Fatalf("deltas (-want +got):\n%s", diff)
				}
				first := c.Deltas["web1"]
				w.site.set(func() { w.site.version["web1"], w.site.away["web2"] = "0:3.0-1", false })
				time.Sleep(deltaEvery)
				synctest.Wait()
				if c, _ = e.Change(t.Context(), "C1"); len(c.Deltas) != 2 || c.Deltas["web1"] != first {
					t.Errorf("deltas %v, of web1 first %s", c.Deltas, first)
				}
				if d, err := e.Delta(t.Context(), "C1", "web1"); err != nil || d.Packages[0].To != "0:2.0-1" {
					t.Errorf("%+v, %v", d, err)
				}
				if err := e.ensureDelta(t.Context(), "C1", "web1"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestDeltaOfATargetIsCapturedWhenItIsPatched: in a rolling patch not only when the
// last one is, and what was captured then counts to the end.
func TestDeltaOfATargetIsCapturedWhenItIsPatched(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.open1(e)
		patch := func(target, version string) backout.Change {
			t.Helper()
			w.site.set(func() { w.site.version[target] = version })
			if _, err := e.PatchEnded(t.Context(), alice, "C1", 0, target); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			c, _ := e.Change(t.Context(), "C1")
			return c
		}
		c := patch("web1", "0:2.0-1")
		if diff := cmp.Diff([]string{"web1"}, deltasOf(c)); diff != "" || c.State != backout.ChangeOpen {
			t.Fatalf("%s, deltas (-want +got):\n%s", c.State, diff)
		}
		first := c.Deltas["web1"]
		w.site.set(func() { w.site.version["web1"] = "0:3.0-1" })
		if c = patch("web2", "0:2.0-1"); c.State != backout.ChangeWatching || len(c.Deltas) != 2 || c.Deltas["web1"] != first {
			t.Errorf("%s, deltas %v, of web1 first %s", c.State, c.Deltas, first)
		}
	})
}

// TestDeltaFromTheMiddleOfPatchingDoesNotCount: a patch command may outlive its
// window, or a rollback may have been asked for that never began.
func TestDeltaFromTheMiddleOfPatchingDoesNotCount(t *testing.T) {
	for name, early := range map[string]func(t *testing.T, e *Engine){
		"the window is over": func(*testing.T, *Engine) { time.Sleep(time.Hour + time.Second) },
		"a rollback wanted to know": func(t *testing.T, e *Engine) {
			if err := e.ensureDelta(t.Context(), "C1", "web1"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				e := w.serve("me", w.store)
				defer e.Close()
				w.open1(e)
				if _, err := e.PatchStarted(t.Context(), alice, "C1"); err != nil {
					t.Fatal(err)
				}
				early(t, e)
				synctest.Wait()
				if c, _ := e.Change(t.Context(), "C1"); c.Deltas["web1"] == "" {
					t.Fatal("nothing is known of web1")
				}
				w.site.set(func() { w.site.version["web1"] = "0:2.0-1" })
				if _, err := e.PatchEnded(t.Context(), alice, "C1", 0); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if d, err := e.Delta(t.Context(), "C1", "web1"); err != nil || len(d.Packages) != 1 {
					t.Errorf("the delta is of before the end of patching: %+v, %v", d, err)
				}
			})
		})
	}
}

// TestDeltaDoesNotCountWhenPatchingEndedMeanwhile: the look may have been too early.
func TestDeltaDoesNotCountWhenPatchingEndedMeanwhile(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.open1(e)
		ended := false
		w.site.captured = func(string) {
			if ended {
				return
			}
			ended = true
			if _, err := e.PatchEnded(t.Context(), alice, "C1", 0); err != nil {
				t.Error(err)
			}
			w.site.version["web1"] = "0:2.0-1"
		}
		if err := e.ensureDelta(t.Context(), "C1", "web1"); !errors.Is(err, backout.ErrConflict) || backout.IsPermanent(err) {
			t.Errorf("got %v", err)
		}
	})
}

// TestDeltaIsNeverOfWhatARollbackDid: it is captured before the first step, and not
// after one was claimed, on whichever server.
func TestDeltaIsNeverOfWhatARollbackDid(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		other, err := store.Open(t.Context(), store.Options{JS: w.js, Server: "other"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		e, b := w.serve("me", w.store), w.serve("other", other)
		defer e.Close()
		defer b.Close()
		c := w.open1(e)
		w.site.set(func() { w.site.version["web1"], w.site.version["web2"] = "0:2.0-1", "0:2.0-1" })
		opened := backout.Opened{Targets: []string{"web1", "web2"}, Trigger: backout.Trigger{By: "alice"}}
		r, err := e.openRollback(t.Context(), "alice", c, opened)
		if err != nil {
			t.Fatal(err)
		}
		if r, _ = e.rollbacks.get(r.ID); r.Target("web1").Baseline != c.Baselines["web1"] {
			t.Errorf("the rollback knows baseline %q", r.Target("web1").Baseline)
		}
		// Nothing was claimed on web1 yet, as far as the log knows: the site runs nothing.
		if err := e.ensureDelta(t.Context(), "C1", "web1"); err != nil {
			t.Errorf("before any step: %v", err)
		}
		synctest.Wait()
		r, _ = e.rollbacks.get(r.ID)
		attempt := r.Target("web2").Attempt
		if attempt == nil {
			t.Fatalf("nothing is requested on web2: %+v", r)
		}
		if _, err := e.input(t.Context(), r.ID, rollback.Claim{AttemptID: attempt.ID, Runner: "me"}); err != nil {
			t.Fatal(err)
		}
		for _, server := range []*Engine{b, e} {
			if err := server.ensureDelta(t.Context(), "C1", "web2"); !errors.Is(err, errTooLate) || !backout.IsPermanent(err) {
				t.Errorf("after a claim: %v", err)
			}
		}
		synctest.Wait()
		if c, _ = b.Change(t.Context(), "C1"); !slices.Equal(deltasOf(c), []string{"web1"}) {
			t.Errorf("deltas %v", c.Deltas)
		}
	})
}

// TestDeltaDoesNotCountWhenAStepBeganMeanwhile: the look may have seen what the step
// did.
func TestDeltaDoesNotCountWhenAStepBeganMeanwhile(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		c := w.open1(e)
		r, err := e.openRollback(t.Context(), "alice", c, backout.Opened{Targets: []string{"web1"}, Trigger: backout.Trigger{By: "alice"}})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.site.captured = func(string) {
			r, _ := e.rollbacks.get(r.ID)
			if _, err := e.input(t.Context(), r.ID, rollback.Claim{AttemptID: r.Target("web1").Attempt.ID, Runner: "me"}); err != nil {
				t.Error(err)
			}
		}
		if err := e.ensureDelta(t.Context(), "C1", "web1"); !errors.Is(err, errTooLate) {
			t.Errorf("got %v", err)
		}
		if c, _ = e.Change(t.Context(), "C1"); len(c.Deltas) > 0 {
			t.Errorf("deltas %v", c.Deltas)
		}
	})
}

// TestFirstStepLeavesTheDeltaToLaterLevels: once any step has begun on the target, what
// the patch changed cannot be found out any more, and a later level may need it. The
// step does not wait for long.
func TestFirstStepLeavesTheDeltaToLaterLevels(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(f *fakeSite)
		known bool
	}{
		"it can be had":       {func(*fakeSite) {}, true},
		"the target is away":  {func(f *fakeSite) { f.away["web1"] = true }, false},
		"the target is stuck": {func(f *fakeSite) { f.takes = time.Hour }, false},
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				w.cfg.WantsDelta = func(uses string) bool { return uses == "merge" } // L2
				e := w.serve("me", w.store)
				defer e.Close()
				c := w.open1(e)
				w.site.set(func() { w.site.version["web1"] = "0:2.0-1"; tt.spoil(w.site) })
				r, err := e.openRollback(t.Context(), "alice", c, backout.Opened{Targets: []string{"web1"}, Trigger: backout.Trigger{By: "alice"}})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(deltaPatience + time.Second)
				synctest.Wait()
				c, _ = e.Change(t.Context(), "C1")
				if known := c.Deltas["web1"] != ""; known != tt.known {
					t.Errorf("the delta is known: %v, want %v", known, tt.known)
				}
				if first := r.ID + "-L1"; len(w.site.ran) == 0 {
					t.Errorf("%s has not begun", first)
				}
			})
		})
	}
}

// TestStepThatNeedsTheDeltaOfAStuckTarget asks again, and says what it waits for.
func TestStepThatNeedsTheDeltaOfAStuckTarget(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.cfg.WantsDelta = func(uses string) bool { return uses == "keep" }
		e := w.serve("me", w.store)
		defer e.Close()
		c := w.open1(e)
		w.site.set(func() { w.site.takes = time.Hour })
		r, err := e.openRollback(t.Context(), "alice", c, backout.Opened{Targets: []string{"web1"}, Trigger: backout.Trigger{By: "alice"}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * surveyTimeout)
		r, _ = e.rollbacks.get(r.ID)
		if why, ok := e.waiting.Load(r.Target("web1").Attempt.ID); !ok || len(w.site.ran) > 0 {
			t.Errorf("waits for %v; ran %v", why, w.site.ran)
		}
		w.site.set(func() { w.site.takes = 0 })
		time.Sleep(2 * surveyTimeout)
		synctest.Wait()
		if len(w.site.ran) == 0 {
			t.Error("the step has not begun")
		}
	})
}

// TestDeltaWaitsForThePackageManager: while the patch is being applied nothing is
// known yet, and to ask again helps; output that cannot be read stays as it is.
func TestDeltaWaitsForThePackageManager(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.open1(e)
		for cause, permanent := range map[error]bool{capture.ErrBusy: false, errAway: false, backout.ErrInvalid: true} {
			w.site.set(func() { w.site.captures["web1"] = fmt.Errorf("look at packages: %w", cause) })
			if err := e.ensureDelta(t.Context(), "C1", "web1"); !errors.Is(err, cause) || backout.IsPermanent(err) != permanent {
				t.Errorf("%v: %v", cause, err)
			}
		}
		w.site.set(func() { clear(w.site.captures) })
		if err := e.ensureDelta(t.Context(), "C1", "web1"); err != nil {
			t.Error(err)
		}
	})
}

// TestNoDeltaWithoutABaseline: changes of old releases have none.
func TestNoDeltaWithoutABaseline(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.plan("C1")
		e := w.serve("me", w.store)
		defer e.Close()
		if err := e.ensureDelta(t.Context(), "C1", "web1"); !errors.Is(err, backout.ErrNotFound) || !backout.IsPermanent(err) {
			t.Errorf("got %v", err)
		}
	})
}
