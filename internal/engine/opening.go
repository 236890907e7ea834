package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/gate"
	"github.com/backout-io/backout/internal/planhash"
)

// freeze is how a plan is bound here.
func freeze(p backout.Plan) backout.FrozenPlan { return planhash.Freeze(p) }

var (
	// errOverlap says that another window on one of the targets was faster.
	errOverlap = errors.New("another window is open on a target")
	// errPlanMoved says that the plan file has changed while the window opened.
	errPlanMoved = errors.New("the plan has changed while the window opened")
)

// OpenChange implements [handlers.Changes]. The gate is asked at this very moment;
// then what the way back needs is made on every target, the executors are asked
// once more, and the baselines are captured. All of that becomes one record with
// the opening, appended only if no other change has moved since it was looked for
// overlaps, so that of two windows on one target, on whichever servers, only one
// finds it free.
func (e *Engine) OpenChange(ctx context.Context, by handlers.Actor, id string) (backout.Change, error) {
	c, err := e.upToDate(ctx, id)
	if err != nil {
		return c, err
	}
	if c.State != backout.ChangePlanned && c.State != backout.ChangeReady {
		return c, fmt.Errorf("open %s: it is %s: %w", id, c.State, backout.ErrRefused)
	}
	checked, err := e.checkGate(ctx, c)
	if err != nil {
		return c, err
	}
	if len(checked.Violations) > 0 {
		return e.gateRefused(ctx, by, c, checked)
	}
	ctx, cp, done, err := e.beginCapture(ctx, by, c, checked.frozen, true)
	if err != nil {
		return c, err
	}
	defer done()
	return cp.open(ctx)
}

func (e *Engine) gateRefused(ctx context.Context, by handlers.Actor, c backout.Change, checked gateCheck) (backout.Change, error) {
	c, err := e.changeInput(ctx, c.ID, by.Name, checked.gate(e.keepAnswer(ctx, c.ID, checked)))
	if err != nil {
		return c, err
	}
	return c, &backout.RefusedError{Violations: checked.Violations}
}

// open captures, lets the gate judge what is there now, and opens the window.
func (cp *capturing) open(ctx context.Context) (backout.Change, error) {
	found := cp.all(ctx)
	// Asked last: an approval may have been taken back while targets were captured.
	found.itsm = cp.cfg.askRecord(ctx, cp.c)
	checked := cp.e.askGate(cp.cfg, cp.c, cp.frozen, found)
	if len(checked.Violations) > 0 {
		return cp.refuseBy(ctx, checked)
	}
	stored := cp.e.keepAnswer(ctx, cp.c.ID, checked)
	opened, err := cp.append(ctx, change.Open{Frozen: cp.frozen, Gate: checked.gate(stored), Capture: cp.number, Baselines: found.digests})
	switch {
	case err == nil:
		cp.e.losses.note(opened.ID, checked.Looks)
		return opened, nil
	case errors.Is(err, errOverlap):
		if again := cp.e.askGate(cp.cfg, cp.c, cp.frozen, found); len(again.Violations) > 0 {
			return cp.refuseBy(ctx, again)
		}
	case errors.Is(err, backout.ErrUnavailable):
		return cp.unclear(ctx, err)
	}
	checked.Violations = []backout.Violation{{Check: gate.CheckWindow, Reason: err.Error(), Fix: "mend what it says, then open again"}}
	return cp.refuseBy(ctx, checked)
}

// append makes the opening part of the log.
func (cp *capturing) append(ctx context.Context, open change.Open) (backout.Change, error) {
	return cp.e.changes.transactWhole(ctx, cp.c.ID, func() (decideFunc[backout.Change], error) {
		// The slow part is done; who else opened meanwhile is looked at again.
		if len(cp.e.overlaps(cp.c)) > 0 {
			return nil, errOverlap
		}
		if freeze(cp.e.cfg().Plans[cp.c.Plan]).Hash != cp.frozen.Hash {
			return nil, errPlanMoved
		}
		return func(now backout.Change, at time.Time) ([]backout.Event, error) {
			return change.Decide(now, change.Input{At: at, By: cp.by, Do: open})
		}, nil
	})
}

// openSoon opens a window that opens by itself. Opening takes as long as the
// targets do, and nothing else must wait for that.
func (e *Engine) openSoon(id string) {
	if _, busy := e.opening.LoadOrStore(id, true); busy {
		return
	}
	e.spawn(func(ctx context.Context) {
		defer e.opening.Delete(id)
		_, err := e.OpenChange(ctx, handlers.Actor{Via: "schedule"}, id)
		switch {
		case err == nil, errors.Is(err, backout.ErrFinal), ctx.Err() != nil:
			return
		case errors.Is(err, backout.ErrConflict):
			// Somebody opens it, or captures its baselines: that moves the change.
		case errors.Is(err, backout.ErrRefused):
			// The log has the reasons, and the notice has gone out. A no that is in no
			// log, such as a plan edited meanwhile, has armed nothing.
		default:
			e.log.Error("window not opened, trying again", "change_id", id, "error", err)
			e.deadlines.set(changeKey+id, time.Now().Add(notMine), true)
			return
		}
		c, _ := e.changes.get(id)
		if at, ok := change.NextDeadline(c); ok && !at.After(time.Now()) {
			e.deadlines.set(changeKey+id, time.Now().Add(change.GateRetry), true)
		}
	})
}
