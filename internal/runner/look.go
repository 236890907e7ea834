package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/checks"
)

// Look is what entitles a check to look at a target: the plan that it is from, and
// the gate's answer. A runner near the target wants to see both.
type Look struct {
	Target   backout.Target
	ChangeID string
	Frozen   backout.FrozenPlan
	Gate     backout.GatePassed
}

// Preflight asks the step's executor whether it would succeed on the task's target
// now, and changes nothing; plan is the one that the gate judges, which a runner
// near the target wants to see. An error means that the target could not be looked
// at.
func (r *Runner) Preflight(ctx context.Context, _ backout.FrozenPlan, t backout.Task) ([]backout.Violation, error) {
	host, err := r.o.Hosts.For(t.Target)
	if err != nil {
		return nil, backout.Permanent(err)
	}
	if _, err := host.BootID(ctx); err != nil {
		return nil, err
	}
	executor, err := r.build(ctx, t)
	if err != nil {
		return []backout.Violation{{
			Check: "executor", Target: t.Target.Name, Level: t.Level, Reason: err.Error(), Fix: "correct the step in the plan",
		}}, nil
	}
	p, ok := executor.(backout.Preflighter)
	if !ok {
		return nil, nil
	}
	found := p.Preflight(ctx, t, host)
	for i := range found {
		found[i].Target, found[i].Level = t.Target.Name, t.Level
	}
	return found, nil
}

// Check runs one check of a plan on a target. What cannot be found out is red.
func (r *Runner) Check(ctx context.Context, l Look, c backout.Check) checks.Result {
	host, err := r.o.Hosts.For(l.Target)
	if err != nil {
		return checks.Result{Detail: err.Error()}
	}
	kind, ok := r.o.Checks.Lookup(c.Uses)
	if !ok {
		return checks.Result{Detail: "check " + c.Uses + " is not known"}
	}
	checker, err := kind.Build(ctx, c.With, r.o.Resolve)
	if err != nil {
		return checks.Result{Detail: err.Error()}
	}
	return checker.Check(ctx, checks.Subject{Target: l.Target, Host: host, ChangeID: l.ChangeID})
}

// Forget removes what the target keeps of attempts that have ended.
func (r *Runner) Forget(ctx context.Context, target backout.Target, attemptIDs []string) error {
	host, err := r.o.Hosts.For(target)
	if err != nil {
		return err
	}
	var failed []error
	for _, id := range attemptIDs {
		if err := host.Forget(ctx, id); err != nil {
			failed = append(failed, fmt.Errorf("forget attempt %s: %w", id, err))
		}
	}
	return errors.Join(failed...)
}
