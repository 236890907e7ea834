package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/runner"
)

const (
	// looksMost is how many looks a runner takes at once, and lookPatience how long
	// one may take.
	looksMost    = 64
	lookPatience = 30 * time.Second
)

// slot waits for room for one more look.
func (a *Agent) slot(mark string) (_ context.Context, _ *runner.Runner, done func(), err error) {
	ctx, cancel := context.WithTimeout(a.ctx, lookPatience)
	select {
	case a.looks <- struct{}{}:
	case <-ctx.Done():
		cancel()
		return nil, nil, nil, fmt.Errorf("it takes %d looks at once, and none ended in time: %w", looksMost, backout.ErrUnavailable)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return ctx, a.runnerOf(mark), func() { cancel(); <-a.looks }, nil
}

// commandKind is the kind of check that runs whatever the plan says.
const commandKind = "command"

// mayCheck tells why checks of this kind are not run here.
func (a *Agent) mayCheck(uses string) error {
	switch {
	case a.o.Checks != nil && !slices.Contains(a.o.Checks, uses):
		return fmt.Errorf("check %q is not among those that this runner's config allows: %s", clip(uses, 40), listed(a.o.Checks))
	case a.o.Checks == nil && uses == commandKind && a.o.Executors != nil && !slices.Contains(a.o.Executors, uses):
		return fmt.Errorf("check %q runs any command, which executors in this runner's config leaves out: name it in checks to allow it", uses)
	}
	return nil
}

// refusedChecks are the plan's checks that this runner would refuse once all is
// done, which people want to know before. They are told with the plan's first step.
func (a *Agent) refusedChecks(p *preflight) (found []backout.Violation) {
	if level, step, err := place(p.Frozen.Plan, p.Task); err != nil || level != 0 || step != 0 {
		return nil
	}
	for _, c := range p.Frozen.Plan.Verify.Checks {
		if err := a.mayCheck(c.Uses); err != nil {
			found = append(found, backout.Violation{
				Check: "checks", Reason: err.Error(), Fix: "allow it under checks in runner.yaml of runner " + a.o.Name + ", or verify the plan otherwise",
			})
		}
	}
	return found
}

func (a *Agent) preflight(p *preflight) (reply, error) {
	if err := errors.Join(p.bound(a.o.Site), a.executor(p.Task.Step.Uses)); err != nil {
		return reply{}, err
	}
	ctx, r, done, err := a.slot(p.Mark)
	if err != nil {
		return reply{}, err
	}
	defer done()
	found, err := r.Preflight(ctx, p.Frozen, p.Task)
	if err != nil {
		return reply{Failed: true, Detail: err.Error()}, nil
	}
	return reply{Violations: append(a.refusedChecks(p), found.Violations...), Loses: found.Loses}, nil
}

func (a *Agent) check(c *check) (reply, error) {
	if err := errors.Join(c.bound(a.o.Site), a.mayCheck(c.Check.Uses)); err != nil {
		return reply{}, err
	}
	ctx, r, done, err := a.slot(c.Mark)
	if err != nil {
		return reply{}, err
	}
	defer done()
	seen := r.Check(ctx, runner.Look{
		Target: c.Target, ChangeID: c.Gate.ChangeID, Frozen: c.Frozen, Gate: c.Gate.passed(c.Target.Name),
	}, c.Check)
	return reply{Green: seen.Green, Detail: seen.Detail}, nil
}

func (a *Agent) forget(f *forget) (reply, error) {
	if err := f.bound(a.o.Site); err != nil {
		return reply{}, err
	}
	ctx, r, done, err := a.slot(f.Mark)
	if err != nil {
		return reply{}, err
	}
	defer done()
	if err := r.Forget(ctx, f.Target, f.Attempts); err != nil {
		return reply{Failed: true, Detail: err.Error()}, nil
	}
	return reply{}, nil
}
