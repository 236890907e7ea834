package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// input lets the rollback's core decide and appends what it decided.
func (e *Engine) input(ctx context.Context, id string, in rollback.Input) (backout.Rollback, error) {
	return e.rollbacks.advanceBy(ctx, id, func(r backout.Rollback, at time.Time, own bool) ([]backout.Event, backout.Rollback, error) {
		return rollback.Advance(r, at, in, own)
	})
}

// changeInput does the same for a change.
func (e *Engine) changeInput(ctx context.Context, id, by string, do change.Request) (backout.Change, error) {
	return e.changes.transact(ctx, id, func(c backout.Change, at time.Time) ([]backout.Event, error) {
		return change.Decide(c, change.Input{At: at, By: by, Do: do, Blind: e.monitoring.during(c.OpenedAt, at)})
	})
}

// rollbackMoved carries out what a record asks for. Records of other servers only
// move deadlines and checks, and stop what runs here: other effects are theirs.
func (e *Engine) rollbackMoved(_ context.Context, _ string, before, after backout.Rollback, own bool, rec backout.Record) {
	if !e.live.Load() {
		return
	}
	defer e.news.tell()
	e.armRollback(after.ID)
	e.armReach(before, after)
	e.verifiers.want(after)
	e.metrics.rollback(before, after, rec)
	if after.Status.Final() && !before.Status.Final() {
		e.cleaner.rollbackEnded(after)
	}
	e.dropTaken(rec)
	commands := rollback.Commands(before, after.Revision, rec)
	if !own {
		if after.Status.Final() {
			// Whoever wrote that tells the change, unless it is gone.
			e.reconcileSoon(after.ChangeID)
		}
		e.carryOut(slices.DeleteFunc(commands, func(c backout.Command) bool {
			_, stop := c.(backout.StopStep)
			return !stop
		}))
		return
	}
	e.carryOut(commands)
	if before.Level >= 0 && after.Level < 0 {
		e.cancelUnconfirmed(after) // taken back: its alerts may have ended unconfirmed while it had entered a level
	}
	if after.Status.Final() && !before.Status.Final() {
		e.spawn(func(ctx context.Context) { e.rollbackEnded(ctx, after) })
	}
}

// carryOut starts what the commands say. Notices are the relay's.
func (e *Engine) carryOut(commands []backout.Command) {
	for _, c := range commands {
		switch c := c.(type) {
		case backout.RunStep:
			e.spawn(func(ctx context.Context) { e.runStep(ctx, c) })
		case backout.StopStep:
			e.spawn(func(ctx context.Context) { e.stopStep(ctx, c) })
		case backout.Tell:
		}
	}
}

func (e *Engine) armRollback(id string) {
	e.deadlines.arm(rollbackKey+id, func() (time.Time, bool) {
		r, _ := e.rollbacks.get(id)
		return rollback.NextDeadline(r)
	})
}

// rollbackEnded tells the change. It is told again at the next start if this
// fails now.
func (e *Engine) rollbackEnded(ctx context.Context, r backout.Rollback) {
	_, err := e.changeInput(ctx, r.ChangeID, "", change.RollbackEnded{RollbackID: r.ID, Status: r.Status})
	if err != nil && !errors.Is(err, backout.ErrFinal) && ctx.Err() == nil {
		e.log.Error("change not told of its rollback's end", "change_id", r.ChangeID, "rollback_id", r.ID, "error", err)
		e.reconcileSoon(r.ChangeID)
		return
	}
}

// opening is a rollback that is to be.
type opening struct {
	opened backout.Opened
	// decide looks at the change once more while it is appended to, may change what is
	// opened, and may refuse; nil for a person's.
	decide func(o *backout.Opened, now *backout.Change, at time.Time) error
	// across says that decide looks at other changes too.
	across bool
}

// openRollback makes a rollback exist that nothing more is to be decided on.
func (e *Engine) openRollback(ctx context.Context, by string, c backout.Change, opened backout.Opened) (backout.Rollback, error) {
	return e.begin(ctx, by, c, opening{opened: opened})
}

// begin makes a rollback exist: first in the change's log, which lets one win, then
// in its own.
func (e *Engine) begin(ctx context.Context, by string, c backout.Change, o opening) (backout.Rollback, error) {
	opened := o.opened
	opened.ChangeID, opened.ChangeTitle, opened.Patch, opened.Requester = c.ID, c.Title, c.Patch, c.Requester
	opened.Loses, opened.Labels, opened.Exploited = e.losses.of(c.ID), c.Labels, e.cfg().exploited(c.Patch.CVEs)
	if c.Frozen != nil {
		opened.Frozen = *c.Frozen
	}
	// The switch is read meanwhile. Should it move just now, its mover finds the
	// rollback, or the step finds it moved.
	var pause store.PauseState
	var unread error
	var reading sync.WaitGroup
	reading.Go(func() { pause, unread = e.store.Control.Pause(ctx) })
	limited := c.Frozen != nil && c.Frozen.Plan.Limits != (backout.Limits{})
	request := func(now backout.Change, at time.Time) ([]backout.Event, error) {
		opened.RollbackID, opened.AskFirst = fmt.Sprintf("%s-r%d", c.ID, len(now.Rollbacks)+1), o.opened.AskFirst
		if o.decide != nil {
			if err := o.decide(&opened, &now, at); err != nil {
				return nil, err
			}
		}
		if limited {
			opened.AskFirst = cmp.Or(e.limit(now, opened.Targets), opened.AskFirst)
		}
		opened.Baselines = change.BaselinesOf(now, opened.Targets)
		return change.Decide(now, change.Input{At: at, By: by, Do: change.RequestRollback{Request: backout.RollbackRequested{Opened: opened}}})
	}
	var err error
	if limited || o.across {
		_, err = e.changes.transactWhole(ctx, c.ID, func() (decideFunc[backout.Change], error) { return request, nil })
	} else {
		_, err = e.changes.transact(ctx, c.ID, request)
	}
	reading.Wait()
	if err != nil {
		return backout.Rollback{}, err
	}
	return e.openUnder(ctx, opened, pause, unread)
}

// open begins the rollback's own log; that it exists already is not an error.
func (e *Engine) open(ctx context.Context, opened backout.Opened) (backout.Rollback, error) {
	pause, err := e.store.Control.Pause(ctx)
	return e.openUnder(ctx, opened, pause, err)
}

func (e *Engine) openUnder(ctx context.Context, opened backout.Opened, pause store.PauseState, err error) (backout.Rollback, error) {
	if err != nil {
		return backout.Rollback{}, fmt.Errorf("read pause switch: %w", err)
	}
	in := rollback.Open{Opened: opened}
	if pause.On {
		in.PausedBy, in.PausedReason = switchName(pause.By), pause.Reason
	}
	r, err := e.input(ctx, opened.RollbackID, in)
	if err != nil && !errors.Is(err, backout.ErrExists) {
		return r, err
	}
	e.endStalePause(r)
	return r, nil
}

// openFromLog finishes what a crash interrupted between the two logs.
func (e *Engine) openFromLog(ctx context.Context, changeID, rollbackID string) {
	entries, err := e.store.Changes.Load(ctx, changeID)
	if err == nil {
		for _, entry := range entries {
			for _, ev := range entry.Record.Events {
				if req, ok := ev.(backout.RollbackRequested); ok && req.Opened.RollbackID == rollbackID {
					_, err = e.open(ctx, req.Opened)
				}
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		e.log.Error("rollback not opened from its change's log, trying again", "change_id", changeID, "rollback_id", rollbackID, "error", err)
		e.reconcileSoon(changeID)
	}
}

// reconcileSoon looks at the change and its rollbacks again after a moment.
func (e *Engine) reconcileSoon(changeID string) {
	e.deadlines.set(reconcileKey+changeID, time.Now().Add(5*time.Second), true)
}

// limit says why the plan's limits hold a rollback of so many targets for
// approval, or nothing. It counts what the changes' log says, of every server.
func (e *Engine) limit(c backout.Change, targets []string) string {
	limits := c.Frozen.Plan.Limits
	active, lastHour := 0, 0
	since := time.Now().Add(-time.Hour)
	ofChange := len(targets)
	// What is at rest ended before that hour.
	e.changes.awake(func(id string, other backout.Change) {
		for _, ref := range other.Rollbacks {
			if !ref.Status.Final() {
				active++
			}
			if ref.RequestedAt.After(since) {
				lastHour += len(ref.Targets)
			}
			if id == c.ID && ref.Status != backout.RollbackCancelled {
				ofChange += len(ref.Targets)
			}
		}
	})
	switch {
	case limits.ActiveRollbacks > 0 && active >= limits.ActiveRollbacks:
		return fmt.Sprintf("limit: %d rollbacks are active, the plan allows %d", active, limits.ActiveRollbacks)
	case limits.TargetsPerHour > 0 && lastHour+len(targets) > limits.TargetsPerHour:
		return fmt.Sprintf("limit: %d targets in an hour, the plan allows %d", lastHour+len(targets), limits.TargetsPerHour)
	case limits.ShareOfChange > 0 && ofChange*100 > limits.ShareOfChange*len(c.Targets):
		return fmt.Sprintf("limit: %d of the change's %d targets, the plan allows %d%%", ofChange, len(c.Targets), limits.ShareOfChange)
	}
	return ""
}
