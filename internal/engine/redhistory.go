package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/evidence"
	"github.com/backout-io/backout/internal/store"
)

const (
	// redFresh is how long an answer is given again without another look.
	redFresh = time.Second
	// redHistories is how many changes' histories are kept, redForget for how long
	// after somebody has asked.
	redHistories = 16
	redForget    = 10 * time.Minute
	// redReaders is how many are read at once.
	redReaders = 2
)

// histories are when the targets of changes were red, as far as anybody has asked. Of
// each, one read is under way at a time, whoever waits for it, and each read goes on
// where the last one ended: many who look at a change cost no more than one.
type histories struct {
	e     *Engine
	slots chan struct{}
	most  int // how many posts one read takes in

	mu   sync.Mutex
	byID map[string]*redHistory
}

// redHistory is that of one change.
type redHistory struct {
	id      string
	opened  time.Time
	targets []string
	how     string
	asked   time.Time // guarded by histories.mu

	mu sync.Mutex
	// reading is closed when the read under way has ended; nil when there is none.
	reading chan struct{}
	last    redAnswer

	// What follows belongs to the read under way.

	history *evidence.History
	after   store.Position
	kept    time.Time
	garbled int
}

// redAnswer is what a read has come to.
type redAnswer struct {
	handlers.RedHistory
	err error
	// at is when it was given, ended the end of the change that it knew of, posts how
	// many posts this server had heard of when it began.
	at    time.Time
	ended time.Time
	posts int64
	// whole says that all was read that there was, final that nothing can be added.
	whole, final bool
}

func newHistories(e *Engine) *histories {
	return &histories{e: e, slots: make(chan struct{}, redReaders), most: redReadMost, byID: map[string]*redHistory{}}
}

// RedHistory implements [handlers.Insight]. What it answers with is shared: it must not
// be changed. Before its window has opened, a change has no history.
func (e *Engine) RedHistory(ctx context.Context, changeID string) (handlers.RedHistory, error) {
	c, err := e.Change(ctx, changeID)
	if err != nil {
		return handlers.RedHistory{}, err
	}
	if c.OpenedAt.IsZero() {
		return handlers.RedHistory{From: c.PlannedAt, Until: c.PlannedAt, Targets: []handlers.TargetHistory{}}, nil
	}
	return e.histories.of(&c).answer(ctx, e, c)
}

// of finds what is known of the change, and forgets what nobody has asked for lately.
func (hs *histories) of(c *backout.Change) *redHistory {
	now, how := time.Now(), hs.e.cfg().counts()
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.byID[c.ID]
	if h == nil || h.how != how || !h.opened.Equal(c.OpenedAt) {
		h = &redHistory{id: c.ID, opened: c.OpenedAt, targets: c.Targets, how: how}
		hs.byID[c.ID] = h
	}
	h.asked = now
	oldest := h
	for id, other := range hs.byID {
		if now.Sub(other.asked) > redForget {
			delete(hs.byID, id)
		} else if other.asked.Before(oldest.asked) {
			oldest = other
		}
	}
	if len(hs.byID) > redHistories {
		delete(hs.byID, oldest.id)
	}
	return h
}

// counts says what of a config decides what counts as red, on which target.
func (cfg *Config) counts() string {
	how := strings.Join(cfg.Rules.TargetLabels(), ",")
	if cfg.Monitoring != nil {
		how += " " + cfg.Monitoring.Watchdog.String()
	}
	return how
}

// answer gives the last answer while it is fresh, or else waits for the read under way,
// which goes on for the others when ctx ends.
func (h *redHistory) answer(ctx context.Context, e *Engine, c backout.Change) (handlers.RedHistory, error) {
	h.mu.Lock()
	if last := h.last; last.fresh(c, time.Now()) {
		h.mu.Unlock()
		return last.RedHistory, nil
	}
	if h.reading == nil {
		h.reading = make(chan struct{})
		e.spawn(func(ctx context.Context) { h.refresh(ctx, e, c) })
	}
	reading := h.reading
	h.mu.Unlock()
	select {
	case <-reading:
	case <-ctx.Done():
		return handlers.RedHistory{}, ctx.Err()
	case <-e.ctx.Done():
		return handlers.RedHistory{}, fmt.Errorf("server stops: %w", backout.ErrUnavailable)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last.RedHistory, h.last.err
}

func (a *redAnswer) fresh(c backout.Change, now time.Time) bool {
	known := !a.at.IsZero() && a.err == nil && a.ended.Equal(c.EndedAt)
	return known && (a.final || now.Sub(a.at) < redFresh)
}

// refresh reads what has come in since the last answer, and gives another.
func (h *redHistory) refresh(ctx context.Context, e *Engine, c backout.Change) {
	h.mu.Lock()
	last := h.last
	h.mu.Unlock()
	next := h.next(ctx, e, c, last)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = next
	close(h.reading)
	h.reading = nil
}
