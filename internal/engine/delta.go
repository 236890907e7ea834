package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/store"
)

const (
	// deltaEvery is how often it is tried again to capture what the patch changed
	// on targets that could not be looked at.
	deltaEvery = time.Minute
	// deltaPatience is how long a step waits for what only later levels need.
	deltaPatience = 20 * time.Second
	// notMineLong is that for what another server is to do, and may take long.
	notMineLong = 30 * time.Second
)

// errTooLate says that what the patch changed cannot be told apart any more from
// what a rollback did.
var errTooLate = errors.New("a step of a rollback has begun on it already")

// owed are the targets of which the change's log does not say yet what the patch
// changed, though patching of them is over. Changes without baselines owe nothing.
func owed(c backout.Change) []string {
	if !c.State.Live() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Targets), func(t string) bool {
		return c.PatchedOn(t).IsZero() && c.WatchUntil.IsZero() || c.Baselines[t] == "" || c.Deltas[t] != ""
	})
}

// armDelta wakes this server when a delta becomes due.
func (e *Engine) armDelta(before, after backout.Change) {
	known := map[string]bool{}
	for _, t := range owed(before) {
		known[t] = true
	}
	if slices.ContainsFunc(owed(after), func(t string) bool { return !known[t] }) {
		e.deadlines.set(deltaKey+after.ID, time.Now(), true)
	}
}

// deltaDue captures what is owed, and comes again while something is.
func (e *Engine) deltaDue(ctx context.Context, id string) {
	c, _ := e.changes.get(id)
	again := notMineLong
	if e.owns(id) {
		again = deltaEvery
		cfg := e.cfg()
		c.Targets = owed(c)
		cfg.each(ctx, c, surveyTimeout, func(ctx context.Context, _ int, t backout.Target) {
			if _, late := e.tooLate.Load(id + "/" + t.Name); late {
				return
			}
			if err := e.ensureDelta(ctx, id, t.Name); err != nil && ctx.Err() == nil {
				e.log.Warn("what the patch changed is not captured", "change_id", id, "target", t.Name, "error", err)
			}
		})
	}
	c, _ = e.changes.get(id)
	left := slices.DeleteFunc(owed(c), func(t string) bool {
		_, late := e.tooLate.Load(id + "/" + t)
		return late
	})
	if len(left) > 0 && ctx.Err() == nil {
		e.deadlines.set(deltaKey+id, time.Now().Add(again), true)
	}
}

// ensureDelta returns nil once the change's log has what the patch changed on the
// target. Where it is not there it is captured now, unless a step of a rollback was
// claimed on the target: what the patch did cannot be told apart any more then, and
// the error is permanent.
func (e *Engine) ensureDelta(ctx context.Context, changeID, target string) error {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	c, err := e.upToDate(ctx, changeID)
	if err != nil || c.Deltas[target] != "" {
		return err
	}
	digest, err := e.captureDelta(ctx, c, target)
	if errors.Is(err, errTooLate) {
		e.tooLate.Store(changeID+"/"+target, true)
	}
	if err != nil {
		return fmt.Errorf("capture what the patch changed on %s: %w", target, err)
	}
	_, err = e.changeInput(ctx, changeID, "", change.RecordDeltas{Deltas: map[string]string{target: digest}, PatchedAt: c.PatchedOn(target)})
	return err
}

// deltaBefore finds out what the patch changed on the target before the target's next
// step of the rollback begins: after a step it cannot be found out any more. A step that
// undoes it needs to know. Any other goes on without, though a later level may need it:
// it waits for one look, and not for long.
func (e *Engine) deltaBefore(ctx context.Context, r backout.Rollback, target string) error {
	t, level, wants := r.Target(target), r.CurrentLevel(), e.cfg().WantsDelta
	if wants == nil || t == nil || level == nil || t.Step >= len(level.Steps) {
		return nil
	}
	if wants(level.Steps[t.Step].Uses) {
		err := e.ensureDelta(ctx, r.ChangeID, target)
		if err != nil && !backout.IsPermanent(err) && !errors.Is(err, backout.ErrNotFound) {
			err = againError{err} // the level's clock bounds it
		}
		return err
	}
	later := slices.ContainsFunc(stepsOf(r.Frozen.Plan), func(s step) bool { return s.levelIndex >= r.Level && wants(s.Uses) })
	if _, late := e.tooLate.Load(r.ChangeID + "/" + target); late || !later || t.Baseline == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, deltaPatience)
	defer cancel()
	if err := e.ensureDelta(ctx, r.ChangeID, target); err != nil && !errors.Is(err, errTooLate) && e.ctx.Err() == nil {
		e.log.Warn("what the patch changed is not known, and a later level will miss it", "rollback_id", r.ID, "target", target, "error", err)
	}
	return nil
}

// captureDelta looks at the target and compares it with its baseline. A look counts
// only if no step was claimed before it had ended.
func (e *Engine) captureDelta(ctx context.Context, c backout.Change, target string) (string, error) {
	cfg := e.cfg()
	t, known := cfg.Inventory[target]
	switch {
	case !known:
		return "", fmt.Errorf("it is not in the inventory: %w", backout.ErrNotFound)
	case c.Frozen == nil || c.Baselines[target] == "":
		return "", backout.Permanent(fmt.Errorf("it has no baseline: %w", backout.ErrNotFound))
	}
	if err := e.untouched(ctx, c.ID, target); err != nil {
		return "", err
	}
	s := surveyed{e: e, cfg: cfg, c: c, frozen: *c.Frozen, target: t}
	inv, err := cfg.site(t).Capture(ctx, runner.CaptureLook{Target: t, ChangeID: c.ID, Frozen: *c.Frozen})
	if errors.Is(err, backout.ErrInvalid) {
		return "", backout.Permanent(err) // to look again does not help
	}
	if err != nil {
		return "", err
	}
	if err := e.untouched(ctx, c.ID, target); err != nil {
		return "", err
	}
	before, err := artifact[backout.Baseline](ctx, e, c.Baselines[target], "baseline")
	if err != nil {
		return "", err
	}
	delta := baseline.Compare(before.Inventory, inv)
	delta.Target, delta.Baseline = target, c.Baselines[target]
	if delta.Patched, err = s.store(ctx, inv); err != nil {
		return "", err
	}
	return s.store(ctx, delta)
}

// untouched returns nil when no step of a rollback was claimed on the target by
// now, on whichever server.
func (e *Engine) untouched(ctx context.Context, changeID, target string) error {
	if !e.sole {
		if err := e.changes.confirm(ctx, changeID); err != nil {
			return err
		}
	}
	c, _ := e.changes.get(changeID)
	for _, ref := range c.Rollbacks {
		if !slices.Contains(ref.Targets, target) {
			continue
		}
		claimed, err := e.claimedOn(ctx, ref.ID, target)
		if err != nil {
			return err
		}
		if claimed {
			return backout.Permanent(errTooLate)
		}
	}
	return nil
}

// claimedOn tells whether a step of the rollback was ever claimed on the target.
func (e *Engine) claimedOn(ctx context.Context, rollbackID, target string) (bool, error) {
	if !e.sole {
		if err := e.rollbacks.confirm(ctx, rollbackID); err != nil {
			return false, err
		}
	}
	r, _ := e.rollbacks.get(rollbackID)
	t := r.Target(target)
	switch {
	case t == nil || r.Level < 0:
		return false, nil
	case t.Step > 0 || t.Tries > 1 || t.Attempt != nil && t.Attempt.Runner != "":
		return true, nil
	case r.Level == r.StartAt && t.Phase == backout.TargetWaiting, r.Level == r.StartAt && t.Phase == backout.TargetRunning:
		return false, nil
	}
	// Levels may have passed without a claim: only the log tells.
	entries, err := e.store.Rollbacks.Load(ctx, rollbackID)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(entries, func(entry store.Entry) bool {
		return slices.ContainsFunc(entry.Record.Events, func(ev backout.Event) bool {
			started, ok := ev.(backout.StepStarted)
			return ok && started.Target == target
		})
	}), nil
}
