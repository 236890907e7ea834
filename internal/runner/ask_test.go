package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/runner"
)

// telling is an executor whose target tells how far its work is: what it is asked
// for the first time, the second time, and from then on the last.
type telling struct {
	mu     sync.Mutex
	says   []backout.Probed
	fails  error
	probes int
	// execute, prepare and tidy are its work; nil does what executors do.
	execute func(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error)
	prepare func(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Prepared, error)
	tidy    func(what string, t backout.Task) error
}

func (e *telling) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	if e.execute != nil {
		return e.execute(ctx, t, h, out)
	}
	return executors.Attempt(ctx, t, h, backout.Exec{Argv: []string{"true"}}, out)
}

func (e *telling) Probe(context.Context, backout.Task, backout.Host) (backout.Probed, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probes++
	if e.fails != nil {
		return backout.Probed{}, e.fails
	}
	return e.says[min(e.probes, len(e.says))-1], nil
}

func (e *telling) Prepare(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Prepared, error) {
	return e.prepare(ctx, t, h, out)
}

func (e *telling) Cleanup(_ context.Context, t backout.Task, _ backout.Host, _ io.Writer) error {
	return e.tidy("cleanup", t)
}

func (e *telling) Release(_ context.Context, t backout.Task, _ backout.Host, _ io.Writer) error {
	return e.tidy("release", t)
}

// of is a runner that knows the executor as "telling" and "mute", which has
// nothing but Execute.
func of(t *testing.T, e backout.Executor, h backout.Host, secrets ...backout.Secret) *runner.Runner {
	t.Helper()
	build := func(e backout.Executor) func(context.Context, struct{}) (backout.Executor, error) {
		return func(context.Context, struct{}) (backout.Executor, error) { return e, nil }
	}
	registry, err := executors.NewRegistry(
		executors.Define("telling", "for tests", build(e)), executors.Define("mute", "for tests", build(struct{ backout.Executor }{e})),
	)
	if err != nil {
		t.Fatal(err)
	}
	return runner.New(runner.Options{Executors: registry, Hosts: hosts{h}, Secrets: secrets})
}

func telljob(uses string) runner.Job {
	return runner.Job{Boot: "0", Task: backout.Task{
		AttemptID: "CHG1-r1.L1.s1.t1.a1", RollbackID: "CHG1-r1", ChangeID: "CHG1", Level: "L1",
		Step: backout.Step{Uses: uses, With: json.RawMessage("{}")}, Target: backout.Target{Name: "web1"},
	}}
}

// rebootedMachine is a target that has rebooted in the middle of the attempt: its
// record says that nobody knows the end.
func rebootedMachine() *machine {
	return &machine{seen: true, boot: 1, began: time.Now(), runs: time.Hour, stays: true}
}

func TestDoubtIsAskedOfTheTargetsState(t *testing.T) {
	say := func(states ...backout.ProbeState) []backout.Probed {
		var out []backout.Probed
		for _, s := range states {
			out = append(out, backout.Probed{State: s, Detail: "nginx 1.2-1", Held: []string{"nginx"}})
		}
		return out
	}
	const done, not, broken = backout.ProbeDone, backout.ProbeNotDone, backout.ProbeBroken
	const under, reboot, unknown = backout.ProbeInProgress, backout.ProbePendingReboot, backout.ProbeUnknown
	for name, c := range map[string]struct {
		says   []backout.Probed
		fails  error
		flags  string
		reason string
		probes int
	}{
		"done":                          {says: say(done), probes: 1},
		"under way, then done":          {says: say(under, under, done), probes: 3},
		"waits for a reboot, then done": {says: say(reboot, done), probes: 2},
		"not done":                      {says: say(not), reason: "found not done (nginx 1.2-1), and nothing of the attempt runs", probes: 2},
		"broken":                        {says: say(broken), reason: "found broken", probes: 2},
		"not done, but done after all":  {says: say(not, done), probes: 2},
		"unknown":                       {says: say(unknown), flags: "doubt", reason: "does not tell either", probes: 1},
		"of a later release":            {says: say("of_tomorrow"), flags: "doubt", reason: "does not tell either", probes: 1},
		"cannot be asked":               {fails: errors.New("rpm: db locked"), flags: "doubt", reason: "db locked", probes: 1},
		"under way for ever":            {says: say(under), flags: "doubt", reason: "under way for too long"},
		"waits for ever":                {says: say(reboot), flags: "doubt", reason: "waits for a reboot"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, e := rebootedMachine(), &telling{says: c.says, fails: c.fails}
				began := time.Now()
				got := of(t, e, m).Resume(t.Context(), telljob("telling"))
				want(t, got, c.flags, c.reason)
				if m.starts != 0 {
					t.Errorf("law 2: started %d times", m.starts)
				}
				if c.flags == "" && c.reason == "" && (!strings.Contains(got.Outcome.Summary, "found done (nginx 1.2-1)") || len(got.Outcome.Held) != 1) {
					t.Errorf("outcome %+v", got.Outcome)
				}
				if c.probes > 0 && e.probes != c.probes {
					t.Errorf("asked %d times, want %d", e.probes, c.probes)
				}
				if failed := c.flags == "" && c.reason != ""; failed != (m.stopped && c.flags == "" && got.Err != nil) {
					t.Errorf("failed %v, ended on its target first %v", failed, m.stopped)
				}
				if waited := time.Since(began); waited > 20*time.Minute {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

func TestDoubtOfAnExecutorThatCannotTellStaysOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &telling{says: []backout.Probed{{State: backout.ProbeDone}}}
		want(t, of(t, e, rebootedMachine()).Resume(t.Context(), telljob("mute")), "doubt", "rebooted")
		if e.probes != 0 {
			t.Error("it was asked")
		}
	})
}

// alive runs on whatever it is told.
type alive struct{ *machine }

func (a alive) Probe(ctx context.Context, id string) (backout.AttemptReport, error) {
	r, err := a.machine.Probe(ctx, id)
	if a.machine.stopped {
		r.State = backout.AttemptRunning
	}
	return r, err
}

// unstoppable answers, but cannot end an attempt.
type unstoppable struct{ *machine }

func (unstoppable) Stop(context.Context, string) error { return errors.New("permission denied") }

func TestNotDoneIsADoubtWhileItMayRunYet(t *testing.T) {
	for name, h := range map[string]func(*machine) backout.Host{
		"it runs":            func(m *machine) backout.Host { return alive{m} },
		"it cannot be ended": func(m *machine) backout.Host { return unstoppable{m} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &telling{says: []backout.Probed{{State: backout.ProbeNotDone}}}
				want(t, of(t, e, h(rebootedMachine())).Resume(t.Context(), telljob("telling")), "doubt", "it may run yet")
			})
		})
	}
}

func TestSnapshotForgotTheAttemptThatDidIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e := &machine{boot: 1}, &telling{says: []backout.Probed{{State: backout.ProbeDone, Detail: "marker is gone"}}}
		got := of(t, e, m).Resume(t.Context(), telljob("telling"))
		want(t, got, "", "")
		if m.starts != 0 || !strings.Contains(got.Outcome.Summary, "marker is gone") {
			t.Errorf("%d starts, %q", m.starts, got.Outcome.Summary)
		}
	})
}

func TestStopEndsTheAskingOfAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &telling{says: []backout.Probed{{State: backout.ProbeInProgress}}}
		r := of(t, e, rebootedMachine())
		results := make(chan runner.Result, 1)
		began := time.Now()
		go func() { results <- r.Resume(t.Context(), telljob("telling")) }()
		time.Sleep(12 * time.Second)
		if err := r.Stop("CHG1-r1.L1.s1.t1.a1", "its level's time is up"); err != nil {
			t.Fatal(err)
		}
		want(t, <-results, "doubt", "under way")
		if waited := time.Since(began); waited > time.Minute {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestClosingWhileAStateIsAskedForIsNoOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		e := &telling{says: []backout.Probed{{State: backout.ProbeInProgress}}}
		want(t, of(t, e, rebootedMachine()).Resume(ctx, telljob("telling")), "interrupted", "deadline")
	})
}
