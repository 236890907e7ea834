package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/runner"
)

// Site carries out steps on the targets of one place, and looks at them: the
// runner built in, or those near the targets. What each method promises stands in
// [runner.Runner].
type Site interface {
	Run(ctx context.Context, j runner.Job) runner.Result
	Resume(ctx context.Context, j runner.Job) runner.Result
	Stop(attemptID, reason string) error
	GiveUp(attemptID, reason string) error
	Preflight(ctx context.Context, plan backout.FrozenPlan, t backout.Task) (runner.Preflighted, error)
	Check(ctx context.Context, l runner.Look, c backout.Check) checks.Result
	Forget(ctx context.Context, target backout.Target, attemptIDs []string) error
	Capture(ctx context.Context, l runner.CaptureLook) (backout.Inventory, error)
	Tend(ctx context.Context, plan backout.FrozenPlan, errand runner.Errand, t backout.Task) (backout.Prepared, error)
}

var _ Site = (*runner.Runner)(nil)

// site finds who looks after a target: the runners of its site, or the one built
// in where the config names none.
func (c *Config) site(t backout.Target) Site {
	if s := c.Sites[t.Site]; s != nil {
		return s
	}
	return c.Runner
}

// carried is one attempt that this process follows; without a site, one that it
// only writes the end of.
type carried struct {
	site Site
	drop context.CancelFunc
}

// carry follows an attempt unless this process does so already. A stop reaches it
// after a reload too, since it is remembered who has it.
func (e *Engine) carry(ctx context.Context, task backout.Task, do func(context.Context, Site)) {
	ctx, drop := context.WithCancel(ctx)
	defer drop()
	c := &carried{site: e.cfg().site(task.Target), drop: drop}
	if _, taken := e.carried.LoadOrStore(task.AttemptID, c); taken {
		return
	}
	defer e.carried.Delete(task.AttemptID)
	do(ctx, c.site)
}

// carriedBy is who has the attempt in this process, and whether anybody has.
func (e *Engine) carriedBy(attemptID string) (*carried, bool) {
	c, ok := e.carried.Load(attemptID)
	if !ok {
		return nil, false
	}
	found, ok := c.(*carried)
	return found, ok
}

// dropTaken lets go of the attempts that another server has taken over. Their
// work goes on.
func (e *Engine) dropTaken(rec backout.Record) {
	for _, ev := range rec.Events {
		taken, ok := ev.(backout.StepTakenOver)
		if !ok || taken.Runner == e.server {
			continue
		}
		if c, ok := e.carriedBy(taken.AttemptID); ok && c.drop != nil {
			c.drop()
		}
	}
}

// job is the attempt as a runner gets it.
func (e *Engine) job(r backout.Rollback, task backout.Task) runner.Job {
	return runner.Job{
		Task: task, Frozen: r.Frozen, Gate: e.gate(r), Live: e.outputs.writer(task.AttemptID),
		Begin:    func(ctx context.Context) error { return e.mayBegin(ctx, r.ID, task) },
		Expired:  func() time.Duration { return e.expired(r.ID, task) },
		HandOver: func(ctx context.Context) bool { return e.handOver(ctx, r.ID, task.AttemptID) },
	}
}

// gate is the answer that let the window of the rollback's change open.
func (e *Engine) gate(r backout.Rollback) backout.GatePassed {
	c, ok := e.changes.get(r.ChangeID)
	if !ok || c.Frozen == nil {
		return backout.GatePassed{}
	}
	return backout.GatePassed{PlanHash: c.Frozen.Hash, Targets: c.Targets, Baselines: c.Baselines}
}

// mayBegin says why a claimed attempt must not begin on its target now. A claim
// may be old by then: its target was away, its append's answer late, or this server
// cut off, and another has gone on. So what this server thinks is first held
// against the store.
func (e *Engine) mayBegin(ctx context.Context, rollbackID string, task backout.Task) error {
	if !e.sole {
		if err := errors.Join(e.rollbacks.confirm(ctx, rollbackID), e.changes.confirm(ctx, task.ChangeID)); err != nil {
			return err
		}
	}
	r, _ := e.rollbacks.get(rollbackID)
	t := r.Target(task.Target.Name)
	c, _ := e.changes.get(r.ChangeID)
	switch {
	case t == nil || t.Phase != backout.TargetRunning || t.Attempt == nil || t.Attempt.ID != task.AttemptID:
		return fmt.Errorf("attempt %s: %w", task.AttemptID, backout.ErrStale)
	case !e.mine(t.Attempt.Runner):
		return fmt.Errorf("attempt %s is looked after by %s: %w", task.AttemptID, t.Attempt.Runner, backout.ErrStale)
	case !r.PausedAt.IsZero():
		return fmt.Errorf("attempt %s: %w", task.AttemptID, backout.ErrPaused)
	case r.Status != backout.RollbackRunning || t.Attempt.Stopping:
		return fmt.Errorf("attempt %s: the rollback is %s: %w", task.AttemptID, r.Status, backout.ErrRefused)
	case t.Baseline != "" && t.Baseline != task.Baseline:
		return fmt.Errorf("attempt %s: it was made for another baseline of its target: %w", task.AttemptID, backout.ErrRefused)
	case !c.State.Live() || c.Frozen == nil || c.Frozen.Hash != task.PlanHash:
		return fmt.Errorf("attempt %s: its change is %s, or has another plan: %w", task.AttemptID, c.State, backout.ErrRefused)
	}
	return nil
}

// clockStands is when it is looked again at an attempt whose clock stands still.
const clockStands = 5 * time.Second

// expired tells for how much longer an attempt may go on whose deadline has
// passed: while the rollback is paused or held its clock stands still, and moves on
// by as much afterwards.
func (e *Engine) expired(rollbackID string, task backout.Task) time.Duration {
	r, _ := e.rollbacks.get(rollbackID)
	t := r.Target(task.Target.Name)
	switch {
	case t == nil || t.Attempt == nil || t.Attempt.ID != task.AttemptID:
		return 0
	case !r.PausedAt.IsZero() || r.Status == backout.RollbackHeld:
		return clockStands
	case t.Attempt.Deadline.IsZero():
		return 0
	}
	return time.Until(t.Attempt.Deadline)
}
