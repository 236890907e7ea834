package app

import (
	"context"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// healthEvery is how often the store is asked how it is.
const healthEvery = 5 * time.Second

// watchHealth says once when the store stops taking writes, and once when it
// takes them again. While it does not, alerts are answered 503 and no rollback
// starts anything: every effect waits for its append.
func (a *App) watchHealth(ctx context.Context) {
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	for {
		well := !a.refusing.Load()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := a.bus.Health(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && well:
			a.o.Log.ErrorContext(ctx, "the store takes no writes: alerts are refused and no rollback starts anything until it does; after a full disk, make room and restart", "error", err)
		case err == nil && !well:
			a.o.Log.InfoContext(ctx, "the store takes writes again")
		}
		a.refusing.Store(err != nil)
	}
}

// admission refuses at once while the store is known to take no writes: a sender
// that waits for a time-out each time would stop sending others.
type admission struct{ app *App }

// Accept implements [handlers.Intake].
func (i admission) Accept(ctx context.Context, in handlers.Delivery) error {
	if i.app.refusing.Load() {
		return fmt.Errorf("the store takes no writes: %w", backout.ErrUnavailable)
	}
	return i.app.engine.Accept(ctx, in)
}
