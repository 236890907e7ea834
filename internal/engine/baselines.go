package engine

import (
	"context"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

var _ handlers.Baselines = (*Engine)(nil)

// CaptureBaseline implements [handlers.Baselines].
func (e *Engine) CaptureBaseline(_ context.Context, _ handlers.Actor, _ string) (backout.Change, error) {
	return backout.Change{}, backout.ErrUnavailable
}

// Baseline implements [handlers.Baselines].
func (e *Engine) Baseline(_ context.Context, _, _ string) (backout.Baseline, error) {
	return backout.Baseline{}, backout.ErrUnavailable
}

// Delta implements [handlers.Baselines].
func (e *Engine) Delta(_ context.Context, _, _ string) (backout.Delta, error) {
	return backout.Delta{}, backout.ErrUnavailable
}
