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
		c = shutAgain(c, at, e.Violations, e.Answer)
	case backout.GateRepeated:
		c.Answer, c.AnsweredAt = e.Answer, at
		if shut(c.State) {
			c.GateAt = at
		}
	case backout.GatePassed:
		c.State, c.GateAt, c.Violations = backout.ChangeReady, at, nil
		c.Answer, c.AnsweredAt = e.Answer, at
		c.Certified, c.ValidUntil = e.PlanHash, e.ValidUntil
	case backout.BaselineBegan:
		c.Capture = &backout.Capture{Number: e.Number, Server: e.Server, BeganAt: at, Opening: e.Opening}
		c.Captures = max(c.Captures, e.Number)
	case backout.BaselineCaptured:
		c = applyCaptured(c, at, e)
	case backout.BaselineFailed:
		c = applyFailed(c, at, e)
	case backout.DeltaCaptured:
		c.Deltas = merged(c.Deltas, e.Deltas)
	case backout.ReadinessChanged:
		c.Answer, c.AnsweredAt = e.Answer, at
		c.NotReady = nil // not an empty list: the log makes no difference
		if len(e.Violations) > 0 {
			c.NotReady = slices.Clone(e.Violations)
		}
	case backout.WindowOpened:
		frozen := cloneFrozen(e.Frozen)
		c.State, c.OpenedAt, c.Frozen, c.Capture = backout.ChangeOpen, at, &frozen, nil
		if len(e.Baselines) > 0 {
			c.Baselines = maps.Clone(e.Baselines)
		}
	case backout.WindowExtended:
		c.Window.Closes = e.Closes
	case backout.PatchEnded:
		c.Deltas = stillCounting(c, func(target string) bool { return c.PatchedOn(target).IsZero() })
		c.PatchedAt = at
	case backout.TargetsPatched:
		c = applyTargetsPatched(c, at, e)
	case backout.WatchStarted:
		c.WatchUntil = e.Until
		if c.State == backout.ChangeOpen {
			c.State = backout.ChangeWatching
		}
	case backout.RollbackRequested:
		c = applyRequested(c, at, e.Opened)
	case backout.VerdictGiven:
		c.Rules = spoken(c.Rules, e.Verdict, at)
	case backout.RuleJudged:
		c.Rules = judged(c.Rules, e, at)
	case backout.RollbackEnded:
		c = applyRollbackEnded(c, e)
	case backout.ChangeEnded:
		c.State, c.EndedAt, c.Capture, c.NotReady = e.State, at, nil, nil
	}
	return c
}

// shutAgain is the change after a no: whatever yes there was is gone.
func shutAgain(c backout.Change, at time.Time, violations []backout.Violation, answer string) backout.Change {
	c.State, c.GateAt, c.Violations = backout.ChangePlanned, at, slices.Clone(violations)
	c.Answer, c.AnsweredAt = answer, at
	c.Certified, c.ValidUntil = "", time.Time{}
	return c
}

// applyCaptured takes the new baselines. A yes of the gate was about others: it is
// stale from now on.
func applyCaptured(c backout.Change, at time.Time, e backout.BaselineCaptured) backout.Change {
	c.Baselines = maps.Clone(e.Baselines)
	if c.Capture != nil && c.Capture.Number == e.Number {
		c.Capture = nil
	}
	if c.State == backout.ChangeReady {
		c.ValidUntil = at
	}
	return c
}

// applyFailed ends a capture; where the window was to open with it, that is a no.
func applyFailed(c backout.Change, at time.Time, e backout.BaselineFailed) backout.Change {
	if c.Capture == nil || c.Capture.Number != e.Number {
		return c
	}
	if c.Capture.Opening && shut(c.State) {
		c = shutAgain(c, at, e.Violations, e.Answer)
	}
	c.Capture = nil
	return c
}

// applyTargetsPatched notes when these targets were done. The first word on a target
// counts.
func applyTargetsPatched(c backout.Change, at time.Time, e backout.TargetsPatched) backout.Change {
	c.Deltas = stillCounting(c, func(target string) bool {
		return slices.Contains(e.Targets, target) && c.PatchedOn(target).IsZero()
	})
	c.PatchedTargets = maps.Clone(c.PatchedTargets)
	if c.PatchedTargets == nil {
		c.PatchedTargets = map[string]time.Time{}
	}
	for _, target := range e.Targets {
		if c.PatchedOn(target).IsZero() {
			c.PatchedTargets[target] = at
		}
	}
	return c
}

// stillCounting are the deltas that count once patching of some targets, those that
// are new, is over: what was seen before may be half of it. Only where a rollback has
// begun, or may have, there is nothing better.
func stillCounting(c backout.Change, fresh func(target string) bool) map[string]string {
	var out map[string]string
	for target, digest := range c.Deltas {
		if fresh(target) && c.ActiveRollback(target) == "" && c.TakenBack(target) == "" {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[target] = digest
	}
	return out
}

// merged adds what is new: what is known stays as it is.
func merged(known, fresh map[string]string) map[string]string {
	out := make(map[string]string, len(known)+len(fresh))
	maps.Copy(out, fresh)
	maps.Copy(out, known)
	return out
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
		l.Steps = cloneSteps(l.Steps)
	}
	p.Baseline.Files = slices.Clone(p.Baseline.Files)
	p.Baseline.Without = slices.Clone(p.Baseline.Without)
	p.Baseline.Ignore = slices.Clone(p.Baseline.Ignore)
	p.Baseline.Steps = cloneSteps(p.Baseline.Steps)
	p.Cleanup = cloneSteps(p.Cleanup)
	return f
}

func cloneSteps(steps []backout.Step) []backout.Step {
	out := slices.Clone(steps)
	for i := range out {
		out[i].With = slices.Clone(out[i].With)
	}
	return out
}
