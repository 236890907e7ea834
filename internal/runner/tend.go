package runner

import (
	"context"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
)

// CaptureLook says what is to be captured of a target, and by which plan.
type CaptureLook struct {
	Target   backout.Target
	ChangeID string
	Frozen   backout.FrozenPlan
}

// Capture looks at the target as the plan's baseline section says; see
// [capture.Take].
func (r *Runner) Capture(ctx context.Context, l CaptureLook) (backout.Inventory, error) {
	host, err := r.o.Hosts.For(l.Target)
	if err != nil {
		return backout.Inventory{}, backout.Permanent(err)
	}
	return capture.Take(ctx, host, l.Frozen.Plan.Baseline)
}

// Errand is what [Runner.Tend] does beside the steps of a rollback.
type Errand string

// The errands.
const (
	// ErrandPrepare makes what the way back needs: the Prepare of a level's step,
	// or the whole of a baseline step.
	ErrandPrepare Errand = "prepare"
	// ErrandCleanup removes what is not needed any more: the Cleanup of a step, or
	// the whole of a clean-up step.
	ErrandCleanup Errand = "cleanup"
	// ErrandRelease releases what the step holds.
	ErrandRelease Errand = "release"
)

// Tend runs an errand under the task's attempt, which has no rollback. It may be
// called again with the same attempt. An executor that has nothing to do for the
// errand does nothing and well.
func (r *Runner) Tend(ctx context.Context, frozen backout.FrozenPlan, errand Errand, t backout.Task) (backout.Prepared, error) {
	return backout.Prepared{}, fmt.Errorf("errand %s: %w", errand, backout.ErrUnavailable)
}
