package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/rollback"
)

const (
	// compareParallel is how many comparisons are made at once.
	compareParallel = 64
	// compareAgain is the pause before a target that could not be reached is looked at
	// once more: one lost connection is no drift.
	compareAgain = 2 * time.Second
	// compareFresh is how long what was found counts, beside the time between looks.
	compareFresh = 30 * time.Second
)

// comparisons are those of targets with their baselines that rollbacks wait for. One
// takes much longer than a check, so no look waits for it: it is begun, and the
// look after its end uses it, once.
type comparisons struct {
	e     *Engine
	slots chan struct{}

	mu   sync.Mutex
	made map[string]map[string]*comparison // by rollback and target
}

// comparison is one of them, of a target as an attempt has left it.
type comparison struct {
	attempt string
	began   time.Time
	ended   time.Time // zero while it runs
	used    bool
	found   *backout.DriftFound
	// failed is why it could not be made.
	failed string
}

func newComparisons(e *Engine) *comparisons {
	return &comparisons{e: e, slots: make(chan struct{}, compareParallel), made: map[string]map[string]*comparison{}}
}

// of returns what the last comparison of the target found, where a green look wants
// one; red says that it could not be made. While there is none it is begun, at most
// every so often, and the look has to wait.
func (cs *comparisons) of(r backout.Rollback, t backout.TargetState) (found *backout.DriftFound, red string, waits bool) {
	now := time.Now()
	if !rollback.DriftWanted(r, t, now) {
		return nil, "", false
	}
	every := time.Duration(r.Frozen.Plan.Verify.Every)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.made[r.ID][t.Name]
	switch {
	case c == nil, c.attempt != t.Attempt.ID && !c.ended.IsZero():
	case c.ended.IsZero():
		return nil, "", true
	case !c.used && now.Sub(c.ended) <= every+compareFresh && !c.began.Before(t.GreenSince):
		c.used = true
		return c.found, c.failed, false
	case now.Sub(c.began) < every:
		return nil, "", true
	}
	c = &comparison{attempt: t.Attempt.ID, began: now}
	if cs.made[r.ID] == nil {
		cs.made[r.ID] = map[string]*comparison{}
	}
	cs.made[r.ID][t.Name] = c
	cs.e.spawn(func(ctx context.Context) { cs.make(ctx, r, t, c) })
	return nil, "", true
}

// soon tells whether the target may be compared now: no comparison of it runs, or
// was begun a moment ago.
func (cs *comparisons) soon(r backout.Rollback, t backout.TargetState) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.made[r.ID][t.Name]
	if c == nil || c.ended.IsZero() {
		return c == nil
	}
	wanted := !c.used && !c.began.Before(t.GreenSince)
	return wanted || time.Since(c.began) >= time.Duration(r.Frozen.Plan.Verify.Every)
}

// forget drops what was found for a rollback that is not looked at any more.
func (cs *comparisons) forget(id string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.made, id)
}

// make compares, and has the target looked at again.
func (cs *comparisons) make(ctx context.Context, r backout.Rollback, t backout.TargetState, c *comparison) {
	select {
	case cs.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	found, err := cs.e.compare(ctx, r, t)
	<-cs.slots
	if ctx.Err() != nil {
		return
	}
	cs.mu.Lock()
	c.ended, c.found = time.Now(), found
	if err != nil {
		c.failed = "its drift cannot be told: " + err.Error()
	}
	cs.mu.Unlock()
	if now, ok := cs.e.rollbacks.get(r.ID); ok {
		cs.e.verifiers.want(now)
	}
}

// compare looks at the target and compares it with its baseline. The report is
// stored where the rollback's log will name it.
func (e *Engine) compare(ctx context.Context, r backout.Rollback, t backout.TargetState) (*backout.DriftFound, error) {
	c, err := e.Change(ctx, r.ChangeID)
	if err != nil {
		return nil, err
	}
	d, now, err := e.driftOf(ctx, c, r.Frozen, t.Name, t.Baseline)
	if err != nil && !errors.Is(err, backout.ErrInvalid) && !backout.IsPermanent(err) {
		if sleeps(ctx, compareAgain) {
			d, now, err = e.driftOf(ctx, c, r.Frozen, t.Name, t.Baseline)
		}
	}
	if err != nil {
		return nil, err
	}
	found := &backout.DriftFound{Verdict: d.Verdict, Summary: clip(baseline.Summary(d.Differences), reasonMax)}
	if d.Verdict == backout.DriftNotBack && t.Drift != nil && t.Drift.Verdict == backout.DriftNotBack {
		return found, nil // it is red already, and nothing new is recorded
	}
	found.Report, err = e.storeDrift(ctx, d, now)
	return found, err
}

// sleeps waits and tells whether the whole time passed.
func sleeps(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
