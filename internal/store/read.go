package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout/internal/backup"
)

var (
	errDamaged = errors.New("the store is damaged")
	errEnough  = errors.New("everything was read")
)

// read hands over the messages of a stream, in order, up to a sequence or to what
// is its end now. A message that cannot be read is an error: JetStream leaves it
// out in silence.
func (s *Store) read(ctx context.Context, name string, until uint64, fn func(backup.Message) error) error {
	switch name {
	case controlStream, receiptsStream, artifactsStream:
		return s.readReplaced(ctx, name, fn)
	}
	return s.readAppended(ctx, name, until, fn)
}

// readAppended reads a stream in which nothing is replaced, so that a sequence
// without a message is a lost one, unless it expired from the beginning.
func (s *Store) readAppended(ctx context.Context, name string, until uint64, fn func(backup.Message) error) error {
	info, err := s.streams[name].Info(ctx)
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, unavailable(err))
	}
	until = min(until, info.State.LastSeq)
	last := uint64(0)
	if info.State.Msgs > 0 && until > 0 {
		ahead := 256
		if name == alertsStream {
			ahead = 8
		}
		reading, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		f := follower{js: s.Outbox.js, log: s.log, stream: name, ahead: ahead}
		err = f.run(reading, startAt{seq: 1}, func(d delivered) error {
			if d.seq > until {
				return errEnough
			}
			if err := s.expired(ctx, name, last+1, d.seq); err != nil {
				return err
			}
			last = d.seq
			h := d.msg.Headers()
			if err := fn(backup.Message{Seq: d.seq, Subject: d.msg.Subject(), Time: storedAt(h, d.time), Header: h, Data: d.msg.Data()}); err != nil {
				return err
			}
			if d.seq == until {
				return errEnough
			}
			return nil
		}, func() { stop(errEnough) })
		if !errors.Is(err, errEnough) && !errors.Is(context.Cause(reading), errEnough) {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	return s.expired(ctx, name, last+1, until+1)
}

// expired returns an error unless all messages from the sequence on and before
// another one are gone because they were old.
func (s *Store) expired(ctx context.Context, name string, from, before uint64) error {
	if from >= before {
		return nil
	}
	info, err := s.streams[name].Info(ctx)
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, unavailable(err))
	}
	if isLog(name) || info.State.FirstSeq < before {
		return fmt.Errorf("%w: %s at %d cannot be read: %s", errDamaged, name, max(from, info.State.FirstSeq), advice)
	}
	return nil
}

// readReplaced reads a stream whose messages are replaced. Of those that are
// replaced meanwhile it hands over the old one, the new one or both, in this
// order; it ends when nothing follows.
func (s *Store) readReplaced(ctx context.Context, name string, fn func(backup.Message) error) error {
	stream := s.streams[name]
	seen := map[string]bool{}
	last := uint64(0)
	for {
		m, err := next(ctx, stream, ">", last+1)
		if err != nil {
			return fmt.Errorf("read %s after %d: %w", name, last, err)
		}
		if m == nil {
			break
		}
		last, seen[m.Subject] = m.Sequence, true
		if err := fn(backup.Message{Seq: last, Subject: m.Subject, Time: storedAt(m.Header, m.Time), Header: m.Header, Data: m.Data}); err != nil {
			return err
		}
	}
	return allSeen(ctx, stream, name, seen, last)
}

// allSeen checks that every subject was read that had a message then.
func allSeen(ctx context.Context, stream jetstream.Stream, name string, seen map[string]bool, last uint64) error {
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, unavailable(err))
	}
	for subject := range info.State.Subjects {
		if seen[subject] {
			continue
		}
		m, err := stream.GetLastMsgForSubject(ctx, subject)
		switch {
		case err == nil && m.Sequence > last:
		case err == nil || errors.Is(err, jetstream.ErrMsgNotFound):
			return fmt.Errorf("%w: %s of %s cannot be read: %s", errDamaged, subject, name, advice)
		default:
			return fmt.Errorf("look at %s: %w", name, unavailable(err))
		}
	}
	return nil
}
