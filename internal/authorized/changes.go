package authorized

import (
	"context"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

type changes struct {
	*guard
	inner handlers.Changes
}

func changing(by handlers.Actor, call, id string) want {
	return want{by: by, action: access.ActionChange, call: call, on: id}
}

// PlanChange implements [handlers.Changes].
func (s *changes) PlanChange(ctx context.Context, by handlers.Actor, spec backout.ChangeSpec) (backout.Change, error) {
	if err := s.targets(ctx, changing(by, "PlanChange", spec.ID), spec.Targets); err != nil {
		return backout.Change{}, err
	}
	return s.inner.PlanChange(ctx, by, spec)
}

// ListChanges implements [handlers.Changes].
func (s *changes) ListChanges(ctx context.Context, f handlers.ChangeFilter) ([]backout.Change, error) {
	if err := s.somewhere(ctx, reading(ctx, "ListChanges", "")); err != nil {
		return nil, err
	}
	list, err := s.inner.ListChanges(ctx, f)
	return slices.DeleteFunc(list, func(c backout.Change) bool { return !s.sees(ctx, c.Targets) }), err
}

// Change implements [handlers.Changes].
func (s *changes) Change(ctx context.Context, id string) (backout.Change, error) {
	c, err := s.change(ctx, reading(ctx, "Change", id))
	if err != nil {
		return backout.Change{}, err
	}
	return c, nil
}

// ChangeLog implements [handlers.Changes].
func (s *changes) ChangeLog(ctx context.Context, id string) ([]handlers.LogEntry, error) {
	if _, err := s.change(ctx, reading(ctx, "ChangeLog", id)); err != nil {
		return nil, err
	}
	return s.inner.ChangeLog(ctx, id)
}

// CheckGate implements [handlers.Changes]. Its answer is kept, and a yes makes the
// change ready.
func (s *changes) CheckGate(ctx context.Context, by handlers.Actor, id string) (handlers.GateResult, error) {
	if _, err := s.change(ctx, changing(by, "CheckGate", id)); err != nil {
		return handlers.GateResult{}, err
	}
	return s.inner.CheckGate(ctx, by, id)
}

// OpenChange implements [handlers.Changes].
func (s *changes) OpenChange(ctx context.Context, by handlers.Actor, id string) (backout.Change, error) {
	if _, err := s.change(ctx, changing(by, "OpenChange", id)); err != nil {
		return backout.Change{}, err
	}
	return s.inner.OpenChange(ctx, by, id)
}

// ExtendChange implements [handlers.Changes].
func (s *changes) ExtendChange(ctx context.Context, by handlers.Actor, id string, closes time.Time, reason string) (backout.Change, error) {
	if _, err := s.change(ctx, changing(by, "ExtendChange", id)); err != nil {
		return backout.Change{}, err
	}
	return s.inner.ExtendChange(ctx, by, id, closes, reason)
}

// CloseChange implements [handlers.Changes].
func (s *changes) CloseChange(ctx context.Context, by handlers.Actor, id, reason string) (backout.Change, error) {
	if _, err := s.change(ctx, changing(by, "CloseChange", id)); err != nil {
		return backout.Change{}, err
	}
	return s.inner.CloseChange(ctx, by, id, reason)
}

// CancelChange implements [handlers.Changes].
func (s *changes) CancelChange(ctx context.Context, by handlers.Actor, id, reason string) (backout.Change, error) {
	if _, err := s.change(ctx, changing(by, "CancelChange", id)); err != nil {
		return backout.Change{}, err
	}
	return s.inner.CancelChange(ctx, by, id, reason)
}

// PatchStarted implements [handlers.Changes].
func (s *changes) PatchStarted(ctx context.Context, by handlers.Actor, id string) (backout.Change, error) {
	if _, err := s.change(ctx, changing(by, "PatchStarted", id)); err != nil {
		return backout.Change{}, err
	}
	return s.inner.PatchStarted(ctx, by, id)
}

// PatchEnded implements [handlers.Changes].
func (s *changes) PatchEnded(ctx context.Context, by handlers.Actor, id string, exitCode int, targets ...string) (backout.Change, error) {
	if err := s.some(ctx, changing(by, "PatchEnded", id), targets); err != nil {
		return backout.Change{}, err
	}
	return s.inner.PatchEnded(ctx, by, id, exitCode, targets...)
}

// some refuses what the actor may not do to these targets of a change, or to all of
// them when none is named.
func (g *guard) some(ctx context.Context, w want, targets []string) error {
	if len(targets) > 0 {
		return g.targets(ctx, w, targets)
	}
	_, err := g.change(ctx, w)
	return err
}
