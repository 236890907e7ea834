package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/runner"
)

// runStep runs a requested attempt. The claim is an append: whoever wins it
// starts the step, everybody else leaves it alone.
func (e *Engine) runStep(ctx context.Context, c backout.RunStep) {
	if _, running := e.stepping.LoadOrStore(c.AttemptID, true); running {
		return
	}
	defer e.stepping.Delete(c.AttemptID)
	defer e.waitsNoMore(c.AttemptID)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		again := e.tryStep(ctx, c)
		r, _ := e.rollbacks.get(c.RollbackID)
		if !again || !requested(r, c) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// requested tells whether the attempt still waits for a runner.
func requested(r backout.Rollback, c backout.RunStep) bool {
	t := r.Target(c.Target)
	waits := t != nil && t.Phase == backout.TargetRunning && t.Attempt != nil && t.Attempt.ID == c.AttemptID && t.Attempt.Runner == ""
	return waits && r.Status == backout.RollbackRunning && r.PausedAt.IsZero()
}

// tryStep claims the attempt and carries it out. It reports whether nothing came
// of it, so that it is to be looked at again.
func (e *Engine) tryStep(ctx context.Context, c backout.RunStep) (again bool) {
	pause, err := e.store.Control.Pause(ctx)
	if err != nil {
		e.log.Error("pause switch not read, no step starts", "rollback_id", c.RollbackID, "attempt", c.AttemptID, "error", err)
		return true
	}
	if pause.On {
		// It may have been opened while the switch moved: it must be among those
		// that resuming brings back, with this command.
		e.decided(ctx, c.RollbackID, rollback.Pause{By: switchName(pause.By), Reason: pause.Reason})
		r, _ := e.rollbacks.get(c.RollbackID)
		e.endStalePause(r)
		return false
	}
	r, ok := e.rollbacks.get(c.RollbackID)
	if !ok {
		return false
	}
	task, err := e.firstTask(ctx, r, c)
	switch {
	case ctx.Err() != nil:
		return false
	case transient(err):
		e.waits(c.AttemptID, clip(err.Error(), reasonMax))
		return true
	case err != nil && e.nextPeer() != "" && errors.Is(err, backout.ErrNotFound):
		// Another server may have read a newer inventory already.
		e.waits(c.AttemptID, err.Error())
		return true
	case err != nil:
		e.giveUp(ctx, c.RollbackID, c.AttemptID, err)
		return false
	}
	again = true
	e.carry(ctx, task, func(ctx context.Context, site Site) {
		job := e.job(r, task)
		job.Claim = func(ctx context.Context, by runner.Claimed) (time.Time, error) { return e.claim(ctx, c, by) }
		result := site.Run(ctx, job)
		e.report(ctx, c.RollbackID, c.AttemptID, result)
		if again = result.Unclaimed; again {
			e.waits(c.AttemptID, clip(result.Err.Error(), reasonMax))
		}
	})
	return again
}

// claim takes the attempt for this server, as long as it takes: while the store
// refuses, the command would be lost otherwise.
// It returns the attempt's deadline.
func (e *Engine) claim(ctx context.Context, c backout.RunStep, by runner.Claimed) (time.Time, error) {
	unclear := false
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		r, err := e.input(ctx, c.RollbackID, rollback.Claim{AttemptID: c.AttemptID, Runner: e.server, Via: by.Via, Boot: by.Boot})
		switch {
		case err == nil, unclear && e.claimed(r, c):
			// Unclear: the answer of an earlier try was lost.
			e.metrics.attempts.Inc()
			return r.Target(c.Target).Attempt.Deadline, nil
		case !errors.Is(err, backout.ErrUnavailable):
			return time.Time{}, err
		}
		unclear = true
		e.log.Error("step not claimed, trying again", "rollback_id", c.RollbackID, "target", c.Target, "attempt", c.AttemptID, "error", err)
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (e *Engine) claimed(r backout.Rollback, c backout.RunStep) bool {
	t := r.Target(c.Target)
	return t != nil && t.Attempt != nil && t.Attempt.ID == c.AttemptID && t.Attempt.Runner == e.server
}

// resumeAttempt takes up an attempt that was claimed before this server started,
// or by a server that is gone: it is probed and attached to, never simply run
// again.
func (e *Engine) resumeAttempt(r backout.Rollback, t backout.TargetState) {
	e.spawn(func(ctx context.Context) {
		task, err := e.task(ctx, r, t.Name, t.Attempt.ID)
		if transient(err) {
			return // the next sweep tries again
		}
		if err != nil && e.onceHandedOver(ctx, r.ID, t.Attempt.ID) {
			return
		}
		if err != nil {
			e.decided(ctx, r.ID, rollback.Doubt{AttemptID: t.Attempt.ID, Reason: "the server that claimed it is gone, and this one cannot look: " + err.Error()})
			return
		}
		task.Deadline = t.Attempt.Deadline
		e.carry(ctx, task, func(ctx context.Context, site Site) {
			job := e.job(r, task)
			job.Boot = t.Attempt.Boot
			e.report(ctx, r.ID, task.AttemptID, site.Resume(ctx, job))
		})
	})
	if t.Attempt.Stopping {
		e.carryOut([]backout.Command{rollback.StopAgain(r, t)})
	}
}

// giveUp fails an attempt that cannot even begin. It is claimed first, so that
// the log shows who said so.
func (e *Engine) giveUp(ctx context.Context, rollbackID, attemptID string, cause error) {
	if _, taken := e.carried.LoadOrStore(attemptID, &carried{}); taken {
		return
	}
	defer e.carried.Delete(attemptID)
	if _, err := e.input(ctx, rollbackID, rollback.Claim{AttemptID: attemptID, Runner: e.server}); err != nil {
		return
	}
	e.decided(ctx, rollbackID, rollback.Finished{AttemptID: attemptID, Failure: clip(cause.Error(), reasonMax)})
}

// stopStep stops an attempt that this server carries out. After a restart its
// runner may not have taken it up yet, so it is looked for until it has ended.
func (e *Engine) stopStep(ctx context.Context, c backout.StopStep) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		if has, ok := e.carriedBy(c.AttemptID); ok && has.site != nil && stop(has.site, c) == nil {
			return
		}
		r, _ := e.rollbacks.get(c.RollbackID)
		t := r.Target(c.Target)
		if t == nil || t.Phase != backout.TargetRunning || t.Attempt == nil || t.Attempt.ID != c.AttemptID || !e.mine(t.Attempt.Runner) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// stop ends the attempt, or only keeps it from beginning.
func stop(s Site, c backout.StopStep) error {
	if c.Unstarted {
		return s.GiveUp(c.AttemptID, c.Reason)
	}
	return s.Stop(c.AttemptID, c.Reason)
}

// report appends how an attempt ended. A server that is being closed reports
// nothing: the step goes on and is attached to at the next start.
func (e *Engine) report(ctx context.Context, rollbackID, attemptID string, res runner.Result) {
	if len(res.Output) > 0 && !res.Unclaimed && !res.Interrupted {
		if err := e.store.Artifacts.PutOutput(context.WithoutCancel(ctx), attemptID, res.Output); err != nil {
			e.log.Warn("step output not stored", "rollback_id", rollbackID, "attempt", attemptID, "error", err)
		}
	}
	res.Outcome.Held, res.Outcome.Facts = clipHeld(res.Outcome.Held), nil
	switch {
	case res.Unclaimed, res.Interrupted, ctx.Err() != nil:
	case res.InDoubt:
		e.decided(ctx, rollbackID, rollback.Doubt{AttemptID: attemptID, Reason: reason(res.Err, "nobody can tell how it ended")})
	case res.Err != nil:
		res.Outcome.Summary = clip(res.Outcome.Summary, reasonMax)
		e.decided(ctx, rollbackID, rollback.Finished{AttemptID: attemptID, Outcome: res.Outcome, Failure: clip(res.Err.Error(), reasonMax)})
	default:
		res.Outcome.Summary = clip(res.Outcome.Summary, reasonMax)
		e.decided(ctx, rollbackID, rollback.Finished{AttemptID: attemptID, Outcome: res.Outcome})
	}
	e.outputs.drop(attemptID)
}

// decided appends an input that must not get lost: while the store refuses, it is
// tried again until the server closes, and then found again by probing.
func (e *Engine) decided(ctx context.Context, rollbackID string, in rollback.Input) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		_, err := e.input(ctx, rollbackID, in)
		refused := errors.Is(err, backout.ErrStale) || errors.Is(err, backout.ErrFinal) || errors.Is(err, backout.ErrRefused)
		switch {
		case err == nil, refused, ctx.Err() != nil:
			return
		case errors.Is(err, backout.ErrInvalid):
			e.log.Error("outcome can never be recorded", "rollback_id", rollbackID, "error", err)
			return
		}
		e.log.Error("outcome not recorded, trying again", "rollback_id", rollbackID, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// firstTask is the task of an attempt that nobody has claimed. A step that undoes what
// the patch changed is not begun before that is known.
func (e *Engine) firstTask(ctx context.Context, r backout.Rollback, c backout.RunStep) (backout.Task, error) {
	if err := e.deltaBefore(ctx, r, c.Target); err != nil {
		return backout.Task{}, fmt.Errorf("not begun, what the patch changed is not known: %w", err)
	}
	return e.task(ctx, r, c.Target, c.AttemptID)
}

// againError is one after which to ask again may help.
type againError struct{ error }

// Unwrap is the cause.
func (e againError) Unwrap() error { return e.error }

// transient tells whether to ask again may help: the store or the target is away.
func transient(err error) bool {
	return errors.As(err, new(againError)) || errors.Is(err, backout.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// task gathers what the runner needs of an attempt.
func (e *Engine) task(ctx context.Context, r backout.Rollback, target, attemptID string) (backout.Task, error) {
	t, level := r.Target(target), r.CurrentLevel()
	if t == nil || level == nil || t.Step >= len(level.Steps) {
		return backout.Task{}, fmt.Errorf("attempt %s: %w", attemptID, backout.ErrStale)
	}
	inventory, ok := e.cfg().Inventory[target]
	if !ok {
		return backout.Task{}, fmt.Errorf("target %s is not in the inventory any more: %w", target, backout.ErrNotFound)
	}
	task := backout.Task{
		AttemptID: attemptID, RollbackID: r.ID, ChangeID: r.ChangeID, Level: level.Name, Step: level.Steps[t.Step], Target: inventory,
		PlanHash: r.Frozen.Hash, Facts: facts(r, level, inventory, attemptID),
	}
	c, err := e.Change(ctx, r.ChangeID)
	if err != nil {
		return backout.Task{}, err
	}
	if err := e.fillTask(ctx, c, &task); err != nil {
		return backout.Task{}, err
	}
	return task, nil
}

func reason(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return clip(err.Error(), reasonMax)
}

// heldMax is how much of what a step holds goes into a record, in bytes.
const heldMax = 64 << 10

// clipHeld keeps what fits, and says how many more there are.
func clipHeld(held []string) []string {
	size := 0
	for i, name := range held {
		if size += len(name); size > heldMax {
			return append(slices.Clone(held[:i]), fmt.Sprintf("… and %d more", len(held)-i))
		}
	}
	return held
}

// reasonMax is how much of an error goes into a record, in characters: many
// outcomes share one record.
const reasonMax = 500
