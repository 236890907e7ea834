package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// Delivery is how a notice stands on one channel: delivered, given up, or else waiting
// there.
type Delivery struct {
	Channel string
	// Audience is whom it was for there; empty where an older release wrote it.
	Audience string
	// Delivered tells that it has arrived, with some of the channel's people at least,
	// GivenUp that it will not.
	Delivered, GivenUp bool
	// Tries counts the deliveries that failed; LastError is what the last one said.
	Tries     int
	LastError string
	// At is when it arrived, or was tried last; zero when it was not.
	At time.Time
}

// Deliveries tells how the notice of the id stands on every channel that it was queued
// for, sorted by channel, for as long as receipts are kept (90 days). It takes the same
// however many notices there are. What an older release queued is there once it was tried.
func (o *Outbox) Deliveries(ctx context.Context, noticeID string) ([]Delivery, error) {
	list, err := o.deliveries(ctx, noticeID)
	if err != nil {
		return nil, fmt.Errorf("list deliveries of notice %s: %w", noticeID, err)
	}
	return list, nil
}

func (o *Outbox) deliveries(ctx context.Context, noticeID string) ([]Delivery, error) {
	id, err := token(noticeID)
	if err != nil {
		return nil, err
	}
	// The names of subjects are found in an index; to ask for the next message of a
	// pattern reads every message behind it.
	info, err := o.receipts.stream.Info(ctx, jetstream.WithSubjectFilter(deliveriesPrefix+"*."+id))
	if err != nil {
		return nil, unavailable(err)
	}
	list := make([]Delivery, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		channel, err := unescape(strings.TrimSuffix(strings.TrimPrefix(subject, deliveriesPrefix), "."+id))
		if err != nil {
			return nil, err
		}
		d, _, err := o.delivery(ctx, channel, noticeID)
		if err != nil {
			return nil, err
		}
		if d.State == "" {
			continue // it has expired since
		}
		list = append(list, d.on(channel))
	}
	slices.SortFunc(list, func(a, b Delivery) int { return strings.Compare(a.Channel, b.Channel) })
	return list, nil
}

// Delivery tells how the notice of the id stands on one channel, as the document says that
// decides; false when it was not queued there.
func (o *Outbox) Delivery(ctx context.Context, channel, noticeID string) (Delivery, bool, error) {
	d, _, err := o.delivery(ctx, channel, noticeID)
	if err != nil {
		return Delivery{}, false, fmt.Errorf("read delivery of notice %s on %s: %w", noticeID, channel, err)
	}
	return d.on(channel), d.State != "", nil
}

// on is what others are told of it.
func (d delivery) on(channel string) Delivery {
	out := Delivery{
		Channel: channel, Audience: d.Audience, Delivered: d.State == deliveryDone, GivenUp: d.State == deliveryAbandoned,
		Tries: d.Tries, LastError: d.LastError, At: d.LastTry,
	}
	if !d.PartlyAt.IsZero() {
		out.Delivered, out.At = true, d.PartlyAt
	}
	return out
}

// noteQueued writes down that the notice waits, where nothing stands of it yet. It goes
// out all the same where that fails, and is listed from its first try on.
func (o *Outbox) noteQueued(ctx context.Context, at string, n backout.Notice) {
	data, err := json.Marshal(delivery{State: deliveryQueued, Audience: n.Audience})
	if err == nil {
		_, err = o.receipts.put(ctx, at, data, 0)
	}
	if err != nil && !errors.Is(err, backout.ErrConflict) {
		o.log.Warn("that a notice waits was not written down", "notice", n.ID, "error", err)
	}
}
