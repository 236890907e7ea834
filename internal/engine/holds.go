package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/runner"
)

// releasePrefix begins the keys of what is known of released holds, each named after
// its change and target.
const releasePrefix = "holds/"

func releaseKey(changeID, target string) string { return releasePrefix + changeID + "/" + target }

// released is what is known of the releases of a change's holds on a target.
type released struct {
	// Tries counts the releases that were tried; each has its own attempts.
	Tries int `json:"tries"`
	// At, By and Reason are of the last one that went well. What was placed later is
	// held again.
	At     time.Time `json:"at,omitzero"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// of is the hold as it stands after the releases.
func (r released) of(h backout.Hold) backout.Hold {
	if !r.At.IsZero() && !h.PlacedAt.After(r.At) {
		h.ReleasedAt, h.ReleasedBy, h.Reason = r.At, r.By, r.Reason
	}
	return h
}

// Holds implements [handlers.Baselines].
func (e *Engine) Holds(ctx context.Context, all bool) ([]backout.Hold, error) {
	keys, err := e.store.Control.Keys(ctx, releasePrefix)
	if err != nil {
		return nil, fmt.Errorf("read releases of holds: %w", err)
	}
	known := map[string]released{}
	for _, key := range keys {
		if known[key], _, err = e.released(ctx, key); err != nil {
			return nil, err
		}
	}
	if !e.sole {
		e.rollbacks.catchUp(ctx)
	}
	var out []backout.Hold
	e.rollbacks.all(func(_ string, r backout.Rollback) {
		for _, h := range holdsOf(r, "") {
			if h = known[releaseKey(h.ChangeID, h.Target)].of(h); all || h.ReleasedAt.IsZero() {
				out = append(out, h)
			}
		}
	})
	newestFirst(out)
	return out, nil
}

func newestFirst(holds []backout.Hold) {
	slices.SortFunc(holds, func(a, b backout.Hold) int {
		return cmp.Or(b.PlacedAt.Compare(a.PlacedAt), cmp.Compare(a.RollbackID, b.RollbackID), cmp.Compare(a.Target, b.Target))
	})
}

// holdsOf are the holds that a rollback's steps have placed on the target, or on any
// where none is named.
func holdsOf(r backout.Rollback, target string) []backout.Hold {
	var out []backout.Hold
	for _, t := range r.Targets {
		if len(t.Held) > 0 && (target == "" || t.Name == target) {
			out = append(out, backout.Hold{ChangeID: r.ChangeID, RollbackID: r.ID, Target: t.Name, Packages: t.Held, PlacedAt: t.HeldAt})
		}
	}
	return out
}

// ReleaseHold implements [handlers.Baselines]. It releases what steps of the change
// hold on the target, whether the change has ended or not, and then writes it down.
// What is released already is no error.
func (e *Engine) ReleaseHold(ctx context.Context, by handlers.Actor, changeID, target, reason string) (backout.Hold, error) {
	if strings.TrimSpace(reason) == "" {
		return backout.Hold{}, fmt.Errorf("say why: the patch may come back: %w", backout.ErrInvalid)
	}
	c, err := e.upToDate(ctx, changeID)
	if err != nil {
		return backout.Hold{}, err
	}
	holds := e.holdsOn(ctx, c, target)
	key := releaseKey(changeID, target)
	state, _, err := e.released(ctx, key)
	switch active := c.ActiveRollback(target); {
	case err != nil:
		return backout.Hold{}, err
	case target == "", len(holds) == 0:
		return backout.Hold{}, fmt.Errorf("hold of change %s on target %q: %w", changeID, target, backout.ErrNotFound)
	case active != "":
		return backout.Hold{}, fmt.Errorf("rollback %s is not over on target %s, it may hold again: %w", active, target, backout.ErrRefused)
	}
	if h := state.of(holds[0]); !h.ReleasedAt.IsZero() {
		return h, nil
	}
	return e.release(ctx, by, c, holds[0], clip(reason, reasonMax))
}

// holdsOn are the holds of the change on the target, the newest first.
func (e *Engine) holdsOn(ctx context.Context, c backout.Change, target string) []backout.Hold {
	if !e.sole {
		e.rollbacks.catchUp(ctx)
	}
	var out []backout.Hold
	for _, ref := range c.Rollbacks {
		r, _ := e.rollbacks.get(ref.ID)
		out = append(out, holdsOf(r, target)...)
	}
	newestFirst(out)
	return out
}

// release releases a hold on its target, then in the store. The number comes first:
// an attempt that failed is never asked again under its id.
func (e *Engine) release(ctx context.Context, by handlers.Actor, c backout.Change, h backout.Hold, reason string) (backout.Hold, error) {
	key := releaseKey(h.ChangeID, h.Target)
	state, err := e.changeReleased(ctx, key, func(r *released) { r.Tries++ })
	if err != nil {
		return backout.Hold{}, err
	}
	began := time.Now().UTC()
	if err := e.tendRelease(ctx, c, h.Target, state.Tries); err != nil {
		return backout.Hold{}, fmt.Errorf("release hold of change %s on target %s: %w", h.ChangeID, h.Target, err)
	}
	// Another release may have come first: then it stands as that one has it.
	state, err = e.changeReleased(context.WithoutCancel(ctx), key, func(r *released) {
		if r.At.Before(h.PlacedAt) {
			r.At, r.By, r.Reason = began, by.Name, reason
		}
	})
	if err != nil {
		return backout.Hold{}, fmt.Errorf("released on target %s, and not written down, release it again: %w", h.Target, err)
	}
	e.news.tell()
	e.log.Info("hold released", "change_id", h.ChangeID, "target", h.Target, "by", by.Name, "reason", reason)
	return state.of(h), nil
}

// releaseMost is how long a release may take on its target.
const releaseMost = 10 * time.Minute

// tendRelease lets every step of the plan's levels release what it holds on the
// target. Steps that hold nothing do nothing.
func (e *Engine) tendRelease(ctx context.Context, c backout.Change, name string, try int) error {
	ctx, cancel := context.WithTimeout(ctx, releaseMost)
	defer cancel()
	target, ok := e.cfg().Inventory[name]
	if !ok {
		return fmt.Errorf("it is not in the inventory any more: %w", backout.ErrNotFound)
	}
	if c.Frozen == nil {
		return fmt.Errorf("change %s has no frozen plan: %w", c.ID, backout.ErrRefused)
	}
	site := e.cfg().site(target)
	var ids []string
	for l, level := range c.Frozen.Plan.Levels {
		for s, step := range level.Steps {
			id := runner.ReleaseID(c.ID, try, runner.LevelPart(l), s, max(0, slices.Index(c.Targets, name)))
			task := backout.Task{
				AttemptID: id, ChangeID: c.ID, Level: level.Name, Step: step, Target: target, PlanHash: c.Frozen.Hash,
				Facts: facts(backout.Rollback{ChangeID: c.ID, Patch: c.Patch}, &level, target, id),
			}
			if err := e.fillTask(ctx, c, &task); err != nil {
				return err
			}
			if _, err := site.Tend(ctx, *c.Frozen, runner.ErrandRelease, task); err != nil {
				return fmt.Errorf("%s, step %d: %w", level.Name, s+1, err)
			}
			ids = append(ids, id)
		}
	}
	if err := site.Forget(ctx, target, ids); err != nil {
		e.log.Debug("attempts of a release not forgotten", "change_id", c.ID, "target", name, "error", err)
	}
	return nil
}

// released reads what is known under the key, and its revision: 0 for nothing.
func (e *Engine) released(ctx context.Context, key string) (r released, revision uint64, err error) {
	doc, err := e.store.Control.Get(ctx, key)
	if errors.Is(err, backout.ErrNotFound) {
		return released{}, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(doc.Value, &r)
	}
	if err != nil {
		return released{}, 0, fmt.Errorf("read releases of holds: %w", err)
	}
	return r, doc.Revision, nil
}

// changeReleased changes it by compare-and-set, until it has.
func (e *Engine) changeReleased(ctx context.Context, key string, change func(*released)) (released, error) {
	for {
		r, revision, err := e.released(ctx, key)
		if err != nil {
			return released{}, err
		}
		change(&r)
		data, err := json.Marshal(r)
		if err == nil {
			_, err = e.store.Control.Put(ctx, key, data, revision)
		}
		switch {
		case err == nil:
			return r, nil
		case !errors.Is(err, backout.ErrConflict):
			return released{}, err
		}
	}
}
