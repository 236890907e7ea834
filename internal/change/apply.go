package change

import (
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Entry is one record of a change's log with its sequence.
type Entry struct {
	Seq    uint64
	Record backout.Record
}

// Fold folds the entries onto c, oldest first. The zero change is the beginning.
func Fold(c backout.Change, entries ...Entry) backout.Change {
	for _, entry := range entries {
		for _, e := range entry.Record.Events {
			c = Apply(c, entry.Seq, entry.Record.At, e)
		}
	}
	return c
}

// Apply folds one event that happened at the time at, in the record seq, and
// returns the change after it. An event that is not about a change moves
// nothing but the revision.
func Apply(c backout.Change, seq uint64, at time.Time, e backout.Event) backout.Change {
	c.Revision = seq
	switch e := e.(type) {
	case backout.Planned:
		c.ChangeSpec = cloneSpec(e.Spec)
		c.State, c.Requester, c.PlannedAt = backout.ChangePlanned, e.By, at
	case backout.GateRefused:
		c.State, c.GateAt = backout.ChangePlanned, at
		c.Violations = slices.Clone(e.Violations)
	case backout.GatePassed:
		c.State, c.GateAt, c.Violations = backout.ChangeReady, at, nil
	case backout.WindowOpened:
		frozen := cloneFrozen(e.Frozen)
		c.State, c.OpenedAt, c.Frozen = backout.ChangeOpen, at, &frozen
	case backout.WindowExtended:
		c.Window.Closes = e.Closes
	case backout.PatchEnded:
		c.PatchedAt = at
	case backout.WatchStarted:
		c.WatchUntil = e.Until
		if c.State == backout.ChangeOpen {
			c.State = backout.ChangeWatching
		}
	case backout.RollbackRequested:
		c.State = backout.ChangeBackingOut
		c.Rollbacks = append(slices.Clone(c.Rollbacks), backout.RollbackRef{
			ID: e.Opened.RollbackID, Targets: slices.Clone(e.Opened.Targets), Status: backout.RollbackPending, RequestedAt: at,
		})
	case backout.RollbackEnded:
		c = applyRollbackEnded(c, e)
	case backout.ChangeEnded:
		c.State, c.EndedAt = e.State, at
	}
	return c
}

// applyRollbackEnded notes the end, and with the last active rollback the change
// goes back to where it was: backing_out means no more than "one is active".
func applyRollbackEnded(c backout.Change, e backout.RollbackEnded) backout.Change {
	c.Rollbacks = slices.Clone(c.Rollbacks)
	for i := range c.Rollbacks {
		if c.Rollbacks[i].ID == e.RollbackID {
			c.Rollbacks[i].Status = e.Status
		}
	}
	if c.State != backout.ChangeBackingOut || active(c) {
		return c
	}
	c.State = backout.ChangeOpen
	if !c.WatchUntil.IsZero() {
		c.State = backout.ChangeWatching
	}
	return c
}

func active(c backout.Change) bool {
	return slices.ContainsFunc(c.Rollbacks, func(r backout.RollbackRef) bool { return !r.Status.Final() })
}

func cloneSpec(s backout.ChangeSpec) backout.ChangeSpec {
	s.Patch.IDs = slices.Clone(s.Patch.IDs)
	s.Patch.CVEs = slices.Clone(s.Patch.CVEs)
	s.Targets = slices.Clone(s.Targets)
	s.Stakeholders = slices.Clone(s.Stakeholders)
	s.Labels = maps.Clone(s.Labels)
	return s
}

func cloneFrozen(f backout.FrozenPlan) backout.FrozenPlan {
	p := &f.Plan
	p.Audience = slices.Clone(p.Audience)
	p.Verify.Checks = slices.Clone(p.Verify.Checks)
	for i := range p.Verify.Checks {
		p.Verify.Checks[i].With = slices.Clone(p.Verify.Checks[i].With)
	}
	p.Levels = slices.Clone(p.Levels)
	for i := range p.Levels {
		l := &p.Levels[i]
		l.Audience = slices.Clone(l.Audience)
		l.Approval.Groups = slices.Clone(l.Approval.Groups)
		l.Steps = slices.Clone(l.Steps)
		for j := range l.Steps {
			l.Steps[j].With = slices.Clone(l.Steps[j].With)
		}
	}
	return f
}
