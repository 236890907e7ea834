package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

const (
	// An unanswered delivery goes to another consumer after ackWait; a slow one
	// says every ackTouch that it is still at it.
	ackWait  = 6 * time.Second
	ackTouch = 2 * time.Second
	// storePause is the wait when the outbox itself does not answer.
	storePause = 2 * time.Second
	// The wait between tries to store a receipt: doubling from the first to the
	// last.
	firstReceiptWait = 100 * time.Millisecond
	lastReceiptWait  = 10 * time.Second
)

// DeliverFunc carries one notice to people. nil means delivered; an error marked
// by [backout.Permanent] gives the notice up; any other is tried again.
type DeliverFunc func(ctx context.Context, n backout.Notice) (backout.Receipt, error)

// consumerName makes the durable consumer's name from a channel's subject.
func consumerName(subject string) string {
	return "channel_" + strings.TrimPrefix(subject, noticesPrefix)
}

// Consume delivers the channel's notices one after the other, in order, until
// ctx ends, and returns ctx's error. A notice that fails holds up those behind
// it: it is tried again after 1 s, doubling to 60 s, or after what its error's
// RetryAfter() says, at most 5 min; it is given up when the error is permanent or
// the notice is older than 24 h by then. Several consumers of one channel, on one server
// or many, share it.
//
// A notice that some of the channel's people have, as a [backout.PartlyError] says, is
// delivered. It is tried for the others for minutes; for seconds when others wait behind
// it, and only once where those before it have not reached everybody either; and no more
// where its error asks for a longer wait than that.
//
// A notice whose receipt is stored is never handed to fn again, unless some have yet to
// get it. While the store refuses the receipt of a delivered one, it is offered again and
// the notice is held; where ctx ends before the store takes it, the notice is handed to fn
// again later, as is one whose delivery was interrupted.
func (o *Outbox) Consume(ctx context.Context, channel string, fn DeliverFunc) error {
	from, err := subjectFor(noticesPrefix, channel)
	if err != nil {
		return fmt.Errorf("deliver notices of %s: %w", channel, err)
	}
	for {
		err := o.consume(ctx, from, fn)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("deliver notices of %s: %w", channel, err)
		}
		o.log.Debug("delivering notices was interrupted", "channel", channel, "error", err)
		if !sleep(ctx, storePause) {
			return ctx.Err()
		}
	}
}

func (o *Outbox) consume(ctx context.Context, from string, fn DeliverFunc) error {
	whole := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer follower{js: o.js}.endOnReconnect(cancel)()
	consumer, err := o.js.CreateOrUpdateConsumer(ctx, noticesStream, jetstream.ConsumerConfig{
		Durable:       consumerName(from),
		FilterSubject: from,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxAckPending: 1,
		MaxDeliver:    -1,
	})
	if err != nil {
		return err
	}
	iterator, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullHeartbeat(followHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer iterator.Stop()
	for {
		m, err := iterator.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		if err := o.deliver(ctx, whole, m, fn); err != nil {
			return err
		}
	}
}

// deliver handles one message. An error is one of the outbox, not of fn. ctx ends
// with the connection, whole does not.
func (o *Outbox) deliver(ctx, whole context.Context, m jetstream.Msg, fn DeliverFunc) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	p, err := readNotice(m.Subject(), m.Data(), storedAt(m.Headers(), meta.Timestamp))
	if err != nil {
		// Waiting would hold up the channel for ever.
		o.log.Error("a notice cannot be read and is dropped", "stream", noticesStream, "seq", meta.Sequence.Stream, "error", err)
		return m.TermWithReason("cannot be read")
	}
	d, at, err := o.delivery(ctx, p.Channel, p.Notice.ID)
	if err != nil {
		return errors.Join(err, m.NakWithDelay(storePause))
	}
	switch {
	case d.State == deliveryAbandoned:
		return errors.Join(o.list(ctx, p.Channel, p.Notice.ID, d), m.Ack())
	case d.settled():
		return m.Ack()
	}
	if wait := time.Until(d.LastTry.Add(d.wait(nil))); d.Tries > 0 && meta.NumDelivered == 1 && wait > 0 {
		return m.NakWithDelay(wait) // the consumer was made anew
	}
	patience := o.patience(ctx, p.Channel, d, meta.NumPending > 0) // by what stands before the try
	receipt, why := whileTouched(ctx, m, func() (backout.Receipt, error) { return fn(ctx, p.Notice) })
	var partly *backout.PartlyError
	switch {
	case why == nil:
		return o.afterSuccess(whole, m, at, p, receipt)
	case errors.As(why, &partly): // some have it, whatever has ended meanwhile
		return o.afterPartly(whole, m, at, p, patience, why)
	case ctx.Err() != nil:
		return errors.Join(ctx.Err(), m.Nak()) // stopped, not failed
	}
	d, err = o.failed(ctx, at, p, patience, why)
	if err != nil {
		return errors.Join(err, m.NakWithDelay(storePause))
	}
	return o.afterFailure(m, p, d, why)
}

// afterSuccess stores the receipt.
func (o *Outbox) afterSuccess(ctx context.Context, m jetstream.Msg, at string, p Pending, r backout.Receipt) error {
	_, err := o.insist(ctx, m, p, func(ctx context.Context) error { return o.succeeded(ctx, at, p, r) })
	if err != nil {
		return errors.Join(err, m.NakWithDelay(storePause))
	}
	return m.Ack()
}

// afterPartly stores the receipt of those who have the notice, before anything else is
// done for the others.
func (o *Outbox) afterPartly(ctx context.Context, m jetstream.Msg, at string, p Pending, patience time.Duration, why error) error {
	var d delivery
	stored, err := o.insist(ctx, m, p, func(ctx context.Context) (err error) {
		d, err = o.failed(ctx, at, p, patience, why)
		return err
	})
	switch {
	case err != nil:
		return errors.Join(err, m.NakWithDelay(storePause))
	case !stored:
		return m.Ack()
	}
	return o.afterFailure(m, p, d, why)
}

// insist stores that people have the message, as long as it takes: without its receipt
// they would get it again. Once it is tried even when ctx has ended. stored is false
// without an error where no store would ever take it.
func (o *Outbox) insist(ctx context.Context, m jetstream.Msg, p Pending, store func(context.Context) error) (stored bool, err error) {
	_, err = whileTouched(ctx, m, func() (none backout.Receipt, err error) {
		for wait := firstReceiptWait; ; wait = min(2*wait, lastReceiptWait) {
			err = store(context.WithoutCancel(ctx))
			if err == nil {
				stored = true
				return none, nil
			}
			if !errors.Is(err, backout.ErrUnavailable) {
				// Replies will not find their thread.
				o.log.Error("a delivered notice's receipt cannot be stored", "channel", p.Channel, "notice", p.Notice.ID, "error", err)
				return none, nil
			}
			o.log.Warn("a delivered notice's receipt is not stored", "channel", p.Channel, "notice", p.Notice.ID, "again_in", wait, "error", err)
			if !sleep(ctx, wait) {
				return none, err
			}
		}
	})
	return stored, err
}

// afterFailure ends a try that has not reached everybody, by what stands of it now.
func (o *Outbox) afterFailure(m jetstream.Msg, p Pending, d delivery, why error) error {
	if d.settled() {
		switch {
		case d.State == deliveryAbandoned:
			o.log.Error("a notice was given up", "channel", p.Channel, "notice", p.Notice.ID, "tries", d.Tries, "error", why)
		case !d.PartlyAt.IsZero():
			o.log.Error("a notice was delivered, but not to all of its channel's people", "channel", p.Channel, "notice", p.Notice.ID, "tries", d.Tries, "error", why)
		}
		return m.Ack()
	}
	wait := d.wait(why)
	o.log.Warn("a notice was not delivered", "channel", p.Channel, "notice", p.Notice.ID, "tries", d.Tries, "again_in", wait, "error", why)
	return m.NakWithDelay(wait)
}

// whileTouched runs the delivery and keeps the message from going to somebody
// else meanwhile.
func whileTouched(ctx context.Context, m jetstream.Msg, deliver func() (backout.Receipt, error)) (backout.Receipt, error) {
	ctx, cancel := context.WithCancel(ctx)
	var touching sync.WaitGroup
	defer touching.Wait()
	defer cancel()
	touching.Go(func() {
		for sleep(ctx, ackTouch) {
			_ = m.InProgress()
		}
	})
	return deliver()
}
