package simtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// Logs are everything a story left behind, each in the order of its stream.
type Logs struct {
	Changes   []store.Entry
	Rollbacks []store.Entry
}

// Records counts the records of a rollback.
func (l Logs) Records(rollbackID string) int {
	n := 0
	for _, e := range l.Rollbacks {
		if e.ID == rollbackID {
			n++
		}
	}
	return n
}

// Logs reads both logs.
func (w *World) Logs() Logs {
	w.t.Helper()
	return Logs{Changes: w.read(w.Server().store.Changes), Rollbacks: w.read(w.Server().store.Rollbacks)}
}

func (w *World) read(log *store.Log) []store.Entry {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var out []store.Entry
	err := log.Follow(ctx, 0, func(e store.Entry) error { out = append(out, e); return nil }, cancel)
	if err != nil && !errors.Is(err, context.Canceled) {
		w.t.Fatalf("read log: %v", err)
	}
	return out
}

// CheckLaws holds the story against the laws of internal/rollback's DESIGN.md: what
// the logs say, what the hosts saw, what the server thinks and what people were
// told must agree.
func (w *World) CheckLaws() {
	w.t.Helper()
	logs := w.Logs()
	for _, broken := range Laws(logs) {
		w.t.Error(broken)
	}
	w.checkReplay(logs)
	w.checkEffects(logs)
	w.checkTold(logs)
}

// Laws returns what of the laws the logs break; nothing when all hold.
func Laws(l Logs) []string {
	c := &lawCheck{
		rollbacks: map[string]backout.Rollback{}, changes: map[string]backout.Change{}, started: map[string]bool{}, ended: map[string]bool{},
		entered: map[string][]int{}, votes: map[string]int{}, holder: map[string]string{},
	}
	for _, e := range l.Changes {
		c.change(e)
	}
	for _, e := range l.Rollbacks {
		c.rollback(e)
	}
	c.agree()
	return c.broken
}

type lawCheck struct {
	rollbacks map[string]backout.Rollback
	changes   map[string]backout.Change
	started   map[string]bool
	ended     map[string]bool
	entered   map[string][]int
	votes     map[string]int    // approvals so far, by question
	holder    map[string]string // active rollback by target
	broken    []string
}

func (c *lawCheck) fail(format string, args ...any) {
	c.broken = append(c.broken, fmt.Sprintf(format, args...))
}

// change checks law 4: of all changes, one active rollback a target.
func (c *lawCheck) change(entry store.Entry) {
	state := c.changes[entry.ID]
	for _, ev := range entry.Record.Events {
		if state.State.Final() {
			c.fail("law 5: %s of %s after its end", ev.Kind(), entry.ID)
		}
		switch ev := ev.(type) {
		case backout.RollbackRequested:
			for _, target := range ev.Opened.Targets {
				if by := c.holder[target]; by != "" {
					c.fail("law 4: %s takes %s, which is in %s", ev.Opened.RollbackID, target, by)
				}
				c.holder[target] = ev.Opened.RollbackID
			}
		case backout.RollbackEnded:
			for target, by := range c.holder {
				if by == ev.RollbackID {
					delete(c.holder, target)
				}
			}
		}
		state = change.Apply(state, entry.Seq, entry.Record.At, ev)
	}
	c.changes[entry.ID] = state
}

func (c *lawCheck) rollback(entry store.Entry) {
	r := c.rollbacks[entry.ID]
	for _, ev := range entry.Record.Events {
		if r.ID != "" && r.Status.Final() {
			c.fail("law 5: %s of %s after its end", ev.Kind(), r.ID)
		}
		c.event(r, ev)
		r = rollback.Apply(r, entry.Record.At, ev)
	}
	r.Revision = entry.Seq
	c.rollbacks[entry.ID] = r
}

func (c *lawCheck) event(r backout.Rollback, ev backout.Event) {
	switch ev := ev.(type) {
	case backout.StepStarted:
		if c.started[ev.AttemptID] {
			c.fail("law 2: attempt %s is claimed twice", ev.AttemptID)
		}
		c.started[ev.AttemptID] = true
		if r.Status != backout.RollbackRunning || !r.PausedAt.IsZero() {
			c.fail("law 10: %s is claimed while %s is %s, paused: %v", ev.AttemptID, r.ID, r.Status, !r.PausedAt.IsZero())
		}
	case backout.StepDone:
		c.outcome(r, ev.Target, ev.AttemptID)
	case backout.StepFailed:
		c.outcome(r, ev.Target, ev.AttemptID)
	case backout.Voted:
		if ev.Vote.Choice == backout.ChoiceApprove {
			c.votes[ev.AskID]++
			if slices.Contains(r.Excluded, ev.Vote.User) {
				c.fail("law 1: %s of %s may not approve", ev.Vote.User, ev.AskID)
			}
		}
	case backout.LevelEntered:
		c.level(r, ev)
	}
}

func (c *lawCheck) outcome(r backout.Rollback, target, attempt string) {
	t := r.Target(target)
	if c.ended[attempt] || t == nil || t.Attempt == nil || t.Attempt.ID != attempt {
		c.fail("fence: a late or second outcome of %s moves %s", attempt, r.ID)
	}
	c.ended[attempt] = true
}

// level checks law 3 and law 1 as a level begins.
func (c *lawCheck) level(r backout.Rollback, ev backout.LevelEntered) {
	before := c.entered[r.ID]
	if len(before) > 0 && ev.Level <= before[len(before)-1] {
		c.fail("law 3: %s enters level %d after %v", r.ID, ev.Level+1, before)
	}
	c.entered[r.ID] = append(before, ev.Level)
	for _, t := range r.Targets {
		if t.Phase == backout.TargetRunning || t.Phase == backout.TargetInDoubt {
			c.fail("%s enters level %d while %s is %s", r.ID, ev.Level+1, t.Name, t.Phase)
		}
	}
	policy := r.Frozen.Plan.Levels[ev.Level].Approval
	forced := r.Frozen.Plan.DataMigration == backout.DataMigrationForwardOnly || r.Level < 0 && r.AskFirst != ""
	if policy.Mode != backout.ApprovalRequired && !forced {
		return
	}
	if votes := c.votes[fmt.Sprintf("%s.q%d", r.ID, r.Asks)]; votes < max(1, policy.Votes) && policy.OnExpiry != backout.ExpiryGo {
		c.fail("law 1: %s enters level %d with %d votes", r.ID, ev.Level+1, votes)
	}
}

// agree checks law 6, and that each change and its rollbacks say the same.
func (c *lawCheck) agree() {
	for id, r := range c.rollbacks {
		_, armed := rollback.NextDeadline(r)
		running := slices.ContainsFunc(r.Targets, func(t backout.TargetState) bool { return t.Phase == backout.TargetRunning })
		if !r.Status.Final() && !armed && !running && r.Status != backout.RollbackHeld && r.PausedAt.IsZero() {
			c.fail("law 6: %s is %s and nothing will move it", id, r.Status)
		}
		ch := c.changes[r.ChangeID]
		i := slices.IndexFunc(ch.Rollbacks, func(ref backout.RollbackRef) bool { return ref.ID == id })
		switch {
		case i < 0:
			c.fail("change %s does not know its rollback %s", r.ChangeID, id)
		case ch.Rollbacks[i].Status.Final() != r.Status.Final():
			c.fail("%s is %s, its change says %s", id, r.Status, ch.Rollbacks[i].Status)
		}
	}
	for _, ch := range c.changes {
		for _, ref := range ch.Rollbacks {
			if _, ok := c.rollbacks[ref.ID]; !ok {
				c.fail("%s was requested and never opened", ref.ID)
			}
		}
	}
}

// checkReplay is law 8, for every server.
func (w *World) checkReplay(l Logs) {
	w.t.Helper()
	rollbacks, changes := map[string]backout.Rollback{}, map[string]backout.Change{}
	for _, e := range l.Rollbacks {
		rollbacks[e.ID] = rollback.Fold(rollbacks[e.ID], e.Seq, e.Record)
	}
	for _, e := range l.Changes {
		changes[e.ID] = change.Fold(changes[e.ID], change.Entry{Seq: e.Seq, Record: e.Record})
	}
	for _, s := range w.servers {
		if s.closed {
			continue
		}
		for id, want := range rollbacks {
			got, err := s.engine.Rollback(w.t.Context(), id)
			if diff := cmp.Diff(want, got, sameInstant); err != nil || diff != "" {
				w.t.Errorf("law 8: %s on %s differs from its replay (%v):\n%s", id, s.name, err, diff)
			}
		}
		for id, want := range changes {
			got, err := s.engine.Change(w.t.Context(), id)
			if diff := cmp.Diff(want, got, sameInstant); err != nil || diff != "" {
				w.t.Errorf("law 8: %s on %s differs from its replay (%v):\n%s", id, s.name, err, diff)
			}
		}
	}
}

var sameInstant = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })

// checkEffects: nothing happened on a host that no runner had claimed, and no step
// happened twice, unless a person said that it had not.
func (w *World) checkEffects(l Logs) {
	w.t.Helper()
	claimed, did, again := map[string]bool{}, map[string]int{}, map[string]int{}
	for _, e := range l.Rollbacks {
		for _, ev := range e.Record.Events {
			switch ev := ev.(type) {
			case backout.StepStarted:
				claimed[ev.AttemptID] = true
			case backout.DoubtResolved:
				if ev.Verdict == rollback.DoubtDidNot {
					again[step(ev.AttemptID)]++
				}
			}
		}
	}
	for _, e := range w.Effects() {
		did[step(e.Attempt)]++
		if !claimed[e.Attempt] {
			w.t.Errorf("law 2: %s happened on %s and nobody had claimed it", e.Attempt, e.Target)
		}
	}
	for s, n := range did {
		if n > 1+again[s] {
			w.t.Errorf("law 2: step %s happened %d times", s, n)
		}
	}
}

// step is an attempt's id without its number.
func step(attempt string) string {
	for i := len(attempt) - 1; i >= 0; i-- {
		if attempt[i] == '.' {
			return attempt[:i]
		}
	}
	return attempt
}

// checkTold is law 7: every level's start has reached every audience of it, once.
func (w *World) checkTold(l Logs) {
	w.t.Helper()
	state := map[string]backout.Rollback{}
	for _, e := range l.Rollbacks {
		r := state[e.ID]
		for i, ev := range e.Record.Events {
			r = rollback.Apply(r, e.Record.At, ev)
			if entered, ok := ev.(backout.LevelEntered); ok {
				for _, audience := range r.Frozen.Plan.Levels[entered.Level].Audience {
					w.mustRead(audience, fmt.Sprintf("%s.%d.%d", e.ID, e.Seq, i))
				}
			}
		}
		state[e.ID] = r
	}
	for name, inbox := range w.inboxes {
		seen := map[string]bool{}
		for _, n := range inbox.Notices() {
			if seen[n.ID] {
				w.t.Errorf("%s has read notice %s twice", name, n.ID)
			}
			seen[n.ID] = true
		}
	}
}

func (w *World) mustRead(audience, id string) {
	w.t.Helper()
	if inbox := w.inboxes[audience]; inbox == nil || !slices.ContainsFunc(inbox.Notices(), func(n backout.Notice) bool { return n.ID == id }) {
		w.t.Errorf("law 7: %s was not told: notice %s", audience, id)
	}
}
