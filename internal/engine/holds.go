package engine

import (
	"context"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Holds implements [handlers.Baselines].
func (e *Engine) Holds(_ context.Context, _ bool) ([]backout.Hold, error) {
	return nil, backout.ErrUnavailable
}

// ReleaseHold implements [handlers.Baselines].
func (e *Engine) ReleaseHold(_ context.Context, _ handlers.Actor, _, _, _ string) (backout.Hold, error) {
	return backout.Hold{}, backout.ErrUnavailable
}
