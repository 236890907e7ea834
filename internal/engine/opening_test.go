package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/store"
)

// anyFacts is for plans with one step of the kind.
func anyFacts(map[string]string) bool { return true }

// TestOpeningIsOneRecord: what is made, what is captured and the opening become
// true together, and executors are asked again about what was made.
func TestOpeningIsOneRecord(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		c, err := e.OpenChange(t.Context(), alice, "C1")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"planned", "baseline_began", "baseline_captured gate_passed window_opened window_extended"}
		if diff := cmp.Diff(want, w.kinds("C1")); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		wantCalls := []string{
			"prepare keep C1-b1.L1.s1.t1.prepare", "prepare keep C1-b1.L1.s1.t2.prepare",
			"prepare merge C1-b1.L2.s1.t1.prepare", "prepare merge C1-b1.L2.s1.t2.prepare",
			"prepare snapshot C1-b1.B.s1.t1", "prepare snapshot C1-b1.B.s1.t2",
		}
		if diff := cmp.Diff(wantCalls, w.site.called()); diff != "" {
			t.Errorf("errands (-want +got):\n%s", diff)
		}
		if c.State != backout.ChangeOpen || c.Capture != nil || len(c.Baselines) != 2 || c.ValidUntil.IsZero() || c.Certified != c.Frozen.Hash {
			t.Errorf("%+v", c)
		}
		b, err := e.Baseline(t.Context(), "C1", "web2")
		if err != nil || b.Target != "web2" || len(b.Prepared) != 2 || b.Prepared[1].Facts["by"] != "C1-b1.B.s1.t2" || b.Inventory.Machine.Hostname != "web2" {
			t.Errorf("baseline %+v, %v", b, err)
		}
		last := w.site.asked[len(w.site.asked)-1]
		if first := w.site.asked[0]; first.Opened || !last.Opened {
			t.Errorf("the first preflight is told that all is made: %v, the last: %v", first.Opened, last.Opened)
		}
		if last.PreparedBy("snapshot", anyFacts) == nil || last.WindowFor != backout.Duration(2*time.Hour) {
			t.Errorf("asked with %+v", last)
		}
	})
}

// TestTaskIsFilledFromTheLog: also by a server that has captured nothing itself.
func TestTaskIsFilledFromTheLog(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		w.planned(e, "C1")
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err != nil {
			t.Fatal(err)
		}
		w.site.set(func() { w.site.version["web1"] = "0:2.0-1" })
		if _, err := e.PatchEnded(t.Context(), alice, "C1", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		e.Close()
		e = w.serve("me", w.store)
		defer e.Close()
		c, _ := e.changes.get("C1")
		task := backout.Task{Target: backout.Target{Name: "web1"}}
		for range 2 { // from the store, then from memory
			if err := e.fillTask(t.Context(), c, &task); err != nil {
				t.Fatal(err)
			}
			if task.Baseline != c.Baselines["web1"] || task.PreparedBy("keep", anyFacts)["by"] != "C1-b1.L1.s1.t1.prepare" || task.Delta == nil || task.WindowFor <= 0 || !task.Opened {
				t.Errorf("filled %+v", task)
			}
			want := []backout.PackageChange{{Name: "openssl", Arch: "x86_64", From: "0:1.0-1", To: "0:2.0-1"}}
			if diff := cmp.Diff(want, task.Delta.Packages); diff != "" || task.Delta.Baseline != c.Baselines["web1"] || task.Delta.Target != "web1" {
				t.Errorf("delta of %s (-want +got):\n%s", task.Delta.Target, diff)
			}
		}
	})
}

// TestWhatFailsWhileOpeningLeavesTheWindowShut: no snapshot stays, every reason is
// told, and the next opening works.
func TestWhatFailsWhileOpeningLeavesTheWindowShut(t *testing.T) {
	broken := errors.New("no space left")
	second := func(w *openWorld, then func()) {
		w.site.during = func(errand runner.Errand, task backout.Task) {
			if errand == runner.ErrandPrepare && task.Step.Uses == "snapshot" && task.Target.Name == "web2" {
				w.site.set(then) // after the first look has said yes
			}
		}
	}
	for name, tt := range map[string]struct {
		spoil func(w *openWorld)
		check string
		began bool
	}{
		"an executor says no": {func(w *openWorld) { w.site.no["L1"] = []backout.Violation{{Check: "package", Reason: "gone"}} }, "package", false},
		"a target is away":    {func(w *openWorld) { w.site.away["web2"] = true }, "reachable", false},
		"a target cannot be captured": {func(w *openWorld) {
			w.site.captures["web2"] = &capture.MissingError{Part: "units", Tool: "systemctl", Package: "systemd"}
		}, "capture", false},
		"a package manager is at work": {func(w *openWorld) { w.site.captures["web2"] = capture.ErrBusy }, "capture", false},
		"packages cannot be kept":      {func(w *openWorld) { w.site.broken["-b1.L1.s1.t2"] = broken }, "prepare", true},
		"a snapshot cannot be made":    {func(w *openWorld) { w.site.broken["-b1.B.s1.t2"] = broken }, "prepare", true},
		"the second look says no": {func(w *openWorld) {
			second(w, func() { w.site.no["L2"] = []backout.Violation{{Check: "space", Reason: "full"}} })
		}, "space", true},
		"a target goes away meanwhile": {func(w *openWorld) { second(w, func() { w.site.away["web2"] = true }) }, "prepare", true},
		"the second capture fails":     {func(w *openWorld) { second(w, func() { w.site.captures["web2"] = errAway }) }, "reachable", true},
		"the plan changes meanwhile": {func(w *openWorld) {
			second(w, func() {
				p := snapshotPlan()
				p.Summary = "edited"
				cfg := *w.cfg
				cfg.Plans = map[string]backout.Plan{"web": p}
				w.engine.config.Store(&cfg)
			})
		}, "window", true},
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				e := w.serve("me", w.store)
				w.engine = e
				defer e.Close()
				w.planned(e, "C1")
				tt.spoil(w)
				c, err := e.OpenChange(t.Context(), alice, "C1")
				refused, ok := errors.AsType[*backout.RefusedError](err)
				if !ok || len(refused.Violations) == 0 || refused.Violations[0].Check != tt.check || !errors.Is(err, backout.ErrRefused) {
					t.Fatalf("got %v, %+v", err, refused)
				}
				if c.State != backout.ChangePlanned || c.Capture != nil || len(c.Violations) == 0 {
					t.Errorf("%s, capture %v, %v", c.State, c.Capture, c.Violations)
				}
				kinds := w.kinds("C1")
				want := []string{"planned", "gate_refused"}
				if tt.began {
					want = []string{"planned", "baseline_began", "baseline_failed"}
				}
				if diff := cmp.Diff(want, kinds); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
				w.site.set(func() {
					clear(w.site.no)
					clear(w.site.broken)
					clear(w.site.captures)
					if !w.site.away["web2"] {
						for target, n := range w.site.snapshots {
							if n > 0 {
								t.Errorf("%d snapshots stay on %s", n, target)
							}
						}
					}
					clear(w.site.away)
				})
				w.site.during = nil
				e.config.Store(w.cfg)
				if c, err = e.OpenChange(t.Context(), alice, "C1"); err != nil || c.State != backout.ChangeOpen {
					t.Errorf("opened again: %s, %v", c.State, err)
				}
			})
		})
	}
}

// TestOneServerCapturesAtATime: of those that are asked to open at once, on one
// server or two, one does; the others hear of it.
func TestOneServerCapturesAtATime(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.site.takes = 100 * time.Millisecond
		other, err := store.Open(t.Context(), store.Options{JS: w.js, Server: "other"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		a, b := w.serve("me", w.store), w.serve("other", other)
		defer a.Close()
		defer b.Close()
		w.planned(a, "C1")
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i, e := range []*Engine{a, a, b, b} {
			all.Go(func() { _, errs[i] = e.OpenChange(t.Context(), alice, "C1") })
		}
		all.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, backout.ErrConflict) || !strings.Contains(err.Error(), "when that has ended") {
				t.Errorf("a loser hears %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d opened it: %v", won, errs)
		}
		if diff := cmp.Diff(map[string]int{"web1": 1, "web2": 1}, w.site.standing()); diff != "" {
			t.Errorf("snapshots (-want +got):\n%s", diff)
		}
	})
}

// TestACrashWhileOpening: a server that comes back ends what it had begun, and the
// window opens by the next try.
func TestACrashWhileOpening(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		w.planned(e, "C1")
		crash := make(chan bool)
		w.site.during = func(errand runner.Errand, task backout.Task) {
			if errand == runner.ErrandPrepare && task.AttemptID == "C1-b1.L1.s1.t2.prepare" {
				close(crash)
				time.Sleep(time.Minute)
			}
		}
		opening := make(chan error)
		go func() {
			_, err := e.OpenChange(t.Context(), alice, "C1")
			opening <- err
		}()
		<-crash
		synctest.Wait()
		e.Close()
		if err := <-opening; err == nil || errors.Is(err, backout.ErrRefused) {
			t.Errorf("the opening that was cut off: %v", err)
		}
		if w.site.standing()["web1"] != 1 {
			t.Fatal("the test wants a snapshot to be left behind")
		}
		w.site.during = nil
		e = w.serve("me", w.store)
		defer e.Close()
		synctest.Wait()
		if n := w.site.standing(); len(n) > 0 {
			t.Errorf("left behind: %v", n)
		}
		want := []string{"planned", "baseline_began", "baseline_failed"}
		if diff := cmp.Diff(want, w.kinds("C1")); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if c, err := e.OpenChange(t.Context(), alice, "C1"); err != nil || c.Captures != 2 {
			t.Errorf("opened again: %d captures, %v", c.Captures, err)
		}
	})
}

// TestTheLeaseOfAServerThatIsGone: nobody captures before it is over, and then the
// clock ends it.
func TestTheLeaseOfAServerThatIsGone(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		c, _ := e.Change(t.Context(), "C1")
		rec := backout.Record{Op: "x", By: "gone", At: time.Now().UTC(), Events: []backout.Event{backout.BaselineBegan{Number: 1, Server: "gone", Opening: true}}}
		if _, err := w.store.Changes.Append(t.Context(), "C1", c.Revision, rec); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, do := range []func() error{
			func() error { _, err := e.OpenChange(t.Context(), alice, "C1"); return err },
			func() error { _, err := e.CaptureBaseline(t.Context(), alice, "C1"); return err },
		} {
			if err := do(); !errors.Is(err, backout.ErrConflict) || !strings.Contains(err.Error(), "server gone captures") {
				t.Errorf("while it captures: %v", err)
			}
		}
		if n := w.site.standing(); len(n) > 0 {
			t.Errorf("snapshots beside another server's: %v", n)
		}
		time.Sleep(backout.BaselineLease + time.Second)
		synctest.Wait()
		if c, _ = e.Change(t.Context(), "C1"); c.Capture != nil || len(c.Violations) != 1 {
			t.Errorf("after the lease: %+v, %v", c.Capture, c.Violations)
		}
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err != nil {
			t.Error(err)
		}
	})
}

// TestCancelledWhileItOpens: the window stays shut, and nothing stays on the targets.
func TestCancelledWhileItOpens(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.during = func(errand runner.Errand, task backout.Task) {
			if errand == runner.ErrandPrepare && task.AttemptID == "C1-b1.B.s1.t2" {
				if _, err := e.CancelChange(t.Context(), alice, "C1", "withdrawn"); err != nil {
					t.Error(err)
				}
			}
		}
		c, err := e.OpenChange(t.Context(), alice, "C1")
		if err == nil || c.State == backout.ChangeOpen {
			t.Errorf("%s, %v", c.State, err)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if n := w.site.standing(); len(n) > 0 {
			t.Errorf("left behind: %v", n)
		}
	})
}

// TestWindowOpensByItself: at its time, and after a no again and again.
func TestWindowOpensByItself(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		opens := time.Now().UTC().Add(time.Hour)
		_, err := e.PlanChange(t.Context(), alice, backout.ChangeSpec{
			ID: "C1", Plan: "web", Targets: []string{"web1", "web2"},
			Window: backout.Window{Opens: opens, Closes: opens.Add(time.Hour), Watch: backout.Duration(time.Hour), Auto: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.OpenChange(t.Context(), alice, "C1"); !errors.Is(err, backout.ErrRefused) || len(w.site.called()) > 0 {
			t.Errorf("before its time: %v, %v", err, w.site.called())
		}
		w.site.broken["-b1.B"] = errors.New("no space left")
		time.Sleep(time.Hour + 30*time.Second)
		synctest.Wait()
		if c, _ := e.Change(t.Context(), "C1"); c.State != backout.ChangePlanned || len(c.Violations) == 0 {
			t.Errorf("%s, %v", c.State, c.Violations)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if c, _ := e.Change(t.Context(), "C1"); c.State != backout.ChangeOpen || c.Captures != 2 {
			t.Errorf("%s after %d captures", c.State, c.Captures)
		}
	})
}

// TestCaptureBeforeTheWindow keeps packages and makes no snapshot; a yes of the gate
// from before is stale then.
func TestCaptureBeforeTheWindow(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		if _, err := e.Baseline(t.Context(), "C1", "web1"); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("before any capture: %v", err)
		}
		result, err := e.CheckGate(t.Context(), alice, "C1")
		if err != nil || !result.Passed || time.Until(result.ValidUntil) != 24*time.Hour || len(result.Looks) != 10 {
			t.Fatalf("%+v, %v", result, err)
		}
		if i := slices.IndexFunc(result.Looks, func(l handlers.GateLook) bool { return l.Loses != "" }); i < 0 || result.Looks[i].Level != "L2" {
			t.Errorf("nobody says what is lost: %+v", result.Looks)
		}
		if c, _ := e.Change(t.Context(), "C1"); c.State != backout.ChangeReady || c.Stale != "" {
			t.Errorf("%s, stale %q", c.State, c.Stale)
		}
		c, err := e.CaptureBaseline(t.Context(), alice, "C1")
		if err != nil || len(c.Baselines) != 2 || len(w.site.standing()) > 0 {
			t.Errorf("%+v, %v, snapshots %v", c.Baselines, err, w.site.standing())
		}
		if c, _ = e.Change(t.Context(), "C1"); c.Stale == "" {
			t.Error("the yes from before the capture holds")
		}
		w.site.away["web2"] = true
		if c, err = e.CaptureBaseline(t.Context(), alice, "C1"); !errors.Is(err, backout.ErrRefused) || len(c.Baselines) != 2 || c.Capture != nil {
			t.Errorf("half a capture: %v, %v", c.Baselines, err)
		}
	})
}

// lossy loses the answer to the opening's record: it is in the log, or is not.
type lossy struct {
	appender
	appends bool
}

func (l lossy) AppendGuarded(ctx context.Context, id string, expected, streamSeq uint64, rec backout.Record) (uint64, error) {
	if l.appends {
		if _, err := l.appender.AppendGuarded(ctx, id, expected, streamSeq, rec); err != nil {
			return 0, err
		}
	}
	return 0, backout.ErrUnavailable
}

// TestAnswerOfTheOpeningIsLost: the log decides. Nothing is removed of a window that
// may be open, and one that stayed shut opens by the next try.
func TestAnswerOfTheOpeningIsLost(t *testing.T) {
	for name, appends := range map[string]bool{"it is in the log": true, "it is not": false} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				e := w.serve("me", w.store)
				defer e.Close()
				w.planned(e, "C1")
				log := e.changes.log
				e.changes.log = lossy{log, appends}
				c, err := e.OpenChange(t.Context(), alice, "C1")
				if appends && (err != nil || c.State != backout.ChangeOpen) || !appends && !errors.Is(err, backout.ErrUnavailable) {
					t.Errorf("%s, %v", c.State, err)
				}
				if n := w.site.standing(); len(n) != 2 {
					t.Errorf("snapshots %v", n)
				}
				e.changes.log = log
				if c, err = e.OpenChange(t.Context(), alice, "C1"); appends != errors.Is(err, backout.ErrRefused) || c.State != backout.ChangeOpen {
					t.Errorf("opened again: %s, %v", c.State, err)
				}
			})
		})
	}
}

// TestGateThatWasCutOffSaysNothing: a client that is gone, or a server that stops, is
// no reason against the window.
func TestGateThatWasCutOffSaysNothing(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		if r, err := e.CheckGate(t.Context(), alice, "C1"); err != nil || !r.Passed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.site.takes = 10 * time.Second
		for name, ask := range map[string]func(ctx context.Context) error{
			"gate": func(ctx context.Context) error { _, err := e.CheckGate(ctx, alice, "C1"); return err },
			"open": func(ctx context.Context) error { _, err := e.OpenChange(ctx, alice, "C1"); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := ask(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v", name, err)
			}
			cancel()
		}
		if diff := cmp.Diff([]string{"planned", "gate_passed"}, w.kinds("C1")); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}
