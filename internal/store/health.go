package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/backout-io/backout"
)

// healthPrefix holds how each channel did last, by channel.
const healthPrefix = "$KV.BACKOUT_RECEIPTS.health."

const (
	// healthEvery is how often it is written at most that a channel works still, or
	// fails still: not once for each notice of a storm.
	healthEvery = 10 * time.Second
	// healthReason bounds what is kept of an error, in bytes.
	healthReason = 300
)

// ChannelHealth is how a channel did last, on whichever server.
type ChannelHealth struct {
	// LastSuccess is when something was last delivered; zero when nothing was.
	LastSuccess time.Time `json:"last_success,omitzero"`
	// LastError is what the last failed try said, at LastErrorAt.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// Missed says who did not get what was last delivered, and why; empty when everybody did.
	Missed string `json:"missed,omitempty"`
}

// Failing tells whether the last try failed.
func (h ChannelHealth) Failing() bool { return h.LastErrorAt.After(h.LastSuccess) }

// last is when the last try was.
func (h ChannelHealth) last() time.Time {
	if h.Failing() {
		return h.LastErrorAt
	}
	return h.LastSuccess
}

// after is the health once a try has ended at that time; why says how it failed. What
// is told later counts as later, whatever the clock of its server says: a channel's
// deliveries are one after the other, on all servers.
func (h ChannelHealth) after(at time.Time, why error) ChannelHealth {
	if last := h.last(); !at.After(last) {
		at = last.Add(time.Nanosecond)
	}
	var partly *backout.PartlyError
	switch {
	case why == nil:
		h.LastSuccess, h.Missed = at, ""
	case errors.As(why, &partly):
		h.LastSuccess, h.Missed = at, shortReason(why)
	default:
		h.LastError, h.LastErrorAt = shortReason(why), at
	}
	return h
}

func shortReason(why error) string {
	text := why.Error()
	if len(text) <= healthReason {
		return text
	}
	end := healthReason
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + " …"
}

// Tried keeps how a try to deliver something by the channel has ended, for every
// server: why is nil when it arrived, and a [backout.PartlyError] when it did for some. It is written when it is another answer than
// before, and now and then.
func (o *Outbox) Tried(ctx context.Context, channel string, at time.Time, why error) error {
	doc, err := subjectFor(healthPrefix, channel)
	if err == nil {
		err = o.receipts.change(ctx, doc, func(doc document) ([]byte, error) {
			before, err := readHealth(doc)
			if err != nil {
				return nil, err
			}
			next := before.after(at, why)
			same := next.Failing() == before.Failing() && (next.Missed == "") == (before.Missed == "")
			if doc.revision > 0 && same && next.last().Sub(before.last()) < healthEvery {
				return nil, nil
			}
			return json.Marshal(next)
		})
	}
	if err != nil {
		return fmt.Errorf("keep how channel %s does: %w", channel, err)
	}
	return nil
}

// Health tells how the channel did last, for people; nothing where that was never kept.
func (o *Outbox) Health(ctx context.Context, channel string) (ChannelHealth, error) {
	h, err := o.health(ctx, channel)
	if err != nil {
		return ChannelHealth{}, fmt.Errorf("read how channel %s does: %w", channel, err)
	}
	return h, nil
}

func (o *Outbox) health(ctx context.Context, channel string) (ChannelHealth, error) {
	at, err := subjectFor(healthPrefix, channel)
	if err != nil {
		return ChannelHealth{}, err
	}
	doc, err := o.receipts.get(ctx, at)
	if err != nil {
		return ChannelHealth{}, err
	}
	return readHealth(doc)
}

func readHealth(doc document) (h ChannelHealth, err error) {
	if doc.revision == 0 {
		return h, nil
	}
	if err = json.Unmarshal(doc.value, &h); err != nil {
		return h, fmt.Errorf("decode health: %w", err)
	}
	return h, nil
}
