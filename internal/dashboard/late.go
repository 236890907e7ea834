package dashboard

import (
	"context"
	"sync"
	"time"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// lateNotice is how long a notice may be on its way before people are told of it.
	lateNotice = time.Minute
	// lateFresh is how long a count is good, lateWait how long it may take: with a
	// channel down for hours there are many to read, and what is red must not wait.
	lateFresh = 15 * time.Second
	lateWait  = 250 * time.Millisecond
	// lateKept is for how many people counts are kept.
	lateKept = 256
)

// late counts the notices that should have arrived, for each who looks: it depends on
// what they may see.
type late struct {
	mu     sync.Mutex
	counts map[string]lateCount
}

type lateCount struct {
	at time.Time
	n  ui.Undelivered
}

func (l *late) count(ctx context.Context, q *query, control handlers.Control) ui.Undelivered {
	key := readerKey(q.by)
	l.mu.Lock()
	known, ok := l.counts[key]
	l.mu.Unlock()
	if ok && q.now.Sub(known.at) < lateFresh {
		return known.n
	}
	n := lateNow(ctx, q.now, control)
	if ctx.Err() != nil {
		return n // whoever asked went away: others count anew
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil || len(l.counts) >= lateKept {
		l.counts = map[string]lateCount{}
	}
	l.counts[key] = lateCount{q.now, n}
	return n
}

func lateNow(ctx context.Context, now time.Time, control handlers.Control) ui.Undelivered {
	ctx, cancel := context.WithTimeout(ctx, lateWait)
	defer cancel()
	notices, err := control.Notices(ctx)
	if err != nil {
		return ui.Undelivered{Unknown: true}
	}
	var out ui.Undelivered
	for i := range notices {
		if n := &notices[i]; n.GivenUp || now.Sub(n.Notice.At) > lateNotice {
			out.Count++
		}
	}
	return out
}
