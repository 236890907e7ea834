package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	followHeartbeat = 5 * time.Second
	// The wait before a broken session is replaced, doubling.
	followPause    = 50 * time.Millisecond
	followMaxPause = 2 * time.Second
	// followIdle is how long nothing may come before a follower that has not
	// caught up asks whether anything is left.
	followIdle = 2 * time.Second
)

// startAt says where to begin: at a sequence, at a time, or, with neither, at
// the beginning.
type startAt struct {
	seq  uint64
	time time.Time
}

// delivered is a message that came by a follower.
type delivered struct {
	msg  jetstream.Msg
	seq  uint64
	time time.Time
}

// follower reads a stream in order and without gaps, over lost connections and
// restarted servers. Each session has a consumer of its own; when anything is
// out of order the session ends and the next one begins after the last message
// that was handed over.
type follower struct {
	js     jetstream.JetStream
	log    *slog.Logger
	stream string
	// filter is one exact subject, or ends in ">"; empty means all.
	filter string
	// ahead is how many messages may wait in memory.
	ahead int
}

// progress is what a follower keeps between sessions.
type progress struct {
	start    startAt
	last     uint64 // last sequence handed over
	counted  bool   // whether left is known
	left     uint64 // messages of the start still to come
	caughtUp func()
}

// callbackError is an error of the caller's function: it ends the follower.
type callbackError struct{ error }

func (e callbackError) Unwrap() error { return e.error }

// run follows until ctx ends or fn fails, and returns why.
func (f follower) run(ctx context.Context, start startAt, fn func(delivered) error, caughtUp func()) error {
	p := &progress{start: start, caughtUp: caughtUp}
	pause := followPause
	for {
		before := p.last
		err := f.session(ctx, p, fn)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var own callbackError
		switch {
		case errors.As(err, &own):
			return own.error
		case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, nats.ErrConnectionClosed):
			return unavailable(err)
		}
		if p.last != before {
			pause = followPause
		}
		f.log.Debug("following a stream was interrupted", "stream", f.stream, "after", p.last, "error", err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		pause = min(2*pause, followMaxPause)
	}
}

// session follows with one consumer until something breaks.
func (f follower) session(ctx context.Context, p *progress, fn func(delivered) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer f.endOnReconnect(cancel)()

	consumer, err := f.js.CreateConsumer(ctx, f.stream, f.config(p))
	if err != nil {
		return err
	}
	defer f.drop(ctx, consumer)
	if !p.counted {
		p.counted, p.left = true, consumer.CachedInfo().NumPending
	}
	p.report(p.left == 0)
	iterator, err := consumer.Messages(jetstream.PullMaxMessages(f.ahead), jetstream.PullHeartbeat(followHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer iterator.Stop()
	for place := uint64(1); ; place++ {
		m, err := f.await(ctx, iterator, consumer, p)
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != place {
			return errors.New("messages were dropped on the way")
		}
		if err := fn(delivered{msg: m, seq: meta.Sequence.Stream, time: meta.Timestamp}); err != nil {
			return callbackError{err}
		}
		p.last = meta.Sequence.Stream
		p.left -= min(p.left, 1)
		p.report(p.left == 0 || meta.NumPending == 0)
	}
}

func (f follower) config(p *progress) jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		FilterSubject:     f.filter,
		InactiveThreshold: time.Minute,
		MemoryStorage:     true,
		Replicas:          1,
	}
	seq := p.start.seq
	if p.last > 0 {
		seq = p.last + 1
	}
	switch {
	case seq > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, seq
	case !p.start.time.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &p.start.time
	}
	return cfg
}

// await returns the next message. While the follower has not caught up it asks
// now and then whether anything is left: what was counted may have expired. What
// is left and does not come after the answer either, on the same connection, was
// asked for in vain: the request is lost. Once caught up missing heartbeats tell;
// the library counts them anew in each short wait.
func (f follower) await(ctx context.Context, it jetstream.MessagesContext, c jetstream.Consumer, p *progress) (jetstream.Msg, error) {
	for asked := false; p.caughtUp != nil; asked = true {
		wait, cancel := context.WithTimeout(ctx, followIdle)
		m, err := it.Next(jetstream.NextContext(wait))
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return m, err
		}
		info, err := c.Info(ctx)
		if err != nil {
			return nil, err
		}
		p.report(info.NumPending == 0)
		if asked && p.caughtUp != nil {
			return nil, fmt.Errorf("%d messages are left and none comes", info.NumPending)
		}
	}
	return it.Next(jetstream.NextContext(ctx))
}

// report calls caughtUp, once, when it is so.
func (p *progress) report(isSo bool) {
	if isSo && p.caughtUp != nil {
		call := p.caughtUp
		p.caughtUp = nil
		call()
	}
}

// endOnReconnect ends the session when the connection comes back: its consumer
// may be gone with the server it was on. The result stops watching.
func (f follower) endOnReconnect(end func()) (stop func()) {
	statuses := f.js.Conn().StatusChanged(nats.CONNECTED)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range statuses {
			end()
		}
	}()
	return func() {
		f.js.Conn().RemoveStatusListener(statuses)
		<-done
	}
}

// drop removes the consumer of a session, if that is quick; else it goes away by
// itself after its minute.
func (f follower) drop(ctx context.Context, c jetstream.Consumer) {
	if !f.js.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
	defer cancel()
	_ = f.js.DeleteConsumer(ctx, f.stream, c.CachedInfo().Name)
}
