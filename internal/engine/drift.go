package engine

import (
	"context"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Drift implements [handlers.Baselines].
func (e *Engine) Drift(_ context.Context, _ handlers.Actor, _ string, _ []string) ([]backout.Drift, error) {
	return nil, backout.ErrUnavailable
}

// DriftReport implements [handlers.Baselines].
func (e *Engine) DriftReport(_ context.Context, _ string) (backout.Drift, error) {
	return backout.Drift{}, backout.ErrUnavailable
}
