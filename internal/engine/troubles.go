package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
)

// failingFor is how long a rule counts as failing after it has failed.
const failingFor = time.Hour

// RuleFailing is a rule that failed while it judged alerts, within the last hour.
type RuleFailing struct {
	Rule string
	// Error is the last one, at Last; Times counts those since the first that no hour
	// without one has followed.
	Error string
	Times int
	Last  time.Time
}

// StepWaiting is a step that nobody has begun, and why.
type StepWaiting struct {
	RollbackID, Target, Why string
}

// Troubles are what this server knows by itself of what does not go on.
type Troubles struct {
	// Refused says since when the store takes no writes; empty when it does.
	Refused string
	Rules   []RuleFailing
	Steps   []StepWaiting
}

// failures are the rules that have failed lately.
type failures struct {
	mu     sync.Mutex
	byRule map[string]RuleFailing
}

// note takes in that a rule has failed.
func (f *failures) note(rule string, err error, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byRule == nil {
		f.byRule = map[string]RuleFailing{}
	}
	known := f.byRule[rule]
	if now.Sub(known.Last) > failingFor {
		known = RuleFailing{Rule: rule}
	}
	known.Error, known.Last = clip(err.Error(), reasonMax), now
	known.Times++
	f.byRule[rule] = known
}

// lately lists them by name, and forgets the rest.
func (f *failures) lately(now time.Time) []RuleFailing {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []RuleFailing
	for rule, known := range f.byRule {
		if now.Sub(known.Last) > failingFor {
			delete(f.byRule, rule)
			continue
		}
		out = append(out, known)
	}
	slices.SortFunc(out, func(a, b RuleFailing) int { return cmp.Compare(a.Rule, b.Rule) })
	return out
}

// Troubles tells them; it asks nobody.
func (e *Engine) Troubles(context.Context) Troubles {
	out := Troubles{Rules: slices.DeleteFunc(e.failing.lately(time.Now()), func(f RuleFailing) bool {
		_, is := e.cfg().Rules.Rule(f.Rule)
		return !is
	})}
	if why := e.rollbacks.refused.Load(); why != nil {
		out.Refused = *why
	}
	e.rollbacks.awake(func(id string, r backout.Rollback) {
		if r.Status.Final() {
			return
		}
		for _, t := range r.Targets {
			if t.Attempt == nil || t.Phase != backout.TargetRunning || t.Attempt.Runner != "" {
				continue
			}
			if why, ok := e.waiting.Load(t.Attempt.ID); ok {
				text, _ := why.(string)
				out.Steps = append(out.Steps, StepWaiting{RollbackID: id, Target: t.Name, Why: text})
			}
		}
	})
	slices.SortFunc(out.Steps, func(a, b StepWaiting) int {
		return cmp.Or(cmp.Compare(a.RollbackID, b.RollbackID), cmp.Compare(a.Target, b.Target))
	})
	return out
}
