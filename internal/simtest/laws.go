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
	c := lawsOf(logs)
	c.effects(w.Effects())
	for _, broken := range c.broken {
		w.t.Error(broken)
	}
	for _, broken := range slices.Concat(w.replays(c), w.untold(c), w.lost()) {
		w.t.Error(broken)
	}
}

// Laws returns what of the laws the logs break; nothing when all hold.
func Laws(l Logs) []string { return lawsOf(l).broken }

func lawsOf(l Logs) *lawCheck {
	c := newLawCheck()
	for _, e := range l.Changes {
		c.change(e)
	}
	for _, e := range l.Rollbacks {
		c.rollback(e)
	}
	c.agree()
	return c
}

// lawCheck holds records against the laws, one after the other as they come.
type lawCheck struct {
	rollbacks map[string]backout.Rollback
	changes   map[string]backout.Change
	requested map[string]backout.Opened // rollbacks, as their changes asked for them
	started   map[string]time.Time      // attempts, by when they were claimed
	ended     map[string]bool
	doubted   map[string]bool
	again     map[string]int // steps that a person let run again
	entered   map[string][]int
	votes     map[string]int             // approvals so far, by question
	void      map[string]bool            // questions, and "ROLLBACK entered LEVEL", that count no more
	glass     map[string]bool            // questions that one person broke
	unasked   map[string]bool            // rollbacks of which an approver said yes in place of a group
	holder    map[string]string          // active rollback by target
	events    map[string][]backout.Event // of each rollback
	owed      []owed
	seen      map[string]bool // what is in broken
	broken    []string
}

// owed is a notice that must have been read in the end.
type owed struct{ audience, id, about string }

func newLawCheck() *lawCheck {
	return &lawCheck{
		rollbacks: map[string]backout.Rollback{}, changes: map[string]backout.Change{}, requested: map[string]backout.Opened{},
		started: map[string]time.Time{}, ended: map[string]bool{}, doubted: map[string]bool{}, again: map[string]int{}, entered: map[string][]int{},
		votes: map[string]int{}, void: map[string]bool{}, glass: map[string]bool{}, unasked: map[string]bool{}, holder: map[string]string{}, events: map[string][]backout.Event{}, seen: map[string]bool{},
	}
}

// fail notes what is broken, once.
func (c *lawCheck) fail(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if !c.seen[what] {
		c.seen[what] = true
		c.broken = append(c.broken, what)
	}
}

// change checks laws 1 and 4: a rollback comes to be under an open or watched
// change, with the plan that its gate passed; of all changes, one active rollback
// a target.
func (c *lawCheck) change(entry store.Entry) {
	state := c.changes[entry.ID]
	for i, ev := range entry.Record.Events {
		for _, n := range change.Tells(state, entry.Record.At, ev) {
			c.owed = append(c.owed, owed{n.Audience, fmt.Sprintf("%s.%d.%d", entry.ID, entry.Seq, i), string(n.Moment)})
		}
		if _, judges := ev.(backout.RuleJudged); state.State.Final() && !judges {
			c.fail("law 5: %s of %s after its end", ev.Kind(), entry.ID)
		}
		switch ev := ev.(type) {
		case backout.RollbackRequested:
			c.requested[ev.Opened.RollbackID] = ev.Opened
			if !state.State.Live() || state.Frozen == nil || state.Frozen.Hash != ev.Opened.Frozen.Hash {
				c.fail("law 1: %s is asked for while %s is %s", ev.Opened.RollbackID, entry.ID, state.State)
			}
			for _, target := range ev.Opened.Targets {
				if by := c.holder[target]; by != "" {
					c.fail("law 4: %s takes %s, which is in %s", ev.Opened.RollbackID, target, by)
				}
				c.holder[target] = ev.Opened.RollbackID
			}
			c.limits(entry.Record.At, ev.Opened)
		case backout.RollbackEnded:
			for target, by := range c.holder {
				if by == ev.RollbackID {
					delete(c.holder, target)
				}
			}
		}
		before := state.State
		state = change.Apply(state, entry.Seq, entry.Record.At, ev)
		if state.State.Live() && !before.Live() {
			c.alone(state)
		}
	}
	c.changes[entry.ID] = state
}

// alone checks that no other window is open on the targets of one that opens.
func (c *lawCheck) alone(opened backout.Change) {
	for id, other := range c.changes {
		if id == opened.ID || !other.State.Live() {
			continue
		}
		for _, target := range opened.Targets {
			if slices.Contains(other.Targets, target) {
				c.fail("overlap: the window of %s opens on %s, where that of %s is open", opened.ID, target, id)
			}
		}
	}
}

// limits checks that what goes beyond the plan's limits asks first.
func (c *lawCheck) limits(at time.Time, opened backout.Opened) {
	limits := opened.Frozen.Plan.Limits
	if limits == (backout.Limits{}) || opened.AskFirst != "" {
		return
	}
	active, hour, share := 0, len(opened.Targets), len(opened.Targets)
	for id, other := range c.changes {
		for _, ref := range other.Rollbacks {
			if !ref.Status.Final() {
				active++
			}
			if ref.RequestedAt.After(at.Add(-time.Hour)) {
				hour += len(ref.Targets)
			}
			if id == opened.ChangeID && ref.Status != backout.RollbackCancelled {
				share += len(ref.Targets)
			}
		}
	}
	targets := len(c.changes[opened.ChangeID].Targets)
	if limits.ActiveRollbacks > 0 && active >= limits.ActiveRollbacks || limits.TargetsPerHour > 0 && hour > limits.TargetsPerHour ||
		limits.ShareOfChange > 0 && share*100 > limits.ShareOfChange*targets {
		c.fail("limit: %s begins with %d active, %d targets in an hour, %d of %d targets, and asks nobody: %+v",
			opened.RollbackID, active, hour, share, targets, limits)
	}
}

func (c *lawCheck) rollback(entry store.Entry) {
	r := c.rollbacks[entry.ID]
	for _, command := range rollback.Commands(r, entry.Seq, entry.Record) {
		if tell, ok := command.(backout.Tell); ok {
			c.owed = append(c.owed, owed{tell.Notice.Audience, tell.Notice.ID, string(tell.Notice.Moment)})
		}
	}
	for _, ev := range entry.Record.Events {
		if r.ID != "" && r.Status.Final() {
			c.fail("law 5: %s of %s after its end", ev.Kind(), r.ID)
		}
		c.event(r, entry.Record.At, ev)
		r = rollback.Apply(r, entry.Record.At, ev)
	}
	r = rollback.Fold(c.rollbacks[entry.ID], entry.Seq, entry.Record)
	c.events[entry.ID] = append(c.events[entry.ID], entry.Record.Events...)
	c.rollbacks[entry.ID] = r
}

func (c *lawCheck) event(r backout.Rollback, at time.Time, ev backout.Event) {
	switch ev := ev.(type) {
	case backout.Opened:
		if asked := c.requested[ev.RollbackID]; asked.Frozen.Hash != ev.Frozen.Hash || !slices.Equal(asked.Targets, ev.Targets) {
			c.fail("law 1: %s is opened for %v, its change asked for %v", ev.RollbackID, ev.Targets, asked.Targets)
		}
	case backout.StepStarted:
		if !c.started[ev.AttemptID].IsZero() {
			c.fail("law 2: attempt %s is claimed twice", ev.AttemptID)
		}
		c.started[ev.AttemptID] = at
		if r.Status != backout.RollbackRunning || !r.PausedAt.IsZero() {
			c.fail("law 10: %s is claimed while %s is %s, paused: %v", ev.AttemptID, r.ID, r.Status, !r.PausedAt.IsZero())
		}
	case backout.StepTakenOver:
		if t := r.Target(ev.Target); t == nil || t.Attempt == nil || t.Attempt.ID != ev.AttemptID || t.Attempt.Runner != ev.From {
			c.fail("take-over: %s takes %s from %s, which does not have it", ev.Runner, ev.AttemptID, ev.From)
		}
	case backout.StepInDoubt:
		c.doubted[ev.AttemptID] = true
	case backout.TargetBack:
		if t := r.Target(ev.Target); t != nil && t.Baseline != "" &&
			(ev.Drift == nil || ev.Drift.Report == "" || ev.Drift.Verdict != backout.DriftNone && ev.Drift.Verdict != backout.DriftSome) {
			c.fail("compared: %s of %s is recovered without a drift verdict: %+v", ev.Target, r.ID, ev.Drift)
		}
	case backout.DoubtResolved:
		if ev.Verdict == rollback.DoubtDidNot {
			c.again[step(ev.AttemptID)]++
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
	case backout.ApprovalVoided:
		c.void[ev.AskID] = true
		if ev.Entered {
			c.void[fmt.Sprintf("%s entered %d", r.ID, ev.Level)] = true
		}
	case backout.Released:
		c.unasked[r.ID] = c.unasked[r.ID] || ev.Level != "" && r.HeldCause == backout.HoldNobody
	case backout.GlassBroken:
		c.glass[ev.AskID] = true
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
	if n := len(before); n > 0 && c.void[fmt.Sprintf("%s entered %d", r.ID, ev.Level)] && before[n-1] == ev.Level {
		before = before[:n-1] // it was taken back, and nothing of it had started
	}
	if len(before) > 0 && ev.Level <= before[len(before)-1] {
		c.fail("law 3: %s enters level %d after %v", r.ID, ev.Level+1, before)
	}
	c.entered[r.ID] = append(before, ev.Level)
	for _, t := range r.Targets {
		if t.Phase == backout.TargetRunning || t.Phase == backout.TargetInDoubt {
			c.fail("%s enters level %d while %s is %s", r.ID, ev.Level+1, t.Name, t.Phase)
		}
	}
	if c.void[ev.AskID] {
		c.fail("law 12: %s enters level %d by %s, which is void", r.ID, ev.Level+1, ev.AskID)
	}
	policy := r.Frozen.Plan.Levels[ev.Level].Approval
	forced := r.Frozen.Plan.DataMigration == backout.DataMigrationForwardOnly || r.Level < 0 && c.requested[r.ID].AskFirst != "" && !c.unasked[r.ID]
	if policy.Mode != backout.ApprovalRequired && !forced {
		return
	}
	if votes := c.votes[ev.AskID]; !c.glass[ev.AskID] && votes < max(1, policy.Votes) && policy.OnExpiry != backout.ExpiryGo {
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

// replays is law 8, for every server that runs: it thinks what the logs say.
func (w *World) replays(c *lawCheck) []error {
	var broken []error
	for _, s := range w.up() {
		for id, want := range c.rollbacks {
			got, err := s.engine.Rollback(w.t.Context(), id)
			if diff := cmp.Diff(want, got, sameInstant); err != nil || diff != "" {
				broken = append(broken, fmt.Errorf("law 8: %s on %s differs from its replay (%v):\n%s", id, s.name, err, diff))
			}
		}
		for id, want := range c.changes {
			got, err := s.engine.Change(w.t.Context(), id)
			if diff := cmp.Diff(want, got, sameInstant); err != nil || diff != "" {
				broken = append(broken, fmt.Errorf("law 8: %s on %s differs from its replay (%v):\n%s", id, s.name, err, diff))
			}
		}
	}
	return broken
}

var sameInstant = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })

// effects: nothing happened on a host that no runner had claimed, and no step
// happened twice, unless a person said that it had not.
func (c *lawCheck) effects(all []Effect) {
	did := map[string]int{}
	for _, e := range all {
		did[step(e.Attempt)]++
		if claimed := c.started[e.Attempt]; claimed.IsZero() || e.At.Before(claimed) {
			c.fail("law 2: %s happened on %s and nobody had claimed it", e.Attempt, e.Target)
		}
	}
	for s, n := range did {
		if n > 1+c.again[s] {
			c.fail("law 2: step %s happened %d times", s, n)
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

// untold is law 7, and more: every notice that follows from the logs has reached
// its audience, once, unless the channel has refused it for good. That is no excuse for a
// question whose clock stands still, once the channel works again: it is handed over anew.
func (w *World) untold(c *lawCheck) []error {
	var broken []error
	for _, o := range w.unread(c) {
		broken = append(broken, fmt.Errorf("law 7: %s was not told: %s, notice %s", o.audience, o.about, o.id))
	}
	for name, inbox := range w.inboxes {
		for _, id := range inbox.twice(w.breaks()) {
			broken = append(broken, fmt.Errorf("%s has read notice %s twice", name, id))
		}
	}
	return broken
}

// unread are the notices that nobody has read yet.
func (w *World) unread(c *lawCheck) []owed {
	read := map[owed]bool{}
	for name, inbox := range w.inboxes {
		for _, n := range inbox.Notices() {
			read[owed{audience: name, id: n.ID}] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(c.owed), func(o owed) bool {
		inbox := w.inboxes[o.audience]
		if read[owed{audience: o.audience, id: o.id}] {
			return true
		}
		return inbox != nil && inbox.hasRefused(o.id) && !(c.waitsFor(o.id) && inbox.mendedFor(handedOverWithin))
	})
}

// handedOverWithin is how long a question that was given up waits at most until it is
// handed over again.
const handedOverWithin = 11 * time.Minute

// waitsFor tells whether a question stands still until this notice has arrived.
func (c *lawCheck) waitsFor(noticeID string) bool {
	for _, r := range c.rollbacks {
		if rollback.Watched(r) && r.Ask.NoticeID == noticeID && !r.Ask.DownAt.IsZero() {
			return true
		}
	}
	return false
}

// lost: what a server said it has of alerts is in the store.
func (w *World) lost() []error {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	stored := map[string]bool{}
	take := func(_ store.Position, _ bool, p store.Post) error { stored[string(p.Body)] = true; return nil }
	s := w.Server()
	if up := w.up(); len(up) > 0 {
		s = up[0]
	}
	if err := s.store.Alerts.Follow(ctx, time.Time{}, take, cancel); err != nil && !errors.Is(err, context.Canceled) {
		return []error{fmt.Errorf("read alerts: %w", err)}
	}
	var broken []error
	for _, body := range w.posted {
		if !stored[string(body)] {
			broken = append(broken, fmt.Errorf("alerts that a server took are not in the store: %s", body))
		}
	}
	return broken
}
