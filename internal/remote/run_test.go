package remote

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/runner"
)

func TestAnAttemptIsCarriedOutAndTold(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	site := w.hub().Site("fra")
	j, c := job(here, 1, step(`echo "out $BACKOUT_RULE swordfish"; echo x >>"$1"; exit 3`, w.file("effects")))
	r := run(t.Context(), site, j)
	if r.Err == nil || !strings.Contains(r.Err.Error(), "exit code 3") || r.Outcome.ExitCode != 3 || r.InDoubt || r.Unclaimed {
		t.Errorf("result %+v", r)
	}
	if string(r.Output) != "out r [redacted]\n" || c.output() != string(r.Output) {
		t.Errorf("output %q, live %q", r.Output, c.output())
	}
	by := c.claimed()
	if len(by) != 1 || by[0].Via != "fra-1" || len(by[0].Boot) != 36 || c.begins != 1 || lines(w.file("effects")) != 1 {
		t.Errorf("claims %v, %d begins, %d effects", by, c.begins, lines(w.file("effects")))
	}
}

// TestLargeOutputFits: more than one message of the user's NATS takes.
func TestLargeOutputFits(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	j, c := job(here, 1, step(`i=0; while [ $i -lt 60000 ]; do echo "line $i of an output that is rather long"; i=$((i+1)); done`))
	r := run(t.Context(), w.hub().Site("fra"), j)
	wantDone(t, r)
	if len(r.Output) < 1<<20 || !strings.HasSuffix(string(r.Output), "line 59999 of an output that is rather long\n") {
		t.Errorf("%d bytes kept", len(r.Output))
	}
	if !strings.HasSuffix(c.output(), "line 59999 of an output that is rather long\n") {
		t.Errorf("live output ends %q", c.output()[max(0, len(c.output())-100):])
	}
}

func TestNobodyThere(t *testing.T) {
	w := newWorld(t)
	hub := w.hub()
	w.agent("nyc-1")
	j, c := job(here, 1, step("true"))
	r := hub.Site("fra").Run(t.Context(), j)
	if !r.Unclaimed || !errors.Is(r.Err, ErrNoRunner) || !strings.Contains(r.Err.Error(), "no runner at site fra") || len(c.claimed()) != 0 {
		t.Errorf("%+v", r)
	}
	if _, err := hub.Site("fra").Preflight(t.Context(), j.Frozen, j.Task); !errors.Is(err, ErrNoRunner) {
		t.Errorf("preflight: %v", err)
	}
	if err := hub.Site("fra").Stop(j.Task.AttemptID, "why"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("stop: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := time.AfterFunc(500*time.Millisecond, cancel)
	defer stopped.Stop()
	if r := hub.Site("fra").Resume(ctx, j); !r.Interrupted {
		t.Errorf("resume: %+v", r)
	}
}

// TestAClaimThatFailsStartsNothing, and the attempt can be offered again.
func TestAClaimThatFailsStartsNothing(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	site := w.hub().Site("fra")
	j, c := job(here, 1, step(`echo x >>"$1"`, w.file("effects")))
	claim := j.Claim
	j.Claim = func(context.Context, runner.Claimed) (time.Time, error) { return time.Time{}, backout.ErrConflict }
	if r := site.Run(t.Context(), j); !r.Unclaimed || !errors.Is(r.Err, backout.ErrConflict) {
		t.Errorf("%+v", r)
	}
	if lines(w.file("effects")) != 0 {
		t.Error("it started without its claim")
	}
	j.Claim = claim
	wantDone(t, run(t.Context(), site, j))
	if len(c.claimed()) != 1 || lines(w.file("effects")) != 1 {
		t.Errorf("%d claims, %d effects", len(c.claimed()), lines(w.file("effects")))
	}
}

// TestAStartIsAskedFor: while the answer is no nothing starts.
func TestAStartIsAskedFor(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	j, _ := job(here, 1, step(`echo x >>"$1"`, w.file("effects")))
	var mu sync.Mutex
	asked := 0
	j.Begin = func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked < 4 {
			if lines(w.file("effects")) != 0 {
				t.Error("it started although the answer was no")
			}
			return errors.New("paused")
		}
		return nil
	}
	wantDone(t, run(t.Context(), w.hub().Site("fra"), j))
	if asked != 4 || lines(w.file("effects")) != 1 {
		t.Errorf("asked %d times, %d effects", asked, lines(w.file("effects")))
	}
}

// TestTwoRunnersOneBegins: two servers offer the same attempt to two runners; the
// log lets one of them claim.
func TestTwoRunnersOneBegins(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	w.agent("fra-2")
	for number := range 10 {
		j, _ := job(here, number+1, step(`echo x >>"$1"; sleep 0.1`, w.file("effects")))
		var log sync.Mutex
		claimed := false
		j.Live, j.Claim = nil, func(context.Context, runner.Claimed) (time.Time, error) {
			log.Lock()
			defer log.Unlock()
			if claimed {
				return time.Time{}, backout.ErrConflict
			}
			claimed = true
			return time.Time{}, nil
		}
		var all sync.WaitGroup
		results := make([]runner.Result, 2)
		for i := range results {
			site := w.hub().Site("fra")
			all.Go(func() { results[i] = site.Run(t.Context(), j) })
		}
		all.Wait()
		if won := results[0]; won.Unclaimed == results[1].Unclaimed {
			t.Errorf("attempt %d: %+v and %+v", number, results[0], results[1])
		}
		if lines(w.file("effects")) != number+1 {
			t.Fatalf("%d effects of %d attempts", lines(w.file("effects")), number+1)
		}
	}
}

func TestStopAndGiveUpReachIt(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	site := w.hub().Site("fra")
	j, c := job(here, 1, step(`trap 'echo stopped; exit 1' TERM; echo up; while :; do sleep 0.05; done`))
	got := make(chan runner.Result, 1)
	go func() { got <- run(t.Context(), site, j) }()
	eventually(t, "it is up", func() bool { return c.output() == "up\n" })
	if err := site.GiveUp(j.Task.AttemptID, "too late"); err != nil {
		t.Error(err)
	}
	select {
	case r := <-got:
		t.Fatalf("giving up ended what had begun: %+v", r)
	case <-time.After(300 * time.Millisecond):
	}
	began := time.Now()
	if err := site.Stop(j.Task.AttemptID, "time is up"); err != nil {
		t.Error(err)
	}
	r := <-got
	if r.Err == nil || r.Err.Error() != "time is up" || !strings.HasSuffix(string(r.Output), "stopped\n") {
		t.Errorf("%+v %q", r, r.Output)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}

	j, _ = job(here, 2, step(`echo x >>"$1"`, w.file("effects")))
	waits := make(chan struct{})
	var once sync.Once
	j.Begin = func(context.Context) error { once.Do(func() { close(waits) }); return errors.New("not now") }
	go func() { got <- run(t.Context(), site, j) }()
	<-waits
	if err := site.GiveUp(j.Task.AttemptID, "too late"); err != nil {
		t.Error(err)
	}
	if r = <-got; r.Err == nil || r.Unclaimed || r.InDoubt || !strings.Contains(r.Err.Error(), "too late") || lines(w.file("effects")) != 0 {
		t.Errorf("%+v, %d effects", r, lines(w.file("effects")))
	}
}

func TestDeadlineOfTheClaimEndsIt(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	j, _ := job(here, 1, step(`sleep 60`))
	j.Claim = func(context.Context, runner.Claimed) (time.Time, error) {
		return time.Now().Add(500 * time.Millisecond), nil
	}
	if r := run(t.Context(), w.hub().Site("fra"), j); r.Err == nil || !strings.Contains(r.Err.Error(), "timed out") {
		t.Errorf("%+v", r)
	}
}

func TestLooksGoThroughTheSite(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	site := w.hub().Site("fra")
	j, _ := job(here, 1, backout.Step{Uses: "command", With: []byte(`{"argv":["no-such-program"]}`)})
	answer, err := site.Preflight(t.Context(), j.Frozen, j.Task)
	found := answer.Violations
	if err != nil || len(found) != 1 || found[0].Target != "web1" || found[0].Level != "L1" || !strings.Contains(found[0].Reason, "no-such-program") {
		t.Errorf("preflight: %v %v", found, err)
	}
	look := runner.Look{Target: here, ChangeID: "CHG1", Frozen: j.Frozen, Gate: j.Gate}
	if seen := site.Check(t.Context(), look, j.Frozen.Plan.Verify.Checks[0]); !seen.Green {
		t.Errorf("check: %+v", seen)
	}
	run(t.Context(), site, j)
	if err := site.Forget(t.Context(), here, []string{j.Task.AttemptID, "CHG1-r1.L1.s1.t1.a9"}); err != nil {
		t.Error(err)
	}
}

// TestBusyRunners: an attempt waits for a slot, and goes to whom has most room.
func TestBusyRunners(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1", func(o *AgentOptions) { o.Slots = 1 })
	site := w.hub().Site("fra")
	j, c := job(here, 1, step(`while [ ! -e "$1" ]; do sleep 0.02; done`, w.file("go")))
	got := make(chan runner.Result, 1)
	go func() { got <- run(t.Context(), site, j) }()
	eventually(t, "the first is claimed", func() bool { return len(c.claimed()) == 1 })
	second, by := job(here, 2, step(`echo x >"$1"`, w.file("go")))
	if r := site.Run(t.Context(), second); !r.Unclaimed || !strings.Contains(r.Err.Error(), "max_steps is 1") {
		t.Errorf("%+v", r)
	}
	w.agent("fra-2")
	wantDone(t, run(t.Context(), site, second))
	wantDone(t, <-got)
	if who := by.claimed(); len(who) != 1 || who[0].Via != "fra-2" {
		t.Errorf("claimed by %v", who)
	}
}

func TestRunnersAreSeen(t *testing.T) {
	w := newWorld(t)
	hub := w.hub()
	a := w.agent("fra-1")
	w.agent("nyc-1")
	eventually(t, "both are seen", func() bool { return len(hub.Runners()) == 2 })
	list := hub.Runners()
	if r := list[0]; r.Name != "fra-1" || r.Site != "fra" || !r.Alive || r.Slots != defaultSlots || r.Release != "test" || r.Address != a.Address() {
		t.Errorf("%+v", r)
	}
	a.Close()
	eventually(t, "its good-bye is heard", func() bool { return !hub.Runners()[0].Alive })
}

// loses is a connection on which the first request goes to somebody who never
// answers.
type loses struct {
	Conn
	lost atomic.Bool
}

// Request implements [Conn].
func (l *loses) Request(ctx context.Context, m bus.Message) (bus.Message, error) {
	if l.lost.CompareAndSwap(false, true) {
		<-ctx.Done()
		return bus.Message{}, context.Cause(ctx)
	}
	return l.Conn.Request(ctx, m)
}

// TestLookAsksAnotherRunner: one that is gone with a question holds nobody up for
// as long as a look may take.
func TestLookAsksAnotherRunner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hub := w.hubOver(&loses{Conn: w.dial("server", w.nats)})
	w.agent("fra-1")
	w.agent("fra-2")
	eventually(t, "both are heard", func() bool { return len(hub.Runners()) == 2 })
	site := hub.Site("fra")
	j, _ := job(here, 1, step("true"))
	began := time.Now()
	seen := site.Check(t.Context(), runner.Look{Target: here, ChangeID: "CHG1", Frozen: j.Frozen, Gate: j.Gate}, j.Frozen.Plan.Verify.Checks[0])
	if took := time.Since(began); !seen.Green || took > lookPatience {
		t.Errorf("the check said %+v after %s", seen, took)
	}
}
