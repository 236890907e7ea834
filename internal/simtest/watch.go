package simtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// watcher holds a world against the laws after every step. It reads of the logs
// what is new, by a way of its own that no fault befalls.
type watcher struct {
	w    *World
	laws *lawCheck
	// read is the last sequence read, by stream.
	read map[string]uint64
	// news are the rollbacks with new records since the last look.
	news map[string]bool
	// pauses are the times during which the pause switch was on: from when the
	// server said so to when somebody asked to resume.
	pauses []span
	// rough is when something last kept every server from its work.
	rough time.Time
	steps int
	// counts are how often what is rare happened.
	counts map[string]int
}

func newWatcher(w *World) *watcher {
	return &watcher{w: w, laws: newLawCheck(), read: map[string]uint64{}, news: map[string]bool{}, rough: time.Now(), counts: map[string]int{}}
}

// step looks at everything that is new and returns what is broken by now.
func (v *watcher) step() []string {
	v.steps++
	v.readOn("BACKOUT_CHANGES", "backout.changes.", v.laws.change)
	v.readOn("BACKOUT_ROLLBACKS", "backout.rollbacks.", func(e store.Entry) {
		v.laws.rollback(e)
		v.news[e.ID] = true
		for _, ev := range e.Record.Events {
			v.outside(e, ev)
		}
	})
	v.effects()
	v.replays()
	v.silence()
	return v.laws.broken
}

// readOn hands what is new in a log to the laws, and takes it down.
func (v *watcher) readOn(stream, prefix string, take func(store.Entry)) {
	if v.w.bus == nil {
		return // the store is down
	}
	ctx := v.w.t.Context()
	s, err := v.w.bus.JetStream().Stream(ctx, stream)
	if err != nil {
		v.w.story.note("log", "watcher: %v", err)
		return
	}
	for {
		m, err := s.GetMsg(ctx, v.read[stream]+1)
		if err != nil {
			if !errors.Is(err, jetstream.ErrMsgNotFound) {
				v.w.story.note("log", "watcher: %v", err)
			}
			return
		}
		v.read[stream] = m.Sequence
		entry := store.Entry{ID: strings.TrimPrefix(m.Subject, prefix), Seq: m.Sequence}
		if err := json.Unmarshal(m.Data, &entry.Record); err != nil {
			v.laws.fail("%s at %d: %v", stream, m.Sequence, err)
			continue
		}
		for _, ev := range entry.Record.Events {
			v.w.story.add(line{entry.Record.At, "event", fmt.Sprintf("%s %s (%s)", entry.ID, tell(ev), entry.Record.By)})
		}
		take(entry)
	}
}

// outside holds what a record says against what was true in the world then.
func (v *watcher) outside(entry store.Entry, ev backout.Event) {
	at := entry.Record.At
	switch ev := ev.(type) {
	case backout.StepTakenOver:
		// Records are dated when they are decided, which is soon after the look.
		from := at.Add(-10 * time.Second)
		switch byItself := entry.Record.By == ev.From; {
		case byItself && !v.w.hasMissed(ev.From, ev.Target, from, at):
			v.laws.fail("take-over: %s hands %s over to %s and reaches %s", ev.From, ev.AttemptID, ev.Runner, ev.Target)
		case !byItself && !v.w.wasMissing(ev.From, from, at):
			v.laws.fail("take-over: %s takes %s from %s, which is heard", ev.Runner, ev.AttemptID, ev.From)
		case byItself:
			v.counts["handed over"]++
		default:
			v.counts["taken over"]++
		}
	case backout.StepInDoubt:
		v.counts["in doubt"]++
	case backout.TargetBack:
		verify := v.laws.rollbacks[entry.ID].Frozen.Plan.Verify
		hold, unseen := time.Duration(verify.HoldFor), time.Duration(verify.Every)*5/4
		if !v.w.hosts[ev.Target].healthyIn(at.Add(-10*time.Second), at) {
			v.laws.fail("recovered: %s of %s is back at %s and was not healthy", ev.Target, entry.ID, at.Sub(v.w.story.begin))
		}
		if sick := v.w.hosts[ev.Target].sickIn(at.Add(-hold), at); sick > unseen {
			v.laws.fail("recovered: %s of %s is back at %s and was unhealthy for %s of the %s before", ev.Target, entry.ID, at.Sub(v.w.story.begin), sick, hold)
		}
	}
}

// effects checks what the targets saw.
func (v *watcher) effects() {
	effects := v.w.Effects()
	v.laws.effects(effects)
	for _, e := range effects {
		for _, p := range v.pauses {
			if e.Asked.After(p.from) && (p.open() || e.Asked.Before(p.to)) {
				v.laws.fail("law 10: %s began on %s at %s while everything is paused", e.Attempt, e.Target, e.Asked.Sub(v.w.story.begin))
			}
		}
	}
	for _, name := range v.w.setup.Inventory {
		broken, overlaps := v.w.hosts[name].promises()
		for _, what := range broken {
			v.laws.fail("%s: %s", name, what)
		}
		for _, o := range overlaps {
			// A person's word ends an attempt in doubt, whatever the target does.
			if !v.laws.doubted[o.ran] {
				v.laws.fail("%s begins on %s while %s runs there", o.began, name, o.ran)
			}
		}
	}
}

// replays is law 8: a server that is as far as the log thinks what the log says.
func (v *watcher) replays() {
	for id := range v.news {
		want := v.laws.rollbacks[id]
		for _, s := range v.w.up() {
			got, err := s.engine.Rollback(v.w.t.Context(), id)
			if err != nil || got.Revision != want.Revision {
				continue // it has not read it yet
			}
			if diff := cmp.Diff(want, got, sameInstant, cmpopts.IgnoreFields(backout.Rollback{}, "Reason")); diff != "" {
				v.laws.fail("law 8: %s on %s differs from its replay:\n%s", id, s.name, diff)
			}
		}
	}
	clear(v.news)
}

// patience is how long after its time a deadline may fire in a world of faults.
const patience = 5 * time.Minute

// silence is law 6: nothing waits for a time that has passed, or for nothing.
func (v *watcher) silence() {
	if len(v.w.up()) == 0 {
		v.rough = time.Now()
		return
	}
	for id, r := range v.laws.rollbacks {
		at, armed := rollback.NextDeadline(r)
		running := slices.ContainsFunc(r.Targets, func(t backout.TargetState) bool { return t.Phase == backout.TargetRunning })
		switch {
		case r.Status.Final() || r.Status == backout.RollbackHeld || !r.PausedAt.IsZero():
		case !armed && !running:
			v.laws.fail("law 6: %s is %s and nothing will move it", id, r.Status)
		case armed && time.Since(at) > patience && time.Since(v.rough) > patience:
			v.laws.fail("law 6: the deadline of %s passed at %s and nothing has followed", id, at.Sub(v.w.story.begin))
		}
	}
}
