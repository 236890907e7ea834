package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// Entry is one record as it stands in a log.
type Entry struct {
	// ID is the change or rollback the record belongs to.
	ID string
	// Seq is its place in the whole log; it grows, with gaps, within one id.
	Seq    uint64
	Record backout.Record
}

// Log is a log of records with one history for each id. Its methods may be
// called from several goroutines, and any number of servers may share it.
type Log struct {
	name   string
	prefix string
	stream jetstream.Stream
	pub    publisher
	follow follower
	// end is the last sequence there was when the store was opened.
	end uint64
}

// Append adds the record to the history of id, right after the record with the
// sequence expected (0: the id must have no history), and returns its sequence.
//
// rec.Op must be unique to the transition: it is the record's identity when an
// answer was lost. Errors: [backout.ErrConflict] when another record stands
// there, [backout.ErrExists] when this operation is already in the history at or
// before expected, [backout.ErrUnavailable] when the store does not answer: then
// it may have been stored, and appending the same record again is safe.
func (l *Log) Append(ctx context.Context, id string, expected uint64, rec backout.Record) (uint64, error) {
	return l.append(ctx, id, expected, nil, rec)
}

// AppendGuarded is [Log.Append] that also demands that the last record of the
// whole log has the sequence streamSeq: nothing was appended to any id since the
// caller looked.
func (l *Log) AppendGuarded(ctx context.Context, id string, expected, streamSeq uint64, rec backout.Record) (uint64, error) {
	return l.append(ctx, id, expected, &streamSeq, rec)
}

func (l *Log) append(ctx context.Context, id string, expected uint64, streamSeq *uint64, rec backout.Record) (uint64, error) {
	fail := func(err error) (uint64, error) {
		return 0, fmt.Errorf("append to %s of %s after %d: %w", id, l.name, expected, err)
	}
	subject, err := subjectFor(l.prefix, id)
	if err != nil {
		return fail(err)
	}
	if rec.Op == "" {
		return fail(fmt.Errorf("%w: the record has no operation id", backout.ErrInvalid))
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return fail(err)
	}
	ack, err := l.pub.commit(ctx, message{subject: subject, id: identity(subject, rec.Op), data: data, after: &expected, afterStream: streamSeq})
	switch {
	case err == nil && !ack.Duplicate:
		return ack.Sequence, nil
	case err != nil && !errors.Is(err, errTaken):
		return fail(err)
	}
	seq, err := l.resolve(ctx, subject, expected, data, ack != nil)
	if err != nil {
		return fail(err)
	}
	return seq, nil
}

// resolve finds out what a refused or repeated append means. The record that
// follows expected is either the one of this append, stored by an earlier try
// whose answer was lost, or another's. Same operation with another content is
// another's: the caller must read what really stands there.
func (l *Log) resolve(ctx context.Context, subject string, expected uint64, data []byte, duplicate bool) (uint64, error) {
	m, err := next(ctx, l.stream, subject, expected+1)
	switch {
	case err != nil:
		return 0, err
	case m != nil && bytes.Equal(m.Data, data) && follows(m.Header) == expected:
		return m.Sequence, nil
	case m == nil && duplicate:
		return 0, fmt.Errorf("this operation is recorded already: %w", backout.ErrExists)
	}
	return 0, backout.ErrConflict
}

// identity names a write of one operation on one subject for JetStream's window
// of duplicates.
func identity(subject, op string) string {
	sum := sha256.Sum256([]byte(subject + "\x00" + op))
	return hex.EncodeToString(sum[:16])
}

// follows returns the sequence that a stored record was guarded to follow.
func follows(h nats.Header) uint64 {
	n, err := strconv.ParseUint(h.Get(jetstream.ExpectedLastSubjSeqHeader), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Load returns the whole history of id in order; it is empty when there is none.
// It reads what the stream's leader has, so an append after it with the last
// sequence fails only if somebody else came between.
func (l *Log) Load(ctx context.Context, id string) ([]Entry, error) {
	subject, err := subjectFor(l.prefix, id)
	if err != nil {
		return nil, fmt.Errorf("load %s of %s: %w", id, l.name, err)
	}
	entries, err := l.read(ctx, id, subject, 0)
	if err == nil {
		err = l.complete(ctx, subject, len(entries), lastOf(entries))
	}
	if err != nil {
		return nil, fmt.Errorf("load %s of %s: %w", id, l.name, err)
	}
	return entries, nil
}

// LoadAfter returns what follows the sequence in the history of id: for who shows what
// comes, and has seen what came before. Unlike [Log.Load] it does not notice that the
// end is lost, so nothing is decided by it.
func (l *Log) LoadAfter(ctx context.Context, id string, after uint64) ([]Entry, error) {
	if after == math.MaxUint64 {
		return nil, nil // nothing follows it
	}
	subject, err := subjectFor(l.prefix, id)
	if err == nil {
		var entries []Entry
		if entries, err = l.read(ctx, id, subject, after); err == nil {
			return entries, nil
		}
	}
	return nil, fmt.Errorf("load %s of %s: %w", id, l.name, err)
}

// read reads what follows the sequence. That the first of it follows the one before is
// looked at from the beginning only: after may be anybody's number.
func (l *Log) read(ctx context.Context, id, subject string, after uint64) ([]Entry, error) {
	var entries []Entry
	for last := after; ; {
		m, err := next(ctx, l.stream, subject, last+1)
		if err != nil {
			return nil, fmt.Errorf("after %d: %w", last, err)
		}
		if m == nil {
			return entries, nil
		}
		if after == 0 || len(entries) > 0 {
			if err := l.continues(id, m.Header, m.Sequence, last); err != nil {
				return nil, err
			}
		}
		rec, err := l.decode(m.Sequence, m.Data)
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{ID: id, Seq: m.Sequence, Record: rec})
		last = m.Sequence
	}
}

func lastOf(entries []Entry) uint64 {
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].Seq
}

// complete checks that the subject has no more than the n records read: one that
// cannot be read looks as if it were not there. What was appended since is no
// matter.
func (l *Log) complete(ctx context.Context, subject string, n int, last uint64) error {
	info, err := l.stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return fmt.Errorf("count the records of %s: %w", l.name, unavailable(err))
	}
	if info.State.Subjects[subject] <= uint64(n) { //nolint:gosec // a length
		return nil
	}
	m, err := next(ctx, l.stream, subject, last+1)
	if err == nil && m == nil {
		err = fmt.Errorf("a record of %s after %d is lost, its bytes do not match their checksum: %s", l.name, last, advice)
	}
	return err
}

// LastOf returns the sequence of the last record of the id, 0 for none, as the
// stream's leader has it.
func (l *Log) LastOf(ctx context.Context, id string) (uint64, error) {
	fail := func(err error) (uint64, error) { return 0, fmt.Errorf("find the end of %s of %s: %w", id, l.name, err) }
	subject, err := subjectFor(l.prefix, id)
	if err != nil {
		return fail(err)
	}
	m, err := l.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return fail(unavailable(err))
	}
	return m.Sequence, nil
}

// Follow hands every record of the log from the sequence on to fn, in order, and
// then those that come, until ctx ends or fn returns an error; it returns that
// error. caughtUp is called once, when all that was there at the start has been
// handed over, at once if there was none; it may be nil. Both are called from
// the calling goroutine. A lost connection is waited out.
func (l *Log) Follow(ctx context.Context, from uint64, fn func(Entry) error, caughtUp func()) error {
	return l.followFrom(ctx, max(from, 1), map[string]uint64{}, from <= 1, fn, caughtUp)
}

// followFrom follows from the sequence on. last is what stands before it: of
// every id, when whole is set, else of those it names.
func (l *Log) followFrom(ctx context.Context, from uint64, last map[string]uint64, whole bool, fn func(Entry) error, caughtUp func()) error {
	due := from
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	caught := func() {
		switch {
		case due <= l.end:
			stop(l.unreadable(due))
		case caughtUp != nil:
			caughtUp()
		}
	}
	err := l.follow.run(ctx, startAt{seq: from}, func(m delivered) error {
		if m.seq != due {
			return l.unreadable(due)
		}
		due++
		id, err := unescape(strings.TrimPrefix(m.msg.Subject(), l.prefix))
		if err != nil {
			return fmt.Errorf("read %s at %d: %w", l.name, m.seq, err)
		}
		if known, ok := last[id]; ok || whole {
			if err := l.continues(id, m.msg.Headers(), m.seq, known); err != nil {
				return err
			}
		}
		last[id] = m.seq
		rec, err := l.decode(m.seq, m.msg.Data())
		if err != nil {
			return err
		}
		return fn(Entry{ID: id, Seq: m.seq, Record: rec})
	}, caught)
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("follow %s: %w", l.name, err)
	}
	return nil
}

// unreadable says that JetStream skips a record that is there.
func (l *Log) unreadable(seq uint64) error {
	return fmt.Errorf("read %s at %d: the record is lost, its bytes do not match their checksum: %s", l.name, seq, advice)
}

func (l *Log) decode(seq uint64, data []byte) (backout.Record, error) {
	var rec backout.Record
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, fmt.Errorf("read %s at %d: %w", l.name, seq, err)
	}
	return rec, nil
}

// continues checks that the record was written right after the last one read.
func (l *Log) continues(id string, h nats.Header, seq, last uint64) error {
	if prev := follows(h); prev != last {
		return fmt.Errorf("read %s at %d: records of %s are missing: it follows %d, but %d is the last one there: restore the store from a backup", l.name, seq, id, prev, last)
	}
	return nil
}
