package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/runner"
)

// Drift implements [handlers.Baselines]. It is whole or an error: a target that
// cannot be compared is not left out.
func (e *Engine) Drift(ctx context.Context, _ handlers.Actor, changeID string, targets []string) ([]backout.Drift, error) {
	c, err := e.upToDate(ctx, changeID)
	if err != nil {
		return nil, err
	}
	frozen, err := e.planOf(c)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		targets = c.Targets
	}
	targets = slices.Compact(slices.Sorted(slices.Values(targets)))
	out, failed := make([]backout.Drift, len(targets)), make([]error, len(targets))
	slots := make(chan struct{}, verifyParallel)
	var all sync.WaitGroup
	for i, name := range targets {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			var now []byte
			if out[i], now, failed[i] = e.driftOf(ctx, c, frozen, name, c.Baselines[name]); failed[i] == nil {
				_, failed[i] = e.storeDrift(ctx, out[i], now)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("drift of change %s: %w", changeID, err)
	}
	return out, nil
}

// DriftReport implements [handlers.Baselines].
func (e *Engine) DriftReport(ctx context.Context, digest string) (backout.Drift, error) {
	data, err := e.store.Artifacts.Get(ctx, digest)
	if err != nil {
		return backout.Drift{}, err
	}
	var d backout.Drift
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil || d.ChangeID == "" || d.Target == "" || d.Verdict == "" {
		return backout.Drift{}, fmt.Errorf("artifact %s is no drift report: %w", digest, backout.ErrNotFound)
	}
	return d, nil
}

// planOf is the plan that a change's baseline is captured and compared by: the one
// that was frozen, or, before its window opens, the one in the files.
func (e *Engine) planOf(c backout.Change) (backout.FrozenPlan, error) {
	if c.Frozen != nil {
		return *c.Frozen, nil
	}
	plan, ok := e.cfg().Plans[c.Plan]
	if !ok {
		return backout.FrozenPlan{}, fmt.Errorf("plan %q: %w", c.Plan, backout.ErrNotFound)
	}
	return planhash.Freeze(plan), nil
}

// aideTime bounds a check by AIDE, which reads all that its database has.
const aideTime = 30 * time.Minute

// driftOf compares the target as it is now with the baseline of this digest. It
// returns what it saw too, as it is stored.
func (e *Engine) driftOf(ctx context.Context, c backout.Change, frozen backout.FrozenPlan, name, digest string) (backout.Drift, []byte, error) {
	fail := func(err error) (backout.Drift, []byte, error) {
		return backout.Drift{}, nil, fmt.Errorf("target %s: %w", name, err)
	}
	if digest == "" {
		return fail(fmt.Errorf("it has no baseline: %w", backout.ErrNotFound))
	}
	target, ok := e.cfg().Inventory[name]
	if !ok {
		return fail(fmt.Errorf("it is not in the inventory any more: %w", backout.ErrNotFound))
	}
	before, err := artifact[backout.Baseline](ctx, e, digest, "baseline")
	if err != nil {
		return fail(err)
	}
	var delta *backout.Delta
	if of := c.Deltas[name]; of != "" {
		if delta, err = e.found.delta(ctx, e.store.Artifacts, of); err != nil {
			return fail(fmt.Errorf("read patch delta: %w", err))
		}
	}
	look := runner.CaptureLook{Target: target, ChangeID: c.ID, Frozen: frozen}
	d := backout.Drift{ChangeID: c.ID, Target: name, Baseline: digest}
	var seen backout.Inventory
	compare := func(most time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, most)
		defer cancel()
		if seen, err = e.cfg().site(target).Capture(ctx, look); err == nil {
			d.At = time.Now().UTC()
			d.Verdict, d.Differences = baseline.Drift(before.Inventory, seen, delta, frozen.Plan.Baseline.Ignore)
		}
		return err
	}
	if err := compare(rollback.DriftTime); err != nil {
		return fail(err)
	}
	if aide := before.Inventory.AIDE; aide != nil && d.Verdict != backout.DriftNotBack {
		// What is not back is so whatever AIDE says, and it takes minutes.
		if look.AIDE = aide.Database; compare(aideTime) != nil {
			return fail(err)
		}
	}
	now := baseline.EncodeInventory(seen)
	d.Now = baseline.Digest(now)
	return d, now, nil
}

// storeDrift keeps the report and what was seen, and returns the report's digest.
func (e *Engine) storeDrift(ctx context.Context, d backout.Drift, now []byte) (string, error) {
	report, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encode drift: %w", err)
	}
	if _, err := e.store.Artifacts.Put(ctx, now); err != nil {
		return "", err
	}
	return e.store.Artifacts.Put(ctx, report)
}
