package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

// fakeSite answers for targets: "keep" keeps packages, "snapshot" makes one, which
// "merge" needs.
type fakeSite struct {
	mu sync.Mutex
	// away are targets that do not answer; broken are errands that fail, by a part
	// of their attempt's id; captures those of targets that cannot be captured.
	away     map[string]bool
	armed    []string
	broken   map[string]error
	captures map[string]error
	// no is what the executors of a level say.
	no map[string][]backout.Violation
	// version is what is installed, snapshots those that are there, by target.
	version   map[string]string
	snapshots map[string]int
	// calls are the errands, oldest first; asked the tasks of preflights.
	calls  []string
	asked  []backout.Task
	forgot []string
	// ran are the attempts that it was given to run.
	ran []string
	// takes is how long every call takes; during is called with each errand.
	takes  time.Duration
	during func(runner.Errand, backout.Task)
	// captured is called with each target once it was looked at.
	captured func(target string)
}

func newFakeSite() *fakeSite {
	return &fakeSite{
		away: map[string]bool{}, broken: map[string]error{}, captures: map[string]error{}, no: map[string][]backout.Violation{},
		version: map[string]string{}, snapshots: map[string]int{},
	}
}

var errAway = errors.New("no route to host")

func (f *fakeSite) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeSite) Run(_ context.Context, j runner.Job) runner.Result {
	f.set(func() { f.ran = append(f.ran, j.Task.AttemptID) })
	return runner.Result{}
}

func (f *fakeSite) Resume(context.Context, runner.Job) runner.Result { return runner.Result{} }
func (f *fakeSite) Stop(string, string) error                        { return nil }
func (f *fakeSite) GiveUp(string, string) error                      { return nil }

func (f *fakeSite) Check(context.Context, runner.Look, backout.Check) checks.Result {
	return checks.Result{Green: true}
}

func (f *fakeSite) Forget(_ context.Context, t backout.Target, ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[t.Name] {
		return errAway
	}
	f.forgot = append(f.forgot, ids...)
	return nil
}

func (f *fakeSite) Preflight(ctx context.Context, _ backout.FrozenPlan, t backout.Task) (runner.Preflighted, error) {
	if err := f.wait(ctx); err != nil {
		return runner.Preflighted{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[t.Target.Name] {
		return runner.Preflighted{}, errAway
	}
	f.asked = append(f.asked, t)
	said := runner.Preflighted{Violations: slices.Clone(f.no[t.Level])}
	for i := range said.Violations {
		said.Violations[i].Target, said.Violations[i].Level = t.Target.Name, t.Level
	}
	if t.Step.Uses == "merge" {
		said.Loses = "data written since 18:00"
	}
	return said, nil
}

func (f *fakeSite) wait(ctx context.Context) error {
	var takes time.Duration
	f.set(func() { takes = f.takes })
	if takes == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(takes):
		return nil
	}
}

func (f *fakeSite) Capture(ctx context.Context, l runner.CaptureLook) (backout.Inventory, error) {
	if err := f.wait(ctx); err != nil {
		return backout.Inventory{}, err
	}
	if f.captured != nil {
		defer f.captured(l.Target.Name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[l.Target.Name] {
		return backout.Inventory{}, errAway
	}
	if err := f.captures[l.Target.Name]; err != nil {
		return backout.Inventory{}, err
	}
	version := "0:1.0-1"
	if v := f.version[l.Target.Name]; v != "" {
		version = v
	}
	return backout.Inventory{Schema: 1, Machine: backout.Machine{Hostname: l.Target.Name}, Packages: backout.PackageState{
		Manager: "rpm", Installed: []backout.Package{{Name: "openssl", Version: version, Arch: "x86_64"}},
	}}, nil
}

func (f *fakeSite) Tend(ctx context.Context, plan backout.FrozenPlan, errand runner.Errand, t backout.Task) (backout.Prepared, error) {
	if err := runner.Bound(plan.Plan, errand, t); err != nil {
		return backout.Prepared{}, err
	}
	if f.during != nil {
		f.during(errand, t)
	}
	if err := f.wait(ctx); err != nil {
		return backout.Prepared{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[t.Target.Name] {
		return backout.Prepared{}, errAway
	}
	for part, err := range f.broken {
		if strings.Contains(t.AttemptID, part) {
			return backout.Prepared{}, err
		}
	}
	f.calls = append(f.calls, fmt.Sprintf("%s %s %s", errand, t.Step.Uses, t.AttemptID))
	switch {
	case errand == runner.ErrandPrepare && t.Step.Uses == "snapshot":
		f.snapshots[t.Target.Name]++
	case errand == runner.ErrandCleanup && t.Step.Uses == "snapshot":
		f.snapshots[t.Target.Name] = 0
		return backout.Prepared{}, nil
	case errand == runner.ErrandCleanup, t.Step.Uses == "merge":
		return backout.Prepared{}, nil
	}
	return backout.Prepared{Uses: t.Step.Uses, Facts: map[string]string{"by": t.AttemptID}}, nil
}

// called are the errands so far, sorted, since targets are looked after at once.
func (f *fakeSite) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.calls)
	slices.Sort(out)
	return out
}

func (f *fakeSite) standing() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := maps.Clone(f.snapshots)
	maps.DeleteFunc(out, func(_ string, n int) bool { return n == 0 })
	return out
}

// snapshotPlan has both kinds of preparation.
func snapshotPlan() backout.Plan {
	return backout.Plan{
		Name: "web", Author: "bob", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Levels: []backout.Level{
			{Name: "L1", Steps: []backout.Step{{Uses: "keep"}}, EscalateAfter: backout.Duration(time.Hour), Approval: backout.Approval{Mode: backout.ApprovalNone}},
			{
				Name: "L2", Steps: []backout.Step{{Uses: "merge"}}, EscalateAfter: backout.Duration(time.Hour), Destructive: true,
				Approval: backout.Approval{Mode: backout.ApprovalRequired, Votes: 1, Groups: []string{"sre"}, ValidFor: backout.Duration(24 * time.Hour)},
			},
		},
		Verify:   backout.Verify{Every: backout.Duration(15 * time.Second), HoldFor: backout.Duration(time.Minute), Checks: []backout.Check{{Uses: "http"}}},
		Baseline: backout.BaselineSpec{Steps: []backout.Step{{Uses: "snapshot"}}},
		Cleanup:  []backout.Step{{Uses: "tidy"}},
	}
}

// openWorld is a world of two targets for one plan, on a store of its own.
type openWorld struct {
	*restartable
	site   *fakeSite
	cfg    *Config
	engine *Engine
	log    *slog.Logger
}

func withTargets(t *testing.T, test func(t *testing.T, w *openWorld)) {
	t.Helper()
	withStore(t, func(t *testing.T, r *restartable) {
		set, problems := rules.Load(map[string][]byte{})
		if err := problems.Fatal(); err != nil {
			t.Fatal(err)
		}
		w := &openWorld{restartable: r, site: newFakeSite(), log: slog.New(slog.NewTextHandler(&r.logs, nil))}
		w.cfg = &Config{
			Rules: set, Plans: map[string]backout.Plan{"web": snapshotPlan()}, Runner: w.site, Groups: map[string][]string{"sre": {"carol"}},
			Inventory: map[string]backout.Target{"web1": {Name: "web1"}, "web2": {Name: "web2"}},
		}
		test(t, w)
	})
}

// serve starts a server of that name; the caller closes it.
func (w *openWorld) serve(name string, s *store.Store) *Engine {
	w.t.Helper()
	e := New(Options{Store: s, Server: name, Sender: w.mouth, Log: w.log}, w.cfg)
	if err := e.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return e
}

var alice = handlers.Actor{Name: "alice", Via: "cli"}

// planned is a change that may be opened at once.
func (w *openWorld) planned(e *Engine, id string) {
	w.t.Helper()
	_, err := e.PlanChange(w.t.Context(), alice, backout.ChangeSpec{
		ID: id, Plan: "web", Targets: []string{"web1", "web2"}, Window: backout.Window{Watch: backout.Duration(time.Hour)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// kinds are the events of the change's log, one line for each record.
func (w *openWorld) kinds(id string) []string {
	w.t.Helper()
	entries, err := w.store.Changes.Load(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, entry := range entries {
		var kinds []string
		for _, ev := range entry.Record.Events {
			kinds = append(kinds, ev.Kind())
		}
		out = append(out, strings.Join(kinds, " "))
	}
	return out
}
