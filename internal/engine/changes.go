package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/store"
)

// changeMoved keeps the world and the deadlines in step with a change, and opens
// the rollbacks that its log has decided on.
func (e *Engine) changeMoved(_ context.Context, _ string, before, after backout.Change, _ bool, _ backout.Record) {
	if !e.live.Load() {
		return
	}
	defer e.news.tell()
	e.noteRules(after.ID)
	e.world.changed(after)
	e.armChange(after.ID)
	e.armDelta(before, after)
	e.armReady(before, after)
	if after.State.Final() && !before.State.Final() {
		e.tidier.changeEnded(after)
	}
	if len(after.Rollbacks) > len(before.Rollbacks) {
		// Whoever asked for it opens it at once. Should that server die, or its
		// store refuse, the log still says that it must be.
		e.reconcileSoon(after.ID)
	}
	if after.State.Live() != before.State.Live() {
		e.armSoon()
	}
	if after.State != before.State {
		e.metrics.changeStates.WithLabelValues(string(after.State)).Inc()
		if after.State == backout.ChangeOpen {
			// What is red already is judged against the new window.
			e.spawn(func(ctx context.Context) { e.judgeAll(ctx) })
		}
	}
}

func (e *Engine) armChange(id string) {
	e.deadlines.arm(changeKey+id, func() (time.Time, bool) {
		c, _ := e.changes.get(id)
		return change.NextDeadline(c)
	})
}

// changeDue is called when something about a change is due: its window opens or
// closes by itself, its watch ends, or something failed and is tried again.
func (e *Engine) changeDue(ctx context.Context, id string) error {
	c, ok := e.changes.get(id)
	if !ok {
		return nil
	}
	if c.State == backout.ChangePlanned || c.State == backout.ChangeReady {
		if !e.owns(id) {
			// One server asks the gate; each would have other words for the same no.
			e.deadlines.set(changeKey+id, time.Now().Add(notMine), true)
			return nil
		}
		if c.Capture != nil {
			// The lease of a capture is over, or it was looked too early.
			_, err := e.changeInput(ctx, id, "", change.Tick{})
			e.armChange(id)
			return err
		}
		e.openSoon(id)
		return nil
	}
	_, err := e.changeInput(ctx, id, "", change.Tick{})
	return err
}

// notMine is when a server looks again at what another is to do first.
const notMine = 5 * time.Second

// PlanChange implements [handlers.Changes].
func (e *Engine) PlanChange(ctx context.Context, by handlers.Actor, spec backout.ChangeSpec) (backout.Change, error) {
	if violations := change.Validate(spec); len(violations) > 0 {
		return backout.Change{}, fmt.Errorf("%w: %w", backout.ErrInvalid, &backout.RefusedError{Violations: violations})
	}
	return e.changeInput(ctx, spec.ID, by.Name, change.Plan{Spec: spec})
}

// ListChanges implements [handlers.Changes]: newest window first.
func (e *Engine) ListChanges(_ context.Context, f handlers.ChangeFilter) ([]backout.Change, error) {
	var out []backout.Change
	hashes := e.planHashes()
	each := e.changes.all
	if f.ActiveOnly {
		each = e.changes.awake
	}
	each(func(_ string, c backout.Change) {
		if f.ActiveOnly && c.State.Final() {
			return
		}
		c.Stale = change.Stale(c, hashes(c), time.Now())
		if (f.State == "" || f.State == c.State) && (f.Target == "" || slices.Contains(c.Targets, f.Target)) {
			out = append(out, c)
		}
	})
	slices.SortFunc(out, func(a, b backout.Change) int {
		return cmp.Or(b.Window.Opens.Compare(a.Window.Opens), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// Change implements [handlers.Changes].
func (e *Engine) Change(ctx context.Context, id string) (backout.Change, error) {
	c, ok := e.changes.get(id)
	if !ok && !e.sole {
		// Another server may have made it a moment ago.
		e.changes.catchUp(ctx)
		c, ok = e.changes.get(id)
	}
	if !ok {
		return c, fmt.Errorf("change %q: %w", id, backout.ErrNotFound)
	}
	c.Stale = change.Stale(c, e.planHashes()(c), time.Now())
	return c, nil
}

// planHashes finds the hash of a change's plan as it is now; empty where it is gone,
// or nobody needs to know.
func (e *Engine) planHashes() func(backout.Change) string {
	plans, known := e.cfg().Plans, map[string]string{}
	return func(c backout.Change) string {
		plan, ok := plans[c.Plan]
		if ok && c.State == backout.ChangeReady && known[c.Plan] == "" {
			known[c.Plan] = freeze(plan).Hash
		}
		return known[c.Plan]
	}
}

// upToDate is the change after all that another server may have just done to it.
func (e *Engine) upToDate(ctx context.Context, id string) (backout.Change, error) {
	if !e.sole {
		e.changes.catchUp(ctx)
	}
	return e.Change(ctx, id)
}

// ChangeLog implements [handlers.Changes].
func (e *Engine) ChangeLog(ctx context.Context, id string) ([]handlers.LogEntry, error) {
	if _, err := e.Change(ctx, id); err != nil {
		return nil, err
	}
	return loadLog(ctx, e.store.Changes, id)
}

func loadLog(ctx context.Context, log *store.Log, id string) ([]handlers.LogEntry, error) {
	entries, err := log.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]handlers.LogEntry, len(entries))
	for i, entry := range entries {
		out[i] = handlers.LogEntry{ID: entry.ID, Seq: entry.Seq, Record: entry.Record}
	}
	return out, nil
}

// ExtendChange implements [handlers.Changes].
func (e *Engine) ExtendChange(ctx context.Context, by handlers.Actor, id string, closes time.Time, reason string) (backout.Change, error) {
	return e.knownChange(ctx, by, id, change.Extend{Closes: closes.UTC(), Reason: reason})
}

// CloseChange implements [handlers.Changes].
func (e *Engine) CloseChange(ctx context.Context, by handlers.Actor, id, reason string) (backout.Change, error) {
	return e.knownChange(ctx, by, id, change.Close{Reason: reason})
}

// CancelChange implements [handlers.Changes].
func (e *Engine) CancelChange(ctx context.Context, by handlers.Actor, id, reason string) (backout.Change, error) {
	return e.knownChange(ctx, by, id, change.Cancel{Reason: reason})
}

// PatchStarted implements [handlers.Changes].
func (e *Engine) PatchStarted(ctx context.Context, by handlers.Actor, id string) (backout.Change, error) {
	return e.knownChange(ctx, by, id, change.PatchStarted{})
}

// PatchEnded implements [handlers.Changes].
func (e *Engine) PatchEnded(ctx context.Context, by handlers.Actor, id string, exitCode int, targets ...string) (backout.Change, error) {
	return e.knownChange(ctx, by, id, change.PatchEnded{ExitCode: exitCode, Targets: targets})
}

func (e *Engine) knownChange(ctx context.Context, by handlers.Actor, id string, do change.Request) (backout.Change, error) {
	if _, err := e.Change(ctx, id); err != nil {
		return backout.Change{}, err
	}
	return e.changeInput(ctx, id, by.Name, do)
}
