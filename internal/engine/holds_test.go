package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/runner"
)

// tending is a site that only runs errands.
type tending struct {
	Site
	mu    sync.Mutex
	ran   []string
	fails error
}

func (s *tending) Tend(_ context.Context, plan backout.FrozenPlan, errand runner.Errand, t backout.Task) (backout.Prepared, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran = append(s.ran, t.AttemptID)
	if err := runner.Bound(plan.Plan, errand, t); err != nil {
		return backout.Prepared{}, err
	}
	return backout.Prepared{}, s.fails
}

func (s *tending) Forget(context.Context, backout.Target, []string) error { return nil }

func (s *tending) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.ran
	s.ran = nil
	return out
}

// backedOut appends a change whose rollback holds packages on web-1, and has ended.
func (w *restartable) backedOut(held []string, over bool) {
	w.t.Helper()
	frozen := planhash.Freeze(backout.Plan{Name: "p", Verify: backout.Verify{Every: backout.Duration(time.Minute), HoldFor: backout.Duration(24 * time.Hour)}, Levels: []backout.Level{
		{Name: "L1", EscalateAfter: backout.Duration(24 * time.Hour), Steps: []backout.Step{{Uses: "dnf.undo"}}}, {Name: "L2", Steps: []backout.Step{{Uses: "lvm.revert"}, {Uses: "package.hold"}}},
	}})
	opened := backout.Opened{RollbackID: "C1-r1", ChangeID: "C1", Frozen: frozen, Targets: []string{"web-1"}, Trigger: backout.Trigger{By: "ann"}}
	id := backout.AttemptID("C1-r1", 0, 0, 0, 1)
	changes := []backout.Event{
		backout.Planned{Spec: backout.ChangeSpec{ID: "C1", Targets: []string{"web-0", "web-1"}}},
		backout.WindowOpened{Frozen: frozen},
		backout.RollbackRequested{Opened: opened},
	}
	rollbacks := []backout.Event{
		opened,
		backout.LevelEntered{Targets: opened.Targets},
		backout.StepRequested{Target: "web-1", AttemptID: id, Number: 1},
		backout.StepStarted{Target: "web-1", AttemptID: id, Runner: "other"},
		backout.StepDone{Target: "web-1", AttemptID: id, Outcome: backout.Outcome{Held: held}},
	}
	if over {
		changes = append(changes, backout.RollbackEnded{RollbackID: "C1-r1", Status: backout.RollbackRecovered}, backout.ChangeEnded{State: backout.ChangeBackedOut})
		rollbacks = append(rollbacks, backout.TargetBack{Target: "web-1"}, backout.Ended{Status: backout.RollbackRecovered})
	}
	rec := backout.Record{Op: "c", By: "other", At: time.Now().UTC(), Events: changes}
	_, err := w.store.Changes.Append(w.t.Context(), "C1", 0, rec)
	rec = backout.Record{Op: "r", By: "other", At: time.Now().UTC(), Events: rollbacks}
	_, err2 := w.store.Rollbacks.Append(w.t.Context(), "C1-r1", 0, rec)
	if err := errors.Join(err, err2); err != nil {
		w.t.Fatal(err)
	}
}

// withHolds runs the test on a server whose change holds nginx on web-1.
func withHolds(t *testing.T, over bool, test func(t *testing.T, e *Engine, s *tending)) {
	t.Helper()
	withStore(t, func(t *testing.T, w *restartable) {
		w.backedOut([]string{"nginx-1.2-2"}, over)
		e := w.mustServe(0)
		defer e.Close()
		s := &tending{}
		cfg := *e.cfg()
		cfg.Runner, cfg.Inventory = s, map[string]backout.Target{"web-1": {Name: "web-1"}}
		e.Reconfigure(&cfg)
		test(t, e, s)
	})
}

var ann = handlers.Actor{Name: "ann"}

func TestHoldIsListedAndReleasedAfterTheEnd(t *testing.T) {
	withHolds(t, true, func(t *testing.T, e *Engine, s *tending) {
		before, err := e.Holds(t.Context(), false)
		if err != nil || len(before) != 1 || before[0].Target != "web-1" || before[0].RollbackID != "C1-r1" || !slices.Equal(before[0].Packages, []string{"nginx-1.2-2"}) {
			t.Fatalf("%+v %v", before, err)
		}
		h, err := e.ReleaseHold(t.Context(), ann, "C1", "web-1", "a fixed patch is out")
		if err != nil || h.ReleasedBy != "ann" || h.ReleasedAt.IsZero() || h.Reason != "a fixed patch is out" {
			t.Errorf("%+v %v", h, err)
		}
		want := []string{"C1-h1.L1.s1.t2", "C1-h1.L2.s1.t2", "C1-h1.L2.s2.t2"}
		if diff := cmp.Diff(want, s.took()); diff != "" {
			t.Errorf("every step of the plan releases what it holds (-want +got):\n%s", diff)
		}
		left, err := e.Holds(t.Context(), false)
		all, err2 := e.Holds(t.Context(), true)
		if len(left) != 0 || len(all) != 1 || all[0].ReleasedBy != "ann" || errors.Join(err, err2) != nil {
			t.Errorf("left %+v of %+v %v %v", left, all, err, err2)
		}
		again, err := e.ReleaseHold(t.Context(), handlers.Actor{Name: "bob"}, "C1", "web-1", "once more")
		if err != nil || again.ReleasedBy != "ann" || len(s.took()) != 0 {
			t.Errorf("released twice: %+v %v", again, err)
		}
	})
}

func TestReleaseThatFailsIsTriedUnderAnotherAttempt(t *testing.T) {
	withHolds(t, true, func(t *testing.T, e *Engine, s *tending) {
		s.fails = errors.New("dnf versionlock: exit 1")
		if h, err := e.ReleaseHold(t.Context(), ann, "C1", "web-1", "why"); err == nil || !strings.Contains(err.Error(), "versionlock") {
			t.Errorf("%+v %v", h, err)
		}
		if left, err := e.Holds(t.Context(), false); err != nil || len(left) != 1 {
			t.Errorf("a failed release ended the hold: %+v %v", left, err)
		}
		first := s.took()
		s.fails = nil
		if _, err := e.ReleaseHold(t.Context(), ann, "C1", "web-1", "why"); err != nil {
			t.Error(err)
		}
		if second := s.took(); len(second) != 3 || first[0] == second[0] {
			t.Errorf("%v, then %v: what failed is only attached to under its id", first, second)
		}
	})
}

func TestReleasesTogetherAreOne(t *testing.T) {
	withHolds(t, true, func(t *testing.T, e *Engine, s *tending) {
		var all sync.WaitGroup
		got := make([]backout.Hold, 8)
		for i := range got {
			all.Go(func() {
				var err error
				if got[i], err = e.ReleaseHold(t.Context(), handlers.Actor{Name: fmt.Sprint("person-", i)}, "C1", "web-1", "why"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, h := range got {
			if h.ReleasedBy != got[0].ReleasedBy {
				t.Errorf("released by %s and by %s", h.ReleasedBy, got[0].ReleasedBy)
			}
		}
		seen := map[string]bool{}
		for _, id := range s.took() {
			if seen[id] {
				t.Errorf("attempt %s is of two releases", id)
			}
			seen[id] = true
		}
	})
}

func TestReleaseIsRefused(t *testing.T) {
	withHolds(t, true, func(t *testing.T, e *Engine, s *tending) {
		for name, c := range map[string]struct {
			change, target, reason string
			want                   error
		}{
			"no reason":     {"C1", "web-1", " ", backout.ErrInvalid},
			"no change":     {"C9", "web-1", "why", backout.ErrNotFound},
			"nothing held":  {"C1", "web-0", "why", backout.ErrNotFound},
			"not a target":  {"C1", "../x", "why", backout.ErrNotFound},
			"target absent": {"C1", "", "why", backout.ErrNotFound},
		} {
			if _, err := e.ReleaseHold(t.Context(), ann, c.change, c.target, c.reason); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if ran := s.took(); len(ran) != 0 {
			t.Errorf("ran %v", ran)
		}
	})
	withHolds(t, false, func(t *testing.T, e *Engine, s *tending) {
		if _, err := e.ReleaseHold(t.Context(), ann, "C1", "web-1", "why"); !errors.Is(err, backout.ErrRefused) || len(s.took()) != 0 {
			t.Errorf("while its rollback runs: %v", err)
		}
	})
}

// TestWhatIsHeldAgainIsListedAgain: a release counts for what was placed before it.
func TestWhatIsHeldAgainIsListedAgain(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	r := released{At: at, By: "ann"}
	if h := r.of(backout.Hold{PlacedAt: at.Add(-time.Minute)}); h.ReleasedBy != "ann" {
		t.Error("what was held before is not released")
	}
	if h := r.of(backout.Hold{PlacedAt: at.Add(time.Minute)}); !h.ReleasedAt.IsZero() {
		t.Error("what was held later counts as released")
	}
	if h := (released{Tries: 3}).of(backout.Hold{PlacedAt: at}); !h.ReleasedAt.IsZero() {
		t.Error("a try counts as a release")
	}
}

func TestWhatAStepHoldsFitsItsRecord(t *testing.T) {
	var held []string
	for i := range 5_000 {
		held = append(held, fmt.Sprintf("a-package-with-a-long-name-%05d-1.2.3-4.el9.x86_64", i))
	}
	size := 0
	clipped := clipHeld(held)
	for _, name := range clipped {
		size += len(name)
	}
	if size > heldMax+100 || !strings.HasPrefix(clipped[len(clipped)-1], "… and ") {
		t.Errorf("%d bytes, the last is %q", size, clipped[len(clipped)-1])
	}
	if few := clipHeld(held[:3]); !slices.Equal(few, held[:3]) {
		t.Errorf("few became %v", few)
	}
}
