package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// Outbox holds the notices on their way to people, one queue a channel. Its
// methods may be called from several goroutines, and any number of servers may
// share it.
type Outbox struct {
	js       jetstream.JetStream
	log      *slog.Logger
	pub      publisher
	notices  jetstream.Stream
	receipts documents
}

// Pending is a notice that has not arrived: it waits, or was given up.
type Pending struct {
	Channel string
	Notice  backout.Notice
	// Since is when it was put into the outbox.
	Since time.Time
	// Tries counts the deliveries that failed; LastError is what the last one
	// said, at LastTry.
	Tries     int
	LastError string
	LastTry   time.Time
	// PartlyAt is when some of the channel's people got it; the others have yet to.
	PartlyAt time.Time
}

// Put queues the notice for the channel. A notice of the same id that is queued,
// delivered or given up on the channel is not queued again.
func (o *Outbox) Put(ctx context.Context, channel string, n backout.Notice) error {
	fail := func(err error) error { return fmt.Errorf("put notice %s for %s: %w", n.ID, channel, err) }
	to, err := subjectFor(noticesPrefix, channel)
	if err != nil {
		return fail(err)
	}
	d, at, err := o.delivery(ctx, channel, n.ID)
	if err != nil {
		return fail(err)
	}
	if d.settled() {
		return nil
	}
	data, err := json.Marshal(n)
	if err != nil {
		return fail(err)
	}
	if _, err := o.pub.commit(ctx, message{subject: to, id: identity(to, n.ID), data: data}); err != nil {
		return fail(err)
	}
	if d.State == "" {
		o.noteQueued(ctx, at, n)
	}
	return nil
}

// Thread returns the receipt of the first message about the rollback that was delivered
// on the channel, since it last began to lead elsewhere; nil when there was none.
func (o *Outbox) Thread(ctx context.Context, channel, rollbackID string) (*backout.Receipt, error) {
	at, err := subjectFor(threadsPrefix, channel, rollbackID)
	if err != nil {
		return nil, fmt.Errorf("find thread of %s on %s: %w", rollbackID, channel, err)
	}
	doc, err := o.receipts.get(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("find thread of %s on %s: %w", rollbackID, channel, err)
	}
	if doc.revision == 0 {
		return nil, nil
	}
	var r backout.Receipt
	if err := json.Unmarshal(doc.value, &r); err != nil {
		return nil, fmt.Errorf("find thread of %s on %s: %w", rollbackID, channel, err)
	}
	return &r, nil
}

// Waiting lists the notices that are still to be delivered, on every channel, in
// the order of the outbox.
func (o *Outbox) Waiting(ctx context.Context) ([]Pending, error) {
	list, err := o.waiting(ctx)
	if err != nil {
		return nil, fmt.Errorf("list waiting notices: %w", err)
	}
	return list, nil
}

func (o *Outbox) waiting(ctx context.Context) ([]Pending, error) {
	info, err := o.notices.Info(ctx, jetstream.WithSubjectFilter(noticesPrefix+"*"))
	if err != nil {
		return nil, unavailable(err)
	}
	bySeq := make(map[uint64]Pending)
	for subject := range info.State.Subjects {
		if err := o.waitingIn(ctx, subject, bySeq); err != nil {
			return nil, err
		}
	}
	list := make([]Pending, 0, len(bySeq))
	for _, seq := range slices.Sorted(maps.Keys(bySeq)) {
		list = append(list, bySeq[seq])
	}
	return list, nil
}

// waitingIn adds what waits in one channel. It looks only behind what the channel
// has acknowledged, and there only at what has no receipt.
func (o *Outbox) waitingIn(ctx context.Context, subject string, into map[uint64]Pending) error {
	seq := uint64(0)
	consumer, err := o.js.Consumer(ctx, noticesStream, consumerName(subject))
	switch {
	case err == nil:
		seq = consumer.CachedInfo().AckFloor.Stream
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return unavailable(err)
	}
	for {
		m, err := next(ctx, o.notices, subject, seq+1)
		if err != nil || m == nil {
			return err
		}
		seq = m.Sequence
		p, err := readNotice(m.Subject, m.Data, storedAt(m.Header, m.Time))
		if err != nil {
			return fmt.Errorf("read %s at %d: %w", noticesStream, seq, err)
		}
		d, _, err := o.delivery(ctx, p.Channel, p.Notice.ID)
		if err != nil {
			return err
		}
		if !d.settled() {
			into[seq] = d.pending(p)
		}
	}
}
