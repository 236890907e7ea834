package app

import (
	"context"
	"time"
)

// healthEvery is how often the store is asked how it is.
const healthEvery = 5 * time.Second

// watchHealth says once when the store stops taking writes, and once when it
// takes them again. While it does not, alerts are answered 503 and no rollback
// starts anything: every effect waits for its append.
func (a *App) watchHealth(ctx context.Context) {
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	well := true
	for {
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
		well = err == nil
	}
}
