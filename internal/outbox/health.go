package outbox

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// Health is how one channel does. It starts anew with the server.
type Health struct {
	// LastSuccess is when something was last delivered; zero when nothing was.
	LastSuccess time.Time
	// LastError is what the last failed try said, at LastErrorAt.
	LastError   string
	LastErrorAt time.Time
	// Waiting is how many notices wait for the channel.
	Waiting int
}

// Failing tells whether the last try failed.
func (h Health) Failing() bool { return h.LastErrorAt.After(h.LastSuccess) }

type health struct {
	mu       sync.Mutex
	channels map[string]Health
}

func (h *health) note(channel string, at time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.channels == nil {
		h.channels = map[string]Health{}
	}
	c := h.channels[channel]
	if err != nil {
		c.LastError, c.LastErrorAt = err.Error(), at
	} else {
		c.LastSuccess = at
	}
	h.channels[channel] = c
}

func (h *health) all() map[string]Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.channels)
}

// Health returns how every configured channel does.
func (b *Outbox) Health(ctx context.Context) (map[string]Health, error) {
	waiting, err := b.store.Waiting(ctx)
	if err != nil {
		return nil, fmt.Errorf("read health of channels: %w", err)
	}
	seen := b.health.all()
	out := map[string]Health{}
	for name := range b.config.Load().Channels {
		out[name] = seen[name]
	}
	for _, p := range waiting {
		if h, ok := out[p.Channel]; ok {
			h.Waiting++
			out[p.Channel] = h
		}
	}
	return out, nil
}
