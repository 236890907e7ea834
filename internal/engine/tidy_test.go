package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/store"
)

// TestTidy: once a change has ended its targets keep nothing, and after a failed
// back-out they keep all of it.
func TestTidy(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		w.open1(e)
		w.site.set(func() { w.site.away["web2"] = true })
		for range 2 { // the window, then the watch
			if _, err := e.CloseChange(t.Context(), alice, "C1", "all is well"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		e.Close()
		if n := w.site.standing(); n["web1"] != 0 || n["web2"] != 1 {
			t.Errorf("snapshots %v", n)
		}
		w.site.set(func() { w.site.away["web2"] = false })
		e = w.serve("me", w.store)
		defer e.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := w.site.standing(); len(n) > 0 {
			t.Errorf("snapshots %v", n)
		}
		var mine []string
		for _, call := range w.site.called() {
			if strings.HasPrefix(call, "cleanup") && strings.HasSuffix(call, ".t2") {
				mine = append(mine, call)
			}
		}
		want := []string{"cleanup keep C1-c2.L1.s1.t2", "cleanup merge C1-c2.L2.s1.t2", "cleanup snapshot C1-c2.B.s1.t2", "cleanup tidy C1-c2.C.s1.t2"}
		if diff := cmp.Diff(want, mine); diff != "" {
			t.Errorf("on web2 (-want +got):\n%s", diff)
		}
		for _, id := range []string{"C1-b1.L1.s1.t2.prepare", "C1-b1.B.s1.t2", "C1-c2.C.s1.t2"} {
			if !slices.Contains(w.site.forgot, id) {
				t.Errorf("%s is not forgotten: %v", id, w.site.forgot)
			}
		}
	})
}

// TestTidyForgetsWhatARefusedOpeningHasRemoved: its attempts stay on no target.
func TestTidyForgetsWhatARefusedOpeningHasRemoved(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.broken["-b1.B.s1.t2"] = errAway
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err == nil {
			t.Fatal("opened")
		}
		if _, err := e.CancelChange(t.Context(), alice, "C1", "withdrawn"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * cleanLook)
		synctest.Wait()
		if id := "C1-c1.B.s1.t1"; !slices.Contains(w.site.forgot, id) {
			t.Errorf("%s is not forgotten: %v", id, w.site.forgot)
		}
	})
}

// TestTidyThatIsGivenUpIsTold: what is left has to be removed by hand.
func TestTidyThatIsGivenUpIsTold(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		w.open1(e)
		w.site.set(func() { w.site.broken["-c"] = errAway })
		for range 2 {
			if _, err := e.CloseChange(t.Context(), alice, "C1", "all is well"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(cleanFor + 2*cleanEvery)
		synctest.Wait()
		e.Close()
		if n := strings.Count(w.logs.String(), "remove it by hand"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestNothingIsRemovedAfterAFailedBackOut(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		c := w.open1(e)
		rec := backout.Record{Op: "x", By: "other", At: time.Now().UTC(), Events: []backout.Event{backout.ChangeEnded{State: backout.ChangeBackoutFailed}}}
		if _, err := w.store.Changes.Append(t.Context(), "C1", c.Revision, rec); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if n := w.site.standing(); n["web1"] != 1 || n["web2"] != 1 {
			t.Errorf("snapshots %v", n)
		}
	})
}

// TestCancelledOnAnotherServerWhileItOpens: the server that owns the change cleans up
// at once, and what is made after that has to go too.
func TestCancelledOnAnotherServerWhileItOpens(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		other, err := store.Open(t.Context(), store.Options{JS: w.js, Server: "other"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		serve := func(name string, s *store.Store) *Engine {
			e := New(Options{Store: s, Server: name, Sender: w.mouth, Log: w.log, Peers: ownedBy{"other"}}, w.cfg)
			if err := e.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return e
		}
		e, owner := serve("me", w.store), serve("other", other)
		defer e.Close()
		defer owner.Close()
		w.planned(e, "C1")
		w.site.during = func(errand runner.Errand, task backout.Task) {
			if errand != runner.ErrandPrepare || task.Step.Uses != "snapshot" || task.Target.Name != "web2" {
				return
			}
			if _, err := owner.CancelChange(t.Context(), alice, "C1", "withdrawn"); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * cleanLook) // the owner has cleaned up before the snapshot is made
		}
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err == nil {
			t.Fatal("opened")
		}
		if standing := w.site.standing(); standing["web2"] == 0 {
			t.Fatal("there is no snapshot to clean up")
		}
		time.Sleep(2 * cleanEvery)
		synctest.Wait()
		if standing := w.site.standing(); len(standing) > 0 {
			t.Errorf("snapshots stay: %v", standing)
		}
	})
}

// TestNoSnapshotForACaptureThatDoesNotCount: also where the target's executors had begun
// to prepare while it still did.
func TestNoSnapshotForACaptureThatDoesNotCount(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.during = func(errand runner.Errand, task backout.Task) {
			if errand == runner.ErrandPrepare && task.Step.Uses == "keep" {
				_, _ = e.CancelChange(t.Context(), alice, "C1", "withdrawn")
			}
		}
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err == nil {
			t.Fatal("opened")
		}
		if standing := w.site.standing(); len(standing) > 0 {
			t.Errorf("snapshots were made: %v", standing)
		}
	})
}

// TestMadeWhileItIsCleanedUp: a clean-up that is under way does not count for what is
// made behind it.
func TestMadeWhileItIsCleanedUp(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.during = func(errand runner.Errand, task backout.Task) {
			switch {
			case errand == runner.ErrandCleanup && task.Step.Uses == "keep" && task.Target.Name == "web1":
				time.Sleep(3 * cleanLook)
			case errand == runner.ErrandPrepare && task.Step.Uses == "snapshot" && task.Target.Name == "web2":
				if _, err := e.CancelChange(t.Context(), alice, "C1", "withdrawn"); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * cleanLook) // web2 has been cleaned, web1 has not
			}
		}
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err == nil {
			t.Fatal("opened")
		}
		if standing := w.site.standing(); standing["web2"] == 0 {
			t.Fatal("there is no snapshot to clean up")
		}
		time.Sleep(2 * cleanEvery)
		synctest.Wait()
		if standing := w.site.standing(); len(standing) > 0 {
			t.Errorf("snapshots stay: %v", standing)
		}
	})
}

// TestCancelledWhileBaselinesAreCaptured: kept packages have to go too.
func TestCancelledWhileBaselinesAreCaptured(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.captured = func(target string) {
			if target != "web2" {
				return
			}
			if _, err := e.CancelChange(t.Context(), alice, "C1", "withdrawn"); err != nil && !errors.Is(err, backout.ErrFinal) {
				t.Error(err)
			}
			time.Sleep(2 * cleanLook)
			w.site.set(func() { w.site.calls = nil })
		}
		if _, err := e.CaptureBaseline(t.Context(), alice, "C1"); err == nil {
			t.Fatal("captured")
		}
		time.Sleep(2 * cleanLook)
		synctest.Wait()
		if calls := strings.Join(w.site.called(), " "); !strings.Contains(calls, "cleanup keep") {
			t.Errorf("kept packages stay: %s", calls)
		}
	})
}

// ownedBy is a world in which one server owns everything.
type ownedBy struct{ name string }

func (ownedBy) Alive(string) bool { return true }
func (o ownedBy) Names() []string { return []string{o.name} }
func (ownedBy) Knows() bool       { return true }
func (ownedBy) Since() time.Time  { return time.Time{} }
