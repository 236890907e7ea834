package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/all"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/runner"
)

// sees makes a runner's captures answer so.
func (w *world) sees(look func(context.Context) (backout.Inventory, error)) func(*AgentOptions) {
	return func(o *AgentOptions) {
		known, err := executors.NewRegistry(all.Kinds()...)
		if err != nil {
			w.t.Fatal(err)
		}
		o.Runner = func(mark string) *runner.Runner {
			return runner.New(runner.Options{
				Executors: known, Hosts: w.hosts.Marked(mark), Secrets: []backout.Secret{backout.SecretValue("swordfish")},
				Capture: func(ctx context.Context, _ backout.Host, _ backout.BaselineSpec) (backout.Inventory, error) {
					return look(ctx)
				},
			})
		}
	}
}

// inventory has so many packages. Their versions are digests, which hardly compress.
func inventory(packages int) backout.Inventory {
	i := backout.Inventory{Schema: 1, Machine: backout.Machine{Hostname: "web1"}, Packages: backout.PackageState{Manager: "rpm"}}
	for n := range packages {
		i.Packages.Installed = append(i.Packages.Installed, backout.Package{
			Name: fmt.Sprintf("package-%05d", n), Version: fmt.Sprintf("0:%x-1.el9", planhash.Freeze(backout.Plan{Name: fmt.Sprint(n)}).Hash), Arch: "x86_64",
		})
	}
	return i
}

func captureLook() runner.CaptureLook {
	return runner.CaptureLook{Target: here, ChangeID: "CHG1", Frozen: aPlan(step("true"))}
}

func TestLargeInventoryIsWhole(t *testing.T) {
	w := newWorld(t)
	want := inventory(20_000) // some 4 MiB as JSON
	w.agent("fra-1", w.sees(func(context.Context) (backout.Inventory, error) { return want, nil }))
	got, err := w.hub().Site("fra").Capture(t.Context(), captureLook())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it came otherwise (-want +got):\n%.500s", diff)
	}
	packed, err := pack(want)
	if err != nil || len(packed) < 600<<10 {
		t.Errorf("it was one piece: %d bytes (%v)", len(packed), err)
	}
}

func TestCaptureMayTakeLongerThanAnAnswer(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1", w.sees(func(ctx context.Context) (backout.Inventory, error) {
		select {
		case <-ctx.Done():
			return backout.Inventory{}, ctx.Err()
		case <-time.After(errandPoll + 500*time.Millisecond):
			return inventory(1), nil
		}
	}))
	if got, err := w.hub().Site("fra").Capture(t.Context(), captureLook()); err != nil || len(got.Packages.Installed) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestErrorsOfACaptureKeepTheirKind(t *testing.T) {
	w := newWorld(t)
	var fails error
	w.agent("fra-1", w.sees(func(context.Context) (backout.Inventory, error) { return backout.Inventory{}, fails }))
	site := w.hub().Site("fra")
	for name, c := range map[string]struct {
		err error
		is  error
	}{
		"busy":        {fmt.Errorf("look at packages: dpkg is at work: %w", capture.ErrBusy), capture.ErrBusy},
		"invalid":     {fmt.Errorf("dnf 4.14.0: its output cannot be read: %w", backout.ErrInvalid), backout.ErrInvalid},
		"unreachable": {fmt.Errorf("dial: %w", attempt.ErrUnreachable), attempt.ErrUnreachable},
		"in doubt":    {fmt.Errorf("aide: %w", backout.ErrInDoubt), backout.ErrInDoubt},
		"any":         {errors.New("aide: exit 17, password is swordfish"), nil},
	} {
		fails = c.err
		_, err := site.Capture(t.Context(), captureLook())
		if err == nil || c.is != nil && !errors.Is(err, c.is) || strings.Contains(err.Error(), "swordfish") || !strings.Contains(err.Error(), "runner fra-1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	fails = &capture.MissingError{Part: "ports", Tool: "ss", Package: "iproute"}
	missing := &capture.MissingError{}
	if _, err := site.Capture(t.Context(), captureLook()); !errors.As(err, &missing) || missing.Package != "iproute" {
		t.Errorf("missing: %v", err)
	}
}

func TestErrandThroughTheSite(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	site := w.hub().Site("fra")
	file := w.file("effects")
	plan := planhash.Freeze(backout.Plan{
		Levels:   []backout.Level{{Name: "L1", Steps: []backout.Step{step("true")}}},
		Baseline: backout.BaselineSpec{Steps: []backout.Step{step(`echo x >>"$1"`, file)}},
	})
	task := backout.Task{
		AttemptID: runner.BaselineID("CHG1", 1, runner.PartBaseline, 0, 0), ChangeID: "CHG1", Level: backout.LevelBaseline,
		Step: plan.Plan.Baseline.Steps[0], Target: here,
	}
	for range 2 { // the second attaches
		made, err := site.Tend(t.Context(), plan, runner.ErrandPrepare, task)
		if err != nil || made.Uses != "command" {
			t.Errorf("%+v %v", made, err)
		}
	}
	if n := lines(file); n != 1 {
		t.Errorf("%d effects", n)
	}
	task.AttemptID, task.Level, task.Step = runner.ReleaseID("CHG1", 1, "L1", 0, 0), "L1", plan.Plan.Levels[0].Steps[0]
	if made, err := site.Tend(t.Context(), plan, runner.ErrandRelease, task); err != nil || made.Uses != "" {
		t.Errorf("nothing to release: %+v %v", made, err)
	}
}

func TestAnotherRunnerTakesUpAnErrand(t *testing.T) {
	w := newWorld(t)
	began := make(chan string, 2)
	slow := func(name string) func(*AgentOptions) {
		return w.sees(func(ctx context.Context) (backout.Inventory, error) {
			began <- name
			if len(began) < 2 {
				<-ctx.Done()
				return backout.Inventory{}, ctx.Err()
			}
			return inventory(1), nil
		})
	}
	agents := map[string]*Agent{"fra-1": w.agent("fra-1", slow("fra-1")), "fra-2": w.agent("fra-2", slow("fra-2"))}
	site := w.hub().Site("fra")
	eventually(t, "both are there", func() bool { return site.hub.alive("fra") == 2 })
	go func() {
		for len(began) == 0 {
			time.Sleep(time.Millisecond)
		}
		first := <-began
		began <- first
		agents[first].Close()
	}()
	if got, err := site.Capture(t.Context(), captureLook()); err != nil || len(got.Packages.Installed) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestErrandWithoutARunner(t *testing.T) {
	w := newWorld(t)
	if _, err := w.hub().Site("fra").Capture(t.Context(), captureLook()); !errors.Is(err, ErrNoRunner) {
		t.Errorf("%v", err)
	}
}

// TestALiarsErrandIsBounded: what no runner answers ends the errand, and is not kept.
func TestALiarsErrandIsBounded(t *testing.T) {
	bomb, err := pack(strings.Repeat(" ", unpackedMost+100))
	if err != nil {
		t.Fatal(err)
	}
	other, err := pack(map[string]any{"schema": 0})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*errandState{
		"nothing":                {},
		"no state":               nil,
		"larger than any":        {Size: packedMost + 1, Piece: []byte("x")},
		"a piece behind its end": {Size: 1, Piece: []byte("xx")},
		"a piece from elsewhere": {Size: 10, Offset: 5, Piece: []byte("x")},
		"no compression":         {Size: 1, Piece: []byte("x")},
		"a bomb":                 {Size: len(bomb), Piece: bomb},
		"no inventory":           {Size: len(other), Piece: other},
	} {
		l := &liar{says: func(order) reply { return reply{Errand: s} }}
		h := l.hub(t)
		h.greeted(bus.Message{Subject: hellos("fra", "liar"), Data: []byte(`{"address":"liar.1"}`)})
		if _, err := h.Site("fra").Capture(t.Context(), captureLook()); !errors.Is(err, errNonsense) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOlderRunnerIsTold(t *testing.T) {
	l := &liar{says: func(o order) reply { return reply{Refused: fmt.Sprintf("%q over this subject is not an order", o.Op)} }}
	h := l.hub(t)
	h.greeted(bus.Message{Subject: hellos("fra", "liar"), Data: []byte(`{"address":"liar.1","release":"v0.3.0"}`)})
	if _, err := h.Site("fra").Capture(t.Context(), captureLook()); err == nil || !strings.Contains(err.Error(), "v0.3.0") || !strings.Contains(err.Error(), "same release") {
		t.Errorf("%v", err)
	}
}

// TestALargeDeltaFits: 2,000 changed packages go with a step; what does not fit is
// refused with what to do.
func TestALargeDeltaFits(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	site := w.hub().Site("fra")
	delta := func(packages int) *backout.Delta {
		d := &backout.Delta{Target: here.Name, Baseline: "sha256:b", Manager: "rpm"}
		for n := range packages {
			d.Packages = append(d.Packages, backout.PackageChange{
				Name: fmt.Sprintf("a-package-with-a-rather-long-name-%05d", n), Arch: "x86_64", From: "0:1.2.3-45.el9_4.1", To: "0:1.2.3-46.el9_4.2",
			})
		}
		return d
	}
	j, _ := job(here, 1, step("true"))
	j.Task.Delta = delta(2_000)
	wantDone(t, run(t.Context(), site, j))
	j, _ = job(here, 2, step("true"))
	j.Task.Delta = delta(20_000)
	if r := site.Run(t.Context(), j); !r.Unclaimed || !strings.Contains(r.Err.Error(), "patch delta") || !strings.Contains(r.Err.Error(), "max_payload") {
		t.Errorf("%+v", r)
	}
}

func TestAnswersOfErrandsAreNotKeptForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		run := &errandRun{done: make(chan struct{}), cancel: func() { ended.Store(true) }, heard: time.Now()}
		time.Sleep(unfetched)
		if run.stale(time.Now()) || ended.Load() {
			t.Error("it was ended while somebody may ask")
		}
		time.Sleep(time.Second)
		if run.stale(time.Now()) || !ended.Load() {
			t.Error("it goes on though nobody asks")
		}
		run.finish([]byte("answer"), nil)
		if run.stale(time.Now()); run.data != nil {
			t.Error("its answer is kept")
		}
		if _, err := run.state(0, 10); err == nil {
			t.Error("an answer that is gone was given")
		}
		if time.Sleep(lifetime + skew); run.stale(time.Now()) {
			t.Error("a message that is sent again would begin it anew")
		}
		if time.Sleep(keptAfter); !run.stale(time.Now()) {
			t.Error("it is remembered for ever")
		}
	})
}

// uses and with of a step are checked in refuse_test.go; here is what a stale or
// a cut answer of a step may hold.
func TestWhatAStepHoldsIsBounded(t *testing.T) {
	o := backout.Outcome{Facts: map[string]string{"a": "b"}, Held: make([]string, heldMost+1)}
	for i := range o.Held {
		o.Held[i] = strings.Repeat("x", heldName+1)
	}
	if outcome(&o); len(o.Held) != heldMost || len([]rune(o.Held[0])) > heldName+1 || o.Facts != nil {
		t.Errorf("%d held of %d characters, %v", len(o.Held), len(o.Held[0]), o.Facts)
	}
	if data, err := json.Marshal(o); err != nil || len(data) > 1<<20 {
		t.Errorf("%d bytes %v", len(data), err)
	}
}

// elsewhere works from the runner's machine.
type elsewhere struct{ ran *atomic.Int32 }

func (e elsewhere) Execute(context.Context, backout.Task, backout.Host, io.Writer) (backout.Outcome, error) {
	e.ran.Add(1)
	return backout.Outcome{}, nil
}

// TestErrandOnTheRunnersMachineIsNotBegunOnAnother: its record is on the machine of
// the runner that began it, so another one would do it once more.
func TestErrandOnTheRunnersMachineIsNotBegunOnAnother(t *testing.T) {
	w := newWorld(t)
	var ran atomic.Int32
	kind := executors.Define("elsewhere", "for tests", func(context.Context, struct{}) (backout.Executor, error) { return elsewhere{&ran}, nil })
	kind.OnRunner = true
	known, err := executors.NewRegistry(kind)
	if err != nil {
		t.Fatal(err)
	}
	r := runner.New(runner.Options{Executors: known, Hosts: w.hosts})
	a := &Agent{tending: make(chan struct{}, 1)}
	task := &backout.Task{Level: backout.LevelBaseline, Step: backout.Step{Uses: "elsewhere", With: []byte(`{}`)}, Target: here}
	if _, err := a.tend(t.Context(), r, &errand{Errand: runner.ErrandPrepare, Task: task, Again: true}); !errors.Is(err, backout.ErrInDoubt) || ran.Load() != 0 {
		t.Errorf("%v, ran %d times", err, ran.Load())
	}
	if _, err := a.tend(t.Context(), r, &errand{Errand: runner.ErrandPrepare, Task: task}); err != nil || ran.Load() != 1 {
		t.Errorf("%v, ran %d times", err, ran.Load())
	}
}
