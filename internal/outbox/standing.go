package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/backout-io/backout/internal/store"
)

// keepPatience bounds how long a delivery waits until it is kept how it ended.
const keepPatience = 5 * time.Second

// Standing is how one channel does, by what every server knows of it. It goes by the
// channel's name, and is for people: what it says decides nothing.
type Standing struct {
	store.ChannelHealth
	// Waiting is how many notices wait for it.
	Waiting int
	// Why says why nobody can be told by it, or can answer; empty also when it is not
	// known yet.
	Why string
	// GivenUp is how many of its notices were given up, the last one at GaveUpAt
	// because of GaveUpFor.
	GivenUp   int
	GaveUpAt  time.Time
	GaveUpFor string
	// oldest is since when the oldest that waits was put there.
	oldest time.Time
}

// Standing returns how every configured channel does. Notices that were given up count
// when that was after since.
func (b *Outbox) Standing(ctx context.Context, since time.Time) (map[string]Standing, error) {
	list, err := b.List(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]Standing{}
	for name := range b.config.Load().Channels {
		health, err := b.store.Health(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read how channels do: %w", err)
		}
		out[name] = Standing{ChannelHealth: health}
	}
	for _, p := range list.Waiting {
		if s, ok := out[p.Channel]; ok {
			out[p.Channel] = s.with(p)
		}
	}
	for _, p := range list.GivenUp {
		s, ok := out[p.Channel]
		if !ok || !p.LastTry.After(since) {
			continue
		}
		s.GivenUp++
		if p.LastTry.After(s.GaveUpAt) {
			s.GaveUpAt, s.GaveUpFor = p.LastTry, p.LastError
		}
		out[p.Channel] = s
	}
	for name, s := range out {
		s.Why = b.whyNot(name, s)
		out[name] = s
	}
	return out, nil
}

// with adds a notice that waits.
func (s Standing) with(p store.Pending) Standing {
	s.Waiting++
	if s.oldest.IsZero() || p.Since.Before(s.oldest) {
		s.oldest = p.Since
	}
	if p.Tries > 0 && p.PartlyAt.IsZero() && p.LastTry.After(s.LastErrorAt) {
		s.LastError, s.LastErrorAt = p.LastError, p.LastTry
	}
	return s
}

func (b *Outbox) whyNot(name string, s Standing) (why string) {
	idle := time.Since(s.oldest)
	if s.LastSuccess.After(s.oldest) {
		idle = time.Since(s.LastSuccess)
	}
	switch {
	case s.Failing():
		return s.LastError
	case s.Waiting > 0 && idle > reachPatience:
		return fmt.Sprintf("it has taken nothing for %s", idle.Truncate(time.Second))
	case b.answers != nil:
		_, why = b.answers(name)
	}
	return why
}

// tried keeps how a try has ended where every server reads it.
func (b *Outbox) tried(ctx context.Context, channel string, why error) {
	ctx, cancel := context.WithTimeout(ctx, keepPatience)
	defer cancel()
	if err := b.store.Tried(ctx, channel, time.Now().UTC(), why); err != nil {
		b.log.Warn("it is not kept how a delivery has ended", "channel", channel, "error", err)
	}
}
