package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
)

const (
	// cleanAfter is how long after its end a rollback's targets are asked to forget
	// its attempts: until then a start that is stuck on its way must find that its
	// attempt was there. TCP gives up on what nobody acknowledges in about as long
	// (tcp(7), tcp_retries2).
	cleanAfter = 20 * time.Minute
	// cleanEvery is how often a target that was away is asked again, cleanFor how
	// long after the end.
	cleanEvery = 10 * time.Minute
	cleanFor   = 24 * time.Hour
	// cleanLook is how often it is looked for something to do.
	cleanLook = time.Minute
	// cleanTimeout bounds what one target may take, cleanParallel how many are asked
	// at once.
	cleanTimeout  = 30 * time.Second
	cleanParallel = 32
)

// cleaner removes what targets keep of rollbacks that have ended: those of the
// last day, so that neither a crash nor a target that was away leaves anything for
// good. What is left behind all the same costs a little disk, never correctness.
type cleaner struct {
	e *Engine

	mu sync.Mutex
	// next is when the targets of a rollback are to be asked.
	next map[string]time.Time
}

func newCleaner(e *Engine) *cleaner {
	return &cleaner{e: e, next: map[string]time.Time{}}
}

// rollbackEnded notes that there will be something to clean. Every server is told:
// the one that owns the rollback does it, and another where that one is gone.
func (c *cleaner) rollbackEnded(r backout.Rollback) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next[r.ID] = r.EndedAt.Add(cleanAfter)
}

func (c *cleaner) run(ctx context.Context) {
	ticker := time.NewTicker(cleanLook)
	defer ticker.Stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if first {
			// Of what ended before the start nobody knows whether it was cleaned.
			c.e.rollbacks.all(func(_ string, r backout.Rollback) {
				if r.Status.Final() && time.Since(r.EndedAt) < cleanFor {
					c.rollbackEnded(r)
				}
			})
		}
		c.round(ctx)
	}
}

// due are the rollbacks whose targets are to be asked now.
func (c *cleaner) due(now time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for id, at := range c.next {
		if !at.After(now) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *cleaner) round(ctx context.Context) {
	for _, id := range c.due(time.Now()) {
		if ctx.Err() != nil {
			return
		}
		r, _ := c.e.rollbacks.get(id)
		over := time.Since(r.EndedAt) >= cleanFor
		if c.e.owns(id) && !over {
			over = c.clean(ctx, r)
		}
		c.mu.Lock()
		if over {
			delete(c.next, id)
		} else {
			c.next[id] = time.Now().Add(cleanEvery)
		}
		c.mu.Unlock()
	}
}

// clean asks every target of the rollback, and tells whether all have forgotten.
// An attempt in doubt is kept: people may want to look at it.
func (c *cleaner) clean(ctx context.Context, r backout.Rollback) bool {
	var left atomic.Bool
	slots := make(chan struct{}, cleanParallel)
	var all sync.WaitGroup
	for i, t := range r.Targets {
		target, known := c.e.cfg().Inventory[t.Name]
		if !known || t.Attempt == nil || t.Phase == backout.TargetInDoubt {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			asking, cancel := context.WithTimeout(ctx, cleanTimeout)
			defer cancel()
			if err := c.e.cfg().site(target).Forget(asking, target, attemptsOf(r, i)); err != nil {
				left.Store(true)
				c.e.log.Debug("attempts not forgotten, trying again", "rollback_id", r.ID, "target", t.Name, "error", err)
			}
		})
	}
	all.Wait()
	return !left.Load()
}

// attemptsOf are the ids that attempts on the rollback's i-th target can have had.
func attemptsOf(r backout.Rollback, i int) []string {
	var ids []string
	for level := r.StartAt; level <= r.Level; level++ {
		for step := range r.Frozen.Plan.Levels[level].Steps {
			for number := range max(r.Targets[i].Tries, r.Targets[i].Attempt.Number) {
				ids = append(ids, backout.AttemptID(r.ID, level, step, i, number+1))
			}
		}
	}
	return ids
}
