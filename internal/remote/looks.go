package remote

import (
	"context"
	"errors"
	"fmt"
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
	return reply{Violations: found}, nil
}

func (a *Agent) check(c *check) (reply, error) {
	if err := c.bound(a.o.Site); err != nil {
		return reply{}, err
	}
	ctx, r, done, err := a.slot(c.Mark)
	if err != nil {
		return reply{}, err
	}
	defer done()
	seen := r.Check(ctx, runner.Look{
		Target: c.Target, ChangeID: c.Gate.ChangeID, Frozen: c.Frozen, Gate: backout.GatePassed{PlanHash: c.Gate.PlanHash, Targets: c.Gate.Targets},
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
