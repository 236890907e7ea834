package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/gate"
	"github.com/backout-io/backout/internal/runner"
)

const (
	// captureTimeout is how long a capture may take: well within its lease, so that
	// nothing of it is begun once another server may capture.
	captureTimeout = backout.BaselineLease - 5*time.Minute
	// undoTimeout bounds how long what was made for nothing is removed.
	undoTimeout = 2 * time.Minute
)

// capturing is one capture of baselines by this server, from its first record to
// its last.
type capturing struct {
	e       *Engine
	cfg     *Config
	by      string
	c       backout.Change
	frozen  backout.FrozenPlan
	number  int
	opening bool

	// made is what was made on each target.
	mu   sync.Mutex
	made map[string][]backout.Prepared
}

func (cp *capturing) madeOn(target string) []backout.Prepared {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.made[target]
}

func (cp *capturing) keep(target string, prepared []backout.Prepared) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.made[target] = prepared
}

// beginCapture makes this server the one that captures. done must be called at the
// end; the context of the capture ends with its time or this server, not with the
// caller.
func (e *Engine) beginCapture(ctx context.Context, by handlers.Actor, c backout.Change, frozen backout.FrozenPlan, opening bool) (
	_ context.Context, cp *capturing, done func(), err error,
) {
	if _, busy := e.capturing.LoadOrStore(c.ID, true); busy {
		return nil, nil, nil, fmt.Errorf("capture baselines of change %s: %w: this server does so already: try again when that has ended", c.ID, backout.ErrConflict)
	}
	cp = &capturing{e: e, cfg: e.cfg(), by: by.Name, frozen: frozen, opening: opening, made: map[string][]backout.Prepared{}}
	cp.c, err = e.changes.transact(ctx, c.ID, func(now backout.Change, at time.Time) ([]backout.Event, error) {
		cp.number = now.Captures + 1
		do := change.BeginCapture{Server: e.server, Opening: opening, Resumed: now.Capture != nil && e.mine(now.Capture.Server)}
		return change.Decide(now, change.Input{At: at, By: by.Name, Do: do})
	})
	if err != nil {
		e.capturing.Delete(c.ID)
		return nil, nil, nil, err
	}
	ctx, cancel := e.enduring(ctx, captureTimeout)
	return ctx, cp, func() { cancel(); e.capturing.Delete(c.ID) }, nil
}

// enduring is a context that ends with its time or with the engine.
func (e *Engine) enduring(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// all captures every target, after its executors have prepared what they need.
func (cp *capturing) all(ctx context.Context) *survey {
	found := newSurvey()
	cp.cfg.each(ctx, cp.c, captureTimeout, func(ctx context.Context, i int, t backout.Target) {
		digest, answers := cp.target(ctx, i, surveyed{e: cp.e, cfg: cp.cfg, c: cp.c, frozen: cp.frozen, target: t, prepared: []backout.Prepared{}})
		found.add(t.Name, digest, answers)
	})
	return found
}

// target prepares and captures one target. Where the window is to open, snapshots
// are made too, and the executors are asked once more: now they see what there is.
func (cp *capturing) target(ctx context.Context, i int, s surveyed) (digest string, answers []gate.Answer) {
	if err := cp.counts(ctx); err != nil {
		return "", []gate.Answer{s.no(gate.CheckCapture, err, "try again")}
	}
	steps := stepsOf(cp.frozen.Plan)
	if cp.opening {
		steps = slices.Concat(steps, baselineStepsOf(cp.frozen.Plan))
	}
	for _, st := range steps {
		if st.level.Name == backout.LevelBaseline {
			if err := cp.counts(ctx); err != nil {
				return "", append(answers, s.no(gate.CheckCapture, err, "try again"))
			}
		}
		made, err := s.tend(ctx, st, runner.ErrandPrepare, cp.attemptID(st, i))
		if err != nil {
			return "", append(answers, notPrepared(s, st, err))
		}
		if made.Uses != "" {
			s.prepared = append(s.prepared, made)
			cp.keep(s.target.Name, s.prepared)
		}
		if st.level.Name == backout.LevelBaseline {
			answers = append(answers, gate.Answer{Target: s.target.Name, Level: st.level.Name, Step: st.index, Check: st.Uses})
		}
	}
	if cp.opening {
		s.opened = true
		answers = append(answers, s.preflight(ctx, stepsOf(cp.frozen.Plan))...)
		if slices.ContainsFunc(answers, func(a gate.Answer) bool { return len(a.Violations) > 0 }) {
			return "", answers
		}
	}
	inv, said, ok := s.inventory(ctx)
	if ok {
		var err error
		if digest, err = s.storeBaseline(ctx, inv); err != nil {
			said = s.no(gate.CheckCapture, err, "make the store take writes, then try again")
		}
	}
	return digest, append(answers, said)
}

func notPrepared(s surveyed, st step, err error) gate.Answer {
	return gate.Answer{Target: s.target.Name, Level: st.level.Name, Step: st.index, Check: "prepare", Violations: []backout.Violation{{
		Check: "prepare", Target: s.target.Name, Level: st.level.Name, Reason: clip(st.Uses+": "+err.Error(), reasonMax), Fix: "mend what it says, then try again",
	}}}
}

// storeBaseline keeps the target's baseline.
func (s surveyed) storeBaseline(ctx context.Context, inv backout.Inventory) (string, error) {
	digest, err := s.store(ctx, backout.Baseline{ChangeID: s.c.ID, Target: s.target.Name, Inventory: inv, Prepared: s.prepared})
	if err == nil {
		s.e.found.keep(digest, s.prepared)
	}
	return digest, err
}

// tend runs an errand of the step on the target.
func (s surveyed) tend(ctx context.Context, st step, errand runner.Errand, attemptID string) (backout.Prepared, error) {
	task, err := s.task(ctx, st, attemptID)
	if err != nil {
		return backout.Prepared{}, err
	}
	task.Deadline, _ = ctx.Deadline()
	made, err := s.cfg.site(s.target).Tend(ctx, s.frozen, errand, task)
	if made.Uses == "" && len(made.Facts) > 0 {
		made.Uses = st.Uses
	}
	return made, err
}

// counts tells whether this capture still counts, as far as can be known: a server
// that was away for long must not make a snapshot after the patch.
func (cp *capturing) counts(ctx context.Context) error {
	if !cp.e.sole {
		if err := cp.e.changes.confirm(ctx, cp.c.ID); err != nil {
			return err
		}
	}
	now, _ := cp.e.changes.get(cp.c.ID)
	if now.Capture == nil || now.Capture.Number != cp.number {
		return fmt.Errorf("capture %d of change %s does not count any more: %w", cp.number, cp.c.ID, backout.ErrConflict)
	}
	return ctx.Err()
}

// attemptID names the preparation of a step on the i-th target.
func (cp *capturing) attemptID(st step, i int) string {
	return runner.BaselineID(cp.c.ID, cp.number, st.part(), st.index, i)
}

// refuse ends the capture for a reason that is no answer of the gate.
func (cp *capturing) refuse(ctx context.Context, violations []backout.Violation) (backout.Change, error) {
	return cp.fail(ctx, violations, "")
}

// refuseBy ends the capture by the gate's no.
func (cp *capturing) refuseBy(ctx context.Context, no gateCheck) (backout.Change, error) {
	return cp.fail(ctx, no.Violations, cp.e.keepAnswer(ctx, cp.c.ID, no))
}

// fail ends the capture without a baseline. What was made for the opening is
// removed before the log says so: until then nobody else makes it anew. answer is the
// digest of the gate's answer, where there is one.
func (cp *capturing) fail(ctx context.Context, violations []backout.Violation, answer string) (backout.Change, error) {
	c := cp.c
	if cp.e.ctx.Err() != nil {
		return c, fmt.Errorf("capture baselines of change %s: this server stops: %w", c.ID, backout.ErrUnavailable)
	}
	ctx, cancel := cp.e.enduring(ctx, undoTimeout)
	defer cancel()
	if err := cp.counts(ctx); err == nil {
		cp.undo(ctx)
	}
	now, err := cp.e.changeInput(ctx, c.ID, cp.by, change.CaptureFailed{Number: cp.number, Violations: few(violations), Answer: answer})
	if err != nil {
		return now, err
	}
	if now.State.Final() {
		cp.e.tidier.madeLate(now) // it was cancelled meanwhile, and the capture may have made more since
	}
	return now, &backout.RefusedError{Violations: violations}
}

// undo removes the snapshots. Kept packages stay: the next capture needs them again.
func (cp *capturing) undo(ctx context.Context) {
	steps := baselineStepsOf(cp.frozen.Plan)
	if !cp.opening || len(steps) == 0 {
		return
	}
	cp.cfg.each(ctx, cp.c, undoTimeout, func(ctx context.Context, i int, t backout.Target) {
		s := surveyed{e: cp.e, cfg: cp.cfg, c: cp.c, frozen: cp.frozen, target: t, prepared: cp.madeOn(t.Name)}
		for _, st := range slices.Backward(steps) {
			if _, err := s.tend(ctx, st, runner.ErrandCleanup, runner.CleanupID(cp.c.ID, cp.number, st.part(), st.index, i)); err != nil {
				cp.e.log.Warn("what was made for the opening is not removed, the next opening or the change's end does so", "change_id", cp.c.ID, "target", t.Name, "step", st.Uses, "error", err)
			}
		}
	})
}

// unclear is for an append whose answer is not known: the log decides. Where it
// does not tell, nothing is removed: the window may be open.
func (cp *capturing) unclear(ctx context.Context, cause error) (backout.Change, error) {
	if err := cp.e.changes.confirm(ctx, cp.c.ID); err != nil {
		return cp.c, errors.Join(cause, err)
	}
	now, _ := cp.e.changes.get(cp.c.ID)
	if now.Capture == nil && now.Captures == cp.number && now.State == backout.ChangeOpen {
		return now, nil
	}
	return now, cause
}

// abandon ends a capture that an earlier life of this server began.
func (e *Engine) abandon(ctx context.Context, c backout.Change) {
	if _, busy := e.capturing.LoadOrStore(c.ID, true); busy {
		return
	}
	defer e.capturing.Delete(c.ID)
	cp := &capturing{e: e, cfg: e.cfg(), c: c, number: c.Capture.Number, opening: c.Capture.Opening}
	if plan, ok := cp.cfg.Plans[c.Plan]; ok {
		cp.frozen = freeze(plan)
	}
	_, err := cp.refuse(ctx, []backout.Violation{{
		Check: gate.CheckCapture, Reason: "server " + c.Capture.Server + " was restarted while it captured the baselines", Fix: "try again",
	}})
	if err != nil && !errors.Is(err, backout.ErrRefused) && ctx.Err() == nil {
		e.log.Warn("capture of before the restart not ended, its lease ends it", "change_id", c.ID, "error", err)
	}
}
