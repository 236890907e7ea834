package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// giveUpAfter is how old a notice may be when it fails once more and is still
// tried again.
const giveUpAfter = 24 * time.Hour

// The wait between tries: doubling from the first to the last, or as long as the
// channel asks, up to maxAsked.
const (
	firstWait = time.Second
	lastWait  = time.Minute
	maxAsked  = 5 * time.Minute
)

// A notice that some of its channel's people have is tried for the others for partlyTried,
// every partlyWait at the latest: who asks to be left alone for longer is, and what may
// come behind the notice does not wait for that. Once something waits behind it, it is
// tried for partlyBehind only.
// Servers that want to be asked again by those they do not know mostly want it after five
// minutes.
const (
	partlyTried  = 6 * time.Minute
	partlyBehind = 5 * time.Second
	partlyWait   = 20 * time.Second
)

// The states of a delivery that has one.
const (
	deliveryQueued    = "queued"
	deliveryFailed    = "failed"
	deliveryDone      = "delivered"
	deliveryAbandoned = "given_up"
)

// delivery is what became of one notice on one channel: the document that
// decides, since acknowledgements may be lost.
type delivery struct {
	State     string           `json:"state"`
	Tries     int              `json:"tries"`
	LastError string           `json:"last_error,omitempty"`
	LastTry   time.Time        `json:"last_try,omitzero"`
	Receipt   *backout.Receipt `json:"receipt,omitempty"`
	// PartlyAt is when some of the channel's people got it and others did not; LastError
	// says who.
	PartlyAt time.Time `json:"partly_at,omitzero"`
	// Audience is the notice's on this channel; empty in documents of old releases.
	Audience string `json:"audience,omitempty"`
	// AgainAt is when it was last queued anew after it had been given up.
	AgainAt time.Time `json:"again_at,omitzero"`
	// The rest is kept of a notice that was given up.
	Channel string          `json:"channel,omitempty"`
	Since   time.Time       `json:"since,omitzero"`
	Notice  *backout.Notice `json:"notice,omitempty"`
}

func (d delivery) settled() bool { return d.State == deliveryDone || d.State == deliveryAbandoned }

// pending fills in what is known of the tries.
func (d delivery) pending(p Pending) Pending {
	p.Tries, p.LastError, p.LastTry, p.PartlyAt = d.Tries, d.LastError, d.LastTry, d.PartlyAt
	return p
}

// wait is how long to wait until the next try after one that failed.
func (d delivery) wait(why error) time.Duration {
	wait := waitAfter(d.Tries, why)
	if !d.PartlyAt.IsZero() && asked(why) == 0 {
		return min(wait, partlyWait)
	}
	return wait
}

// readNotice reads a message of the outbox.
func readNotice(subject string, data []byte, stored time.Time) (Pending, error) {
	channel, err := unescape(strings.TrimPrefix(subject, noticesPrefix))
	if err != nil {
		return Pending{}, err
	}
	p := Pending{Channel: channel, Since: stored}
	if err := json.Unmarshal(data, &p.Notice); err != nil {
		return Pending{}, fmt.Errorf("decode notice: %w", err)
	}
	return p, nil
}

// delivery reads what became of a notice, and where that is written.
func (o *Outbox) delivery(ctx context.Context, channel, noticeID string) (delivery, string, error) {
	var d delivery
	at, err := subjectFor(deliveriesPrefix, channel, noticeID)
	if err != nil {
		return d, "", err
	}
	doc, err := o.receipts.get(ctx, at)
	if err != nil || doc.revision == 0 {
		return d, at, err
	}
	if err := json.Unmarshal(doc.value, &d); err != nil {
		return d, at, fmt.Errorf("read what became of notice %s on %s: %w", noticeID, channel, err)
	}
	return d, at, nil
}

// settle writes down how a try ended, unless the matter was settled meanwhile by
// another server. It returns what stands then.
func (o *Outbox) settle(ctx context.Context, at string, try func(before delivery) delivery) (delivery, error) {
	var after delivery
	err := o.receipts.change(ctx, at, func(doc document) ([]byte, error) {
		var before delivery
		if doc.revision > 0 {
			if err := json.Unmarshal(doc.value, &before); err != nil {
				return nil, fmt.Errorf("read delivery: %w", err)
			}
		}
		if before.settled() {
			after = before
			return nil, nil
		}
		after = try(before)
		return json.Marshal(after)
	})
	return after, err
}

// succeeded stores the thread, then the receipt: a crash between the two
// delivers again and finds the thread. The other way round would lose it.
func (o *Outbox) succeeded(ctx context.Context, at string, p Pending, r backout.Receipt) error {
	if p.Notice.RollbackID != "" {
		if err := o.beginThread(ctx, p.Channel, p.Notice.RollbackID, r); err != nil {
			return err
		}
	}
	now := time.Now().UTC()
	_, err := o.settle(ctx, at, func(before delivery) delivery {
		done := delivery{State: deliveryDone, Tries: before.Tries, LastError: before.LastError, LastTry: now, Receipt: &r, Audience: p.Notice.Audience, AgainAt: before.AgainAt, PartlyAt: before.PartlyAt}
		if !done.PartlyAt.IsZero() {
			done.LastError = "" // it says who is missing, and nobody is
		}
		return done
	})
	return err
}

// beginThread keeps the first receipt, and the first one at another place since the
// channel leads there: nobody there finds the old one, or edits it.
func (o *Outbox) beginThread(ctx context.Context, channel, rollbackID string, r backout.Receipt) error {
	at, err := subjectFor(threadsPrefix, channel, rollbackID)
	if err != nil {
		return err
	}
	return o.receipts.change(ctx, at, func(doc document) ([]byte, error) {
		if doc.revision > 0 {
			var first backout.Receipt
			if err := json.Unmarshal(doc.value, &first); err != nil {
				return nil, fmt.Errorf("read thread: %w", err)
			}
			if first.Channel == r.Channel || first.Channel == "" || r.Channel == "" {
				return nil, nil
			}
		}
		return json.Marshal(r)
	})
}

// patience is how long a notice that some have is tried for the others. One try is enough
// while others wait behind it and those before it have not reached everybody either: in a
// storm each would keep the next one waiting.
func (o *Outbox) patience(ctx context.Context, channel string, d delivery, behind bool) time.Duration {
	if !behind {
		return partlyTried
	}
	if d.PartlyAt.IsZero() {
		if h, err := o.health(ctx, channel); err == nil && h.Missed != "" {
			return 0
		}
	}
	return partlyBehind
}

// failed writes down a failed try and returns what stands. Once some have the notice,
// patience is how long it is tried for the others.
func (o *Outbox) failed(ctx context.Context, at string, p Pending, patience time.Duration, why error) (delivery, error) {
	var partly *backout.PartlyError
	if errors.As(why, &partly) && p.Notice.RollbackID != "" {
		if err := o.beginThread(ctx, p.Channel, p.Notice.RollbackID, partly.Receipt); err != nil {
			return delivery{}, err
		}
	}
	now := time.Now().UTC()
	d, err := o.settle(ctx, at, func(before delivery) delivery {
		next := before
		next.State, next.Tries, next.LastError, next.LastTry, next.Audience = deliveryFailed, before.Tries+1, why.Error(), now, p.Notice.Audience
		if partly != nil && next.PartlyAt.IsZero() {
			next.PartlyAt, next.Receipt = now, &partly.Receipt
		}
		over := backout.IsPermanent(why) || now.Sub(p.Since) > giveUpAfter
		switch tried := now.Sub(next.PartlyAt); {
		case next.PartlyAt.IsZero() && over:
			next.State, next.Channel, next.Since, next.Notice = deliveryAbandoned, p.Channel, p.Since, &p.Notice
		case next.PartlyAt.IsZero():
		case over, tried >= patience, asked(why) > min(patience-tried, partlyWait):
			next.State = deliveryDone
		}
		return next
	})
	if err != nil || d.State != deliveryAbandoned {
		return d, err
	}
	return d, o.list(ctx, p.Channel, p.Notice.ID, d)
}

// asked is how long the channel asks to be left alone; zero when it does not.
func asked(why error) time.Duration {
	var asks interface{ RetryAfter() time.Duration }
	if errors.As(why, &asks) {
		return max(0, asks.RetryAfter())
	}
	return 0
}

// waitAfter returns how long to wait after a failed try.
func waitAfter(tries int, why error) time.Duration {
	if asks := asked(why); asks > 0 {
		return min(asks, maxAsked)
	}
	wait := firstWait
	for range tries - 1 {
		if wait = 2 * wait; wait >= lastWait {
			return lastWait
		}
	}
	return wait
}
