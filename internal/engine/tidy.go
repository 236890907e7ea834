package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/runner"
)

// tidyTimeout bounds what one target may take to remove what was made for the way
// back; a snapshot takes its time.
const tidyTimeout = 10 * time.Minute

// tidier removes what was made on targets for the way back of changes that have
// ended: those of the last day, so that neither a crash nor a target that was away
// leaves anything for good. After a failed back-out nothing is removed: people need
// it, and the notice of the end says so.
type tidier struct {
	e *Engine

	mu sync.Mutex
	// next is when the targets of a change are to be asked; done are those that
	// have nothing left.
	next map[string]time.Time
	done map[string]*sync.Map
	// late are changes for which this server has made something after they had
	// ended: the one that owns them may have been round by then.
	late map[string]bool
}

func newTidier(e *Engine) *tidier {
	return &tidier{e: e, next: map[string]time.Time{}, done: map[string]*sync.Map{}, late: map[string]bool{}}
}

// tidied tells whether something was made for the change that has to go.
func tidied(c backout.Change) bool {
	return c.Captures > 0 && c.State.Final() && c.State != backout.ChangeBackoutFailed && time.Since(c.EndedAt) < cleanFor
}

// changeEnded notes that there is something to remove. Every server is told: the
// one that owns the change does it, and another where that one is gone.
func (t *tidier) changeEnded(c backout.Change) {
	if !tidied(c) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.done, c.ID)
	t.next[c.ID] = time.Now()
}

// madeLate notes that this server itself has to clean up after a change that had
// ended while it made something for it.
func (t *tidier) madeLate(c backout.Change) {
	t.mu.Lock()
	t.late[c.ID] = true
	t.mu.Unlock()
	t.changeEnded(c)
}

// isMine tells whether this server cleans up after the change.
func (t *tidier) isMine(id string) bool {
	t.mu.Lock()
	late := t.late[id]
	t.mu.Unlock()
	return late || t.e.owns(id)
}

func (t *tidier) run(ctx context.Context) {
	ticker := time.NewTicker(cleanLook)
	defer ticker.Stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if first {
			// Of what ended before the start nobody knows whether anything is left.
			t.e.changes.all(func(_ string, c backout.Change) { t.changeEnded(c) })
		}
		t.round(ctx)
	}
}

func (t *tidier) round(ctx context.Context) {
	for _, id := range t.due(time.Now()) {
		if ctx.Err() != nil {
			return
		}
		c, _ := t.e.changes.get(id)
		over, mine := !tidied(c), t.isMine(id)
		switch {
		case mine && over:
			t.e.log.Error("what was made for the way back stays on targets, remove it by hand: it is not tried any more", "change_id", id)
		case mine:
			over = t.tidy(ctx, c)
		}
		t.mu.Lock()
		switch _, anew := t.next[id]; {
		case anew: // something was made meanwhile, behind this look
		case over:
			delete(t.done, id)
			delete(t.late, id)
		default:
			t.next[id] = time.Now().Add(cleanEvery)
		}
		t.mu.Unlock()
	}
}

// due takes what is due out of what is to come.
func (t *tidier) due(now time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []string
	for id, at := range t.next {
		if !at.After(now) {
			ids = append(ids, id)
			delete(t.next, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// tidy asks every target of the change, and tells whether nothing is left on any.
func (t *tidier) tidy(ctx context.Context, c backout.Change) bool {
	cfg := t.e.cfg()
	frozen := c.Frozen
	if frozen == nil { // it was cancelled after a capture
		plan, ok := cfg.Plans[c.Plan]
		if !ok {
			t.e.log.Warn("what was made for a cancelled change stays on its targets: its plan is gone", "change_id", c.ID)
			return true
		}
		now := planhash.Freeze(plan)
		frozen = &now
	}
	var left atomic.Bool
	done := t.doneOf(c.ID)
	cfg.each(ctx, c, tidyTimeout, func(ctx context.Context, i int, target backout.Target) {
		if _, ok := done.Load(target.Name); ok {
			return
		}
		s := surveyed{e: t.e, cfg: cfg, c: c, frozen: *frozen, target: target}
		if err := t.target(ctx, i, s); err != nil {
			left.Store(true)
			t.e.log.Warn("what was made for the way back is not removed, trying again", "change_id", c.ID, "target", target.Name, "error", err)
			return
		}
		done.Store(target.Name, true)
	})
	return !left.Load() && ctx.Err() == nil
}

// doneOf are the targets of the change that have nothing left. They are begun anew
// when something is made meanwhile.
func (t *tidier) doneOf(id string) *sync.Map {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done[id] == nil {
		t.done[id] = &sync.Map{}
	}
	return t.done[id]
}

// target runs the clean-up of one target: that of every executor, in the opposite
// order of making, then the plan's own steps; and lets it forget the attempts.
func (t *tidier) target(ctx context.Context, i int, s surveyed) error {
	made := slices.Concat(stepsOf(s.frozen.Plan), baselineStepsOf(s.frozen.Plan))
	slices.Reverse(made)
	number := t.number(s.c)
	var forget []string
	for _, st := range slices.Concat(made, cleanupStepsOf(s.frozen.Plan)) {
		id := runner.CleanupID(s.c.ID, number, st.part(), st.index, i)
		if _, err := s.tend(ctx, st, runner.ErrandCleanup, id); err != nil {
			return fmt.Errorf("clean up after %s: %w", st.Uses, err)
		}
		forget = append(forget, id)
	}
	for n := range s.c.Captures {
		cp := capturing{c: s.c, number: n + 1}
		for _, st := range made {
			forget = append(forget, cp.attemptID(st, i))
			if st.level.Name == backout.LevelBaseline { // removed again where the window stayed shut
				forget = append(forget, runner.CleanupID(s.c.ID, n+1, st.part(), st.index, i))
			}
		}
	}
	return s.cfg.site(s.target).Forget(ctx, s.target, forget)
}

// number grows with each try, whichever server makes it: an attempt that failed is
// not asked again.
func (t *tidier) number(c backout.Change) int {
	return c.Captures + 1 + int(time.Since(c.EndedAt)/cleanEvery)
}
