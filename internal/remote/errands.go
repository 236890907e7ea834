package remote

import (
	"context"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/runner"
)

// Capture looks at the target through a runner of its site.
func (s *Site) Capture(_ context.Context, _ runner.CaptureLook) (backout.Inventory, error) {
	return backout.Inventory{}, backout.ErrUnavailable
}

// Tend runs an errand through a runner of the target's site.
func (s *Site) Tend(_ context.Context, _ backout.FrozenPlan, _ runner.Errand, _ backout.Task) (backout.Prepared, error) {
	return backout.Prepared{}, backout.ErrUnavailable
}
