package outbox

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/store"
)

const (
	// againFirst is how long after its first try a question that was given up is handed
	// over again when no config was read since: its channel's other side may have been
	// repaired, or another server has been given the new secret. It doubles with every
	// try, up to againLast.
	againFirst = 30 * time.Second
	againLast  = 10 * time.Minute
)

// againAfter is how long a question waits after so many tries.
func againAfter(tries int) time.Duration {
	wait := againFirst
	for range tries - 1 {
		if wait = 2 * wait; wait >= againLast {
			return againLast
		}
	}
	return wait
}

// handed is when this server last handed over again what was given up, or saw first that
// it was: by its own clock alone, since those of others may be wrong.
type handed struct {
	mu   sync.Mutex
	last map[handedKey]time.Time
}

type handedKey struct{ channel, noticeID string }

// due tells whether it may help to hand the notice over again now, and counts on it that
// this is done. Where this server sees it for the first time, that is so when it was given
// up before the config was read: the channel may be another one by now.
func (h *handed) due(w way, d store.Delivery, configRead time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	key, now := handedKey{w.channel, w.notice.ID}, time.Now()
	last, seen := h.last[key]
	due := seen && (last.Before(configRead) || now.Sub(last) >= againAfter(d.Tries)) || !seen && d.At.Before(configRead)
	if seen && !due {
		return false
	}
	if h.last == nil {
		h.last = map[handedKey]time.Time{}
	}
	// What was asked about for so long no more has been answered.
	maps.DeleteFunc(h.last, func(_ handedKey, at time.Time) bool { return now.Sub(at) > 2*againLast })
	h.last[key] = now
	return due
}

// handOver queues the question anew on a channel that has given it up, when that may help.
// It finishes too what such a call has begun: so it is asked whatever stands by now.
func (b *Outbox) handOver(ctx context.Context, w way, d store.Delivery) {
	if !b.handed.due(w, d, b.config.Load().read) {
		return
	}
	log := b.log.With("channel", w.channel, "notice", w.notice.ID)
	if d.GivenUp {
		log.Info("a question that was given up is handed over again: it is still open")
	}
	if err := fitting(w.notice, func(n backout.Notice) error { return b.store.Again(ctx, w.channel, n) }); err != nil {
		log.Warn("a question that was given up was not handed over again", "error", err)
	}
}
