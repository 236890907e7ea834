package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/simtest"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier"
)

// check holds what a trial left behind against what was promised.
func (tr *trial) check() {
	err := tr.g.call(tr.patience, "the logs are read", func(ctx context.Context, c *client.Client) (err error) {
		if tr.changes, err = c.ChangeLog(ctx, tr.change); err == nil {
			tr.log, err = c.RollbackLog(ctx, tr.id)
		}
		return err
	})
	if err != nil {
		tr.fail("%v", err)
		return
	}
	for _, law := range simtest.Laws(simtest.Logs{Changes: entries(tr.changes), Rollbacks: entries(tr.log)}) {
		tr.fail("%s", law)
	}
	tr.checkKept()
	tr.checkEffects()
	tr.measure()
}

func entries(log []handlers.LogEntry) []store.Entry {
	out := make([]store.Entry, len(log))
	for i, e := range log {
		out[i] = store.Entry{ID: e.ID, Seq: e.Seq, Record: e.Record}
	}
	return out
}

// checkKept: what was read before the fault still stands there.
func (tr *trial) checkKept() {
	if got := tr.log[:min(len(tr.log), len(tr.seen))]; len(tr.seen) > 0 && !cmp.Equal(tr.seen, got, sameInstant) {
		tr.figures.lost++
		tr.fail("records from before the fault are lost:\n%s", cmp.Diff(tr.seen, got, sameInstant))
	}
	requested := 0
	for _, e := range tr.changes {
		for _, ev := range e.Record.Events {
			if _, is := ev.(backout.RollbackRequested); is {
				requested++
			}
		}
	}
	if requested != 1 {
		tr.fail("%d rollbacks for one alert, want one", requested)
	}
}

var sameInstant = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })

// checkEffects: each step happened once on its target, as the log says.
func (tr *trial) checkEffects() {
	begun, ended, steps := tr.effects()
	for step, n := range steps {
		if n > 1 {
			tr.figures.twice++
			tr.fail("step %s happened %d times", step, n)
		}
	}
	claimed, stopped, overdue := map[string]bool{}, map[string]bool{}, false
	for _, e := range tr.log {
		for _, ev := range e.Record.Events {
			switch ev := ev.(type) {
			case backout.LevelEntered:
				overdue = false
			case backout.LevelOverdue:
				overdue = true
			case backout.StepStarted:
				claimed[ev.AttemptID] = true
			case backout.StopRequested:
				stopped[ev.AttemptID] = true
			case backout.StepInDoubt:
				tr.figures.doubts = append(tr.figures.doubts, fmt.Sprintf("trial %d, %s: %s: %s", tr.number, tr.fault.name, ev.AttemptID, ev.Reason))
			case backout.StepDone:
				if begun[ev.AttemptID] != 1 || ended[ev.AttemptID] != 1 {
					tr.fail("%s is done; it began %d times and ended %d times", ev.AttemptID, begun[ev.AttemptID], ended[ev.AttemptID])
				}
			case backout.StepFailed:
				tr.checkFailed(ev, stopped[ev.AttemptID], overdue, begun[ev.AttemptID])
			}
		}
	}
	for attempt := range begun {
		if !claimed[attempt] {
			tr.fail("%s happened and nobody had claimed it", attempt)
		}
	}
}

// effects counts what the targets' file says: which attempts began, which ended,
// and how often each step began, whatever the attempt.
func (tr *trial) effects() (begun, ended, steps map[string]int) {
	begun, ended, steps = map[string]int{}, map[string]int{}, map[string]int{}
	for line := range strings.Lines(read(tr.g.file(tr.change, ""))) {
		attempt, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		if what == "end" {
			ended[attempt]++
			continue
		}
		begun[attempt]++
		steps[attempt[:strings.LastIndexByte(attempt, '.')]]++
	}
	return begun, ended, steps
}

// checkFailed: a step fails when it was meant to, or was asked to stop; and it may
// never start, when its level's time was up before anybody could append the claim,
// as while the store takes no writes. What is said never to have started has not.
// That the rollback goes on in each case, settle has seen.
func (tr *trial) checkFailed(ev backout.StepFailed, stopped, overdue bool, begun int) {
	never := strings.HasPrefix(ev.Reason, "never started")
	meant := tr.plan == "fails" && strings.Contains(ev.AttemptID, ".L1.s2.")
	switch {
	case never && begun > 0:
		tr.fail("%s is said never to have started, and began: %s", ev.AttemptID, ev.Reason)
	case never && overdue:
		tr.figures.never++
	case !stopped && !meant:
		tr.fail("%s failed: %s", ev.AttemptID, ev.Reason)
	}
}

// TestNeverStartedIsJudged: the trials take it for what it is only when nothing
// has happened and the level's time was up.
func TestNeverStartedIsJudged(t *testing.T) {
	t.Parallel()
	never := backout.StepFailed{AttemptID: "C-r1.L1.s1.t1.a1", Reason: "never started: the level's time is up"}
	for _, c := range []struct {
		stopped, overdue bool
		begun            int
		fine             bool
	}{
		{false, true, 0, true},
		{true, true, 0, true},
		{false, true, 1, false},
		{true, true, 1, false},
		{false, false, 0, false},
	} {
		tr := &trial{plan: "escalates", began: time.Now()}
		tr.checkFailed(never, c.stopped, c.overdue, c.begun)
		if fine := len(tr.broken) == 0; fine != c.fine {
			t.Errorf("stopped %v, overdue %v, begun %d: fine is %v, want %v", c.stopped, c.overdue, c.begun, fine, c.fine)
		}
	}
}

// notices are the keys of everything that people must have been told.
func (tr *trial) notices() []string {
	var keys []string
	var c backout.Change
	for _, e := range tr.changes {
		for i, ev := range e.Record.Events {
			if len(change.Tells(c, e.Record.At, ev, "ops")) > 0 {
				keys = append(keys, notifier.Key(fmt.Sprintf("%s.%d.%d", e.ID, e.Seq, i)))
			}
			c = change.Apply(c, e.Seq, e.Record.At, ev)
		}
	}
	var r backout.Rollback
	for _, e := range tr.log {
		for _, command := range rollback.Commands(r, e.Seq, e.Record) {
			if tell, is := command.(backout.Tell); is {
				keys = append(keys, notifier.Key(tell.Notice.ID))
			}
		}
		r = rollback.Fold(r, e.Seq, e.Record)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// checkNotices: everybody was told of everything that the trials did; a notice
// that a crash made come twice is counted, not refused. It comes after all
// trials: a channel may lag behind the rollbacks by what its redelivery takes.
func (g *ground) checkNotices(trials []*trial, within time.Duration) {
	g.t.Helper()
	want := map[string]*trial{}
	for _, tr := range trials {
		for _, key := range tr.notices() {
			want[key] = tr
			tr.figures.notices++
		}
	}
	got := map[string]int{}
	missing := func() []string {
		clear(got)
		all, _ := g.box.all()
		for _, line := range all {
			key, _, _ := strings.Cut(line, " ")
			got[key]++
		}
		return slices.DeleteFunc(slices.Sorted(maps.Keys(want)), func(key string) bool { return got[key] > 0 })
	}
	lost := missing()
	for until := time.Now().Add(within); len(lost) > 0 && time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		lost = missing()
	}
	for _, key := range lost {
		want[key].figures.untold++
		g.t.Errorf("nobody was told: notice %s; replay: %s", key, want[key].replay)
	}
	for key, tr := range want {
		tr.figures.doubled += max(0, got[key]-1)
	}
	if _, wrong := g.box.all(); len(wrong) > 0 {
		g.t.Errorf("the hook complains: %v", wrong)
	}
}

// measure finds the first record after the fault: from the new start of the part
// on where nothing else could go on meanwhile, from the fault itself on a cluster.
func (tr *trial) measure() {
	tr.figures.trials++
	from := tr.back
	if tr.g.cluster != nil {
		from = tr.hit
	}
	for _, e := range tr.log {
		if e.Record.At.After(tr.gone) {
			tr.figures.resumed = append(tr.figures.resumed, max(0, e.Record.At.Sub(from)))
			return
		}
	}
}

// audit reads the whole store once more, past the API: every record of every
// trial must stand there, and all of them together keep the laws.
func (g *ground) audit(o bus.Options, replicas int, trials []*trial) {
	g.t.Helper()
	b, err := bus.Open(g.t.Context(), o)
	if err != nil {
		g.t.Fatal(err)
	}
	defer b.Close()
	var s *store.Store
	// The cluster may still elect: a server would wait for it too.
	eventually(g.t, time.Minute, "the store opens", func() error {
		s, err = store.Open(g.t.Context(), store.Options{JS: b.JetStream(), Server: "audit", Replicas: replicas})
		if err != nil && !errors.Is(err, backout.ErrUnavailable) {
			g.t.Fatal(err)
		}
		return err
	})
	defer s.Close()
	logs := simtest.Logs{Changes: g.readLog(s.Changes), Rollbacks: g.readLog(s.Rollbacks)}
	for _, law := range simtest.Laws(logs) {
		g.t.Error(law)
	}
	for _, tr := range trials {
		for _, pair := range []struct{ said, stored []store.Entry }{{entries(tr.changes), logs.Changes}, {entries(tr.log), logs.Rollbacks}} {
			for _, e := range pair.said {
				if !slices.ContainsFunc(pair.stored, func(s store.Entry) bool { return s.Seq == e.Seq && cmp.Equal(s, e, sameInstant) }) {
					g.t.Errorf("record %d of %s is lost", e.Seq, e.ID)
				}
			}
		}
	}
	g.t.Logf("%d records of %d trials stand in the store", len(logs.Changes)+len(logs.Rollbacks), len(trials))
}

func (g *ground) readLog(log *store.Log) []store.Entry {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.t.Context())
	defer cancel()
	var out []store.Entry
	err := log.Follow(ctx, 0, func(e store.Entry) error { out = append(out, e); return nil }, cancel)
	if err != nil && !errors.Is(err, context.Canceled) {
		g.t.Fatal(err)
	}
	return out
}
