package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

// GivenUp lists for people the notices that will not be delivered, oldest first, for as
// long as receipts are kept (90 days).
func (o *Outbox) GivenUp(ctx context.Context) ([]Pending, error) {
	var list []Pending
	for seq := uint64(0); ; {
		m, err := next(ctx, o.receipts.stream, givenUpPrefix+">", seq+1)
		if err != nil {
			return nil, fmt.Errorf("list given-up notices: %w", err)
		}
		if m == nil {
			return list, nil
		}
		seq = m.Sequence
		var d delivery
		if err := json.Unmarshal(m.Data, &d); err != nil {
			return nil, fmt.Errorf("read %s at %d: %w", receiptsStream, seq, err)
		}
		if d.Notice != nil {
			list = append(list, d.pending(Pending{Channel: d.Channel, Notice: *d.Notice, Since: d.Since}))
		}
	}
}

// Again queues a notice anew that was given up on the channel: it is the same notice, in
// the words of now, and has its 24 hours again. One that was not given up stays as it is.
// When it fails half-way the next call does the rest.
func (o *Outbox) Again(ctx context.Context, channel string, n backout.Notice) error {
	if err := o.again(ctx, channel, n); err != nil {
		return fmt.Errorf("hand notice %s over to %s again: %w", n.ID, channel, err)
	}
	return nil
}

func (o *Outbox) again(ctx context.Context, channel string, n backout.Notice) error {
	to, err := subjectFor(noticesPrefix, channel)
	if err != nil {
		return err
	}
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode notice: %w", err)
	}
	d, err := o.takeBack(ctx, channel, n.ID)
	if err != nil || d.AgainAt.IsZero() {
		return err
	}
	if d.State == deliveryQueued {
		again := identity(to, n.ID+"\x00"+d.AgainAt.Format(time.RFC3339Nano))
		if _, err := o.pub.commit(ctx, message{subject: to, id: again, data: data}); err != nil {
			return err
		}
	}
	return o.list(ctx, channel, n.ID, delivery{AgainAt: d.AgainAt})
}

// takeBack makes a notice that was given up one that waits, and returns what stands.
func (o *Outbox) takeBack(ctx context.Context, channel, noticeID string) (d delivery, err error) {
	at, err := subjectFor(deliveriesPrefix, channel, noticeID)
	if err != nil {
		return d, err
	}
	err = o.receipts.change(ctx, at, func(doc document) ([]byte, error) {
		d = delivery{}
		if doc.revision > 0 {
			if err := json.Unmarshal(doc.value, &d); err != nil {
				return nil, fmt.Errorf("read delivery: %w", err)
			}
		}
		if d.State != deliveryAbandoned {
			return nil, nil // another call was faster: this one may finish what it began
		}
		now := time.Now().UTC()
		if !now.After(d.AgainAt) {
			now = d.AgainAt.Add(time.Nanosecond)
		}
		d.State, d.AgainAt = deliveryQueued, now
		d.Channel, d.Since, d.Notice = "", time.Time{}, nil // it waits in the queue again
		return json.Marshal(d)
	})
	return d, err
}

// list replaces what is listed of a notice by what is later: that it was given up comes
// after that it was handed over at the same time.
func (o *Outbox) list(ctx context.Context, channel, noticeID string, d delivery) error {
	at, err := subjectFor(givenUpPrefix, channel, noticeID)
	if err != nil {
		return err
	}
	return o.receipts.change(ctx, at, func(doc document) ([]byte, error) {
		var listed delivery
		if doc.revision > 0 {
			if err := json.Unmarshal(doc.value, &listed); err != nil {
				return nil, fmt.Errorf("read given-up notice: %w", err)
			}
			if listed.AgainAt.After(d.AgainAt) || listed.AgainAt.Equal(d.AgainAt) && (listed.Notice != nil || d.Notice == nil) {
				return nil, nil
			}
		}
		return json.Marshal(d)
	})
}
