package engine

import (
	"context"
	"time"

	"github.com/backout-io/backout"
)

const (
	// cleanEvery is how often targets are asked again to forget the attempts of
	// rollbacks that have ended, cleanFor how long after the end.
	cleanEvery = 10 * time.Minute
	cleanFor   = 24 * time.Hour
	// cleanTimeout bounds what one target may take.
	cleanTimeout = 30 * time.Second
)

// cleaner removes what targets keep of rollbacks that have ended: those of the
// last day, so that neither a crash nor a target that was away leaves anything for
// good. What is left behind all the same costs a little disk, never correctness.
type cleaner struct {
	e *Engine
	// done are the rollbacks whose targets have forgotten everything.
	done map[string]bool
	// ended brings rollbacks that have just ended.
	ended chan backout.Rollback
}

func newCleaner(e *Engine) *cleaner {
	return &cleaner{e: e, done: map[string]bool{}, ended: make(chan backout.Rollback, 256)}
}

// rollbackEnded asks for a cleaning soon; when there is much to do already, the
// next round finds it.
func (c *cleaner) rollbackEnded(r backout.Rollback) {
	select {
	case c.ended <- r:
	default:
	}
}

func (c *cleaner) run(ctx context.Context) {
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	c.round(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-c.ended:
			c.clean(ctx, r)
		case <-ticker.C:
			c.round(ctx)
		}
	}
}

func (c *cleaner) round(ctx context.Context) {
	since := time.Now().Add(-cleanFor)
	c.e.rollbacks.all(func(id string, r backout.Rollback) {
		switch {
		case !r.Status.Final() || ctx.Err() != nil:
		case r.EndedAt.Before(since):
			delete(c.done, id)
		case c.e.owns(id):
			c.clean(ctx, r)
		}
	})
}

// clean asks every target of the rollback. An attempt in doubt is kept: people may
// want to look at it.
func (c *cleaner) clean(ctx context.Context, r backout.Rollback) {
	if c.done[r.ID] {
		return
	}
	whole := true
	for i, t := range r.Targets {
		target, known := c.e.cfg().Inventory[t.Name]
		if !known || t.Attempt == nil || t.Phase == backout.TargetInDoubt {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, cleanTimeout)
		err := c.e.cfg().site(target).Forget(asking, target, attemptsOf(r, i))
		cancel()
		if err != nil {
			whole = false
			c.e.log.Debug("attempts not forgotten, trying again", "rollback_id", r.ID, "target", t.Name, "error", err)
		}
	}
	if whole {
		c.done[r.ID] = true
	}
}

// attemptsOf are the ids that attempts on the rollback's i-th target can have had.
func attemptsOf(r backout.Rollback, i int) []string {
	var ids []string
	for level := r.StartAt; level <= r.Level; level++ {
		for step := range r.Frozen.Plan.Levels[level].Steps {
			for number := range r.Targets[i].Attempt.Number {
				ids = append(ids, backout.AttemptID(r.ID, level, step, i, number+1))
			}
		}
	}
	return ids
}
