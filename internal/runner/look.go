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

// Preflighted is what an executor says of its step before it is run.
type Preflighted struct {
	Violations []backout.Violation
	// Loses says what the step would lose on the target now; empty for nothing.
	Loses string
}

// Preflight asks the step's executor whether it would succeed on the task's target
// now, and what it would lose, and changes nothing; plan is the one that the gate
// judges, which a runner near the target wants to see. An error means that the
// target could not be looked at. An executor that cannot say is a no.
func (r *Runner) Preflight(ctx context.Context, _ backout.FrozenPlan, t backout.Task) (Preflighted, error) {
	host, err := r.hostOf(t)
	if err != nil {
		return Preflighted{}, backout.Permanent(err)
	}
	if _, err := host.BootID(ctx); err != nil {
		return Preflighted{}, err
	}
	executor, err := r.build(ctx, t)
	if err != nil {
		return refuse(t, "executor", err.Error(), "correct the step in the plan"), nil
	}
	p, ok := executor.(backout.Preflighter)
	if !ok {
		return refuse(t, "executor", "executor "+t.Step.Uses+" has no preflight: nobody can say whether the step would succeed",
			"use an executor that has one, such as command with requires"), nil
	}
	answer := Preflighted{Violations: p.Preflight(ctx, t, host)}
	if l, ok := executor.(backout.Loser); ok && len(answer.Violations) == 0 {
		if answer.Loses, err = l.Loses(ctx, t, host); err != nil {
			answer.Violations = []backout.Violation{{
				Check: "loses", Reason: "what the step would lose cannot be found out: " + err.Error(), Fix: "look at the target, then check the gate again",
			}}
		}
	}
	for i := range answer.Violations {
		answer.Violations[i].Target, answer.Violations[i].Level = t.Target.Name, t.Level
	}
	return answer, nil
}

// refuse is the one reason for a no.
func refuse(t backout.Task, check, reason, fix string) Preflighted {
	return Preflighted{Violations: []backout.Violation{{Check: check, Target: t.Target.Name, Level: t.Level, Reason: reason, Fix: fix}}}
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
	places := []backout.Host{host}
	// Nobody remembers whose host a step had: where there is no record, there is
	// nothing to forget. Where this machine is no host, no step had it.
	if here, err := r.o.Hosts.For(thisMachine); err == nil {
		places = append(places, here)
	}
	var failed []error
	for _, id := range attemptIDs {
		for _, h := range places {
			if err := h.Forget(ctx, id); err != nil {
				failed = append(failed, fmt.Errorf("forget attempt %s: %w", id, err))
			}
		}
	}
	return errors.Join(failed...)
}
