package authorized

import (
	"context"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

type baselines struct {
	*guard
	inner handlers.Baselines
}

// CaptureBaseline implements [handlers.Baselines].
func (s *baselines) CaptureBaseline(ctx context.Context, by handlers.Actor, changeID string) (backout.Change, error) {
	if _, err := s.change(ctx, changing(by, "CaptureBaseline", changeID)); err != nil {
		return backout.Change{}, err
	}
	return s.inner.CaptureBaseline(ctx, by, changeID)
}

// Baseline implements [handlers.Baselines].
func (s *baselines) Baseline(ctx context.Context, changeID, target string) (backout.Baseline, error) {
	if err := s.targets(ctx, reading(ctx, "Baseline", changeID), []string{target}); err != nil {
		return backout.Baseline{}, err
	}
	return s.inner.Baseline(ctx, changeID, target)
}

// Delta implements [handlers.Baselines].
func (s *baselines) Delta(ctx context.Context, changeID, target string) (backout.Delta, error) {
	if err := s.targets(ctx, reading(ctx, "Delta", changeID), []string{target}); err != nil {
		return backout.Delta{}, err
	}
	return s.inner.Delta(ctx, changeID, target)
}

// Drift implements [handlers.Baselines].
func (s *baselines) Drift(ctx context.Context, by handlers.Actor, changeID string, targets []string) ([]backout.Drift, error) {
	w := want{by: by, action: access.ActionLook, call: "Drift", on: changeID}
	if err := s.some(ctx, w, targets); err != nil {
		return nil, err
	}
	return s.inner.Drift(ctx, by, changeID, targets)
}

// DriftReport implements [handlers.Baselines]. Whose it is stands in it.
func (s *baselines) DriftReport(ctx context.Context, digest string) (backout.Drift, error) {
	w := reading(ctx, "DriftReport", digest)
	if err := s.somewhere(ctx, w); err != nil {
		return backout.Drift{}, err
	}
	d, err := s.inner.DriftReport(ctx, digest)
	if err == nil {
		err = s.targets(ctx, w, []string{d.Target})
	}
	if err != nil {
		return backout.Drift{}, err
	}
	return d, nil
}

// Holds implements [handlers.Baselines].
func (s *baselines) Holds(ctx context.Context, all bool) ([]backout.Hold, error) {
	if err := s.somewhere(ctx, reading(ctx, "Holds", "")); err != nil {
		return nil, err
	}
	list, err := s.inner.Holds(ctx, all)
	return slices.DeleteFunc(list, func(h backout.Hold) bool { return !s.sees(ctx, []string{h.Target}) }), err
}

// ReleaseHold implements [handlers.Baselines].
func (s *baselines) ReleaseHold(ctx context.Context, by handlers.Actor, changeID, target, reason string) (backout.Hold, error) {
	w := want{by: by, action: access.ActionGoOn, call: "ReleaseHold", on: changeID}
	if err := s.targets(ctx, w, []string{target}); err != nil {
		return backout.Hold{}, err
	}
	return s.inner.ReleaseHold(ctx, by, changeID, target, reason)
}
