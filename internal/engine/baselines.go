package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/gate"
)

var _ handlers.Baselines = (*Engine)(nil)

// CaptureBaseline implements [handlers.Baselines]. The levels' executors prepare
// what they need (kept packages); snapshots are made by the opening only.
func (e *Engine) CaptureBaseline(ctx context.Context, by handlers.Actor, changeID string) (backout.Change, error) {
	c, err := e.upToDate(ctx, changeID)
	if err != nil {
		return c, err
	}
	plan, ok := e.cfg().Plans[c.Plan]
	if !ok {
		return c, &backout.RefusedError{Violations: []backout.Violation{{
			Check: gate.CheckPlan, Reason: fmt.Sprintf("there is no plan %q", c.Plan), Fix: "add it to a plan file, or correct its name in the change",
		}}}
	}
	ctx, cp, done, err := e.beginCapture(ctx, by, c, freeze(plan), false)
	if err != nil {
		return c, err
	}
	defer done()
	found := cp.all(ctx)
	if violations := cp.missed(found); len(violations) > 0 {
		return cp.refuse(ctx, violations)
	}
	captured, err := e.changeInput(ctx, changeID, by.Name, change.Captured{Number: cp.number, Baselines: found.digests})
	if errors.Is(err, backout.ErrRefused) || errors.Is(err, backout.ErrInvalid) || errors.Is(err, backout.ErrFinal) {
		return cp.refuse(ctx, []backout.Violation{{Check: gate.CheckCapture, Reason: err.Error(), Fix: "mend what it says, then capture again"}})
	}
	return captured, err
}

// missed are the reasons why not every target was captured.
func (cp *capturing) missed(found *survey) []backout.Violation {
	var out []backout.Violation
	for _, a := range found.all(cp.c) {
		out = append(out, a.Violations...)
	}
	for _, t := range cp.c.Targets {
		if _, known := cp.cfg.Inventory[t]; !known {
			out = append(out, backout.Violation{
				Check: gate.CheckTargets, Target: t, Reason: "it is not in the inventory", Fix: "add it to an inventory file, or correct its name in the change",
			})
		}
	}
	return out
}

// Baseline implements [handlers.Baselines].
func (e *Engine) Baseline(ctx context.Context, changeID, target string) (backout.Baseline, error) {
	c, err := e.Change(ctx, changeID)
	if err != nil {
		return backout.Baseline{}, err
	}
	return artifact[backout.Baseline](ctx, e, c.Baselines[target], "baseline of "+target+" in change "+changeID)
}

// Delta implements [handlers.Baselines].
func (e *Engine) Delta(ctx context.Context, changeID, target string) (backout.Delta, error) {
	c, err := e.Change(ctx, changeID)
	if err != nil {
		return backout.Delta{}, err
	}
	return artifact[backout.Delta](ctx, e, c.Deltas[target], "patch delta of "+target+" in change "+changeID)
}

// artifact reads what is stored under the digest; an empty one is of what was never
// captured.
func artifact[T any](ctx context.Context, e *Engine, digest, what string) (T, error) {
	var v T
	if digest == "" {
		return v, fmt.Errorf("%s: %w", what, backout.ErrNotFound)
	}
	data, err := e.store.Artifacts.Get(ctx, digest)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		return v, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}
