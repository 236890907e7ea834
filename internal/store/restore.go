package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/backup"
)

const (
	// What may be on its way at once while a store is filled.
	fillMessages = 256
	fillBytes    = 8 << 20
	fillTimeout  = 30 * time.Second
)

// Restored is a store that was filled from a backup and is not in use yet.
type Restored struct {
	checked Checked
	want    tally
}

// Restore fills an empty store with what a backup holds: the logs under the same
// sequences, of everything else the content. checked is what [CheckBackup] said of
// the same bytes. Until [Restored.Finish] the store is refused by [Open].
//
// A stream of backout that has held a message is [backout.ErrExists].
func Restore(ctx context.Context, o Options, checked Checked, r io.Reader) (*Restored, error) {
	fail := func(err error) (*Restored, error) { return nil, fmt.Errorf("restore store: %w", err) }
	if err := mayFill(ctx, o.JS, checked); err != nil {
		return fail(err)
	}
	s, err := open(ctx, o)
	if err != nil {
		return fail(err)
	}
	if err := s.putRestore(ctx, restoreState{Backup: checked.Header.At}); err != nil {
		return fail(err)
	}
	f := &filler{js: o.JS, want: tally{}, subjects: map[string]bool{}, notices: map[string]bool{}}
	contents, err := backup.Read(r, func(stream string, m backup.Message) error { return f.take(ctx, stream, m) })
	if err == nil && contents.Sum != checked.Sum {
		err = errors.New("the backup is another one than was checked")
	}
	if err = errors.Join(err, f.flush(ctx)); err != nil {
		return fail(err)
	}
	return &Restored{checked: checked, want: f.want}, nil
}

// mayFill refuses a store that is not empty, or that would not take every message.
func mayFill(ctx context.Context, js jetstream.JetStream, checked Checked) error {
	if js == nil {
		return fmt.Errorf("%w: it needs a JetStream", backout.ErrInvalid)
	}
	if room := int(js.Conn().MaxPayload()) - headerRoom; checked.Largest > room {
		return fmt.Errorf("the backup has a message of %d bytes, and NATS takes %d: raise its max_payload to at least %d", checked.Largest, room, checked.Largest+headerRoom)
	}
	var there []string
	for _, cfg := range streamConfigs(0, 0, 0) {
		stream, err := js.Stream(ctx, cfg.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at stream %s: %w", cfg.Name, err)
		}
		if state := stream.CachedInfo().State; state.LastSeq > 0 {
			there = append(there, fmt.Sprintf("%s with %d messages", cfg.Name, state.Msgs))
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("%w: a backup is restored into an empty store only, and this one holds %s", backout.ErrExists, strings.Join(there, ", "))
	}
	return nil
}

func (s *Store) putRestore(ctx context.Context, state restoreState) error {
	data, err := json.Marshal(state)
	if err == nil {
		err = s.Control.docs.change(ctx, controlPrefix+restoreKey, func(document) ([]byte, error) { return data, nil })
	}
	if err != nil {
		return fmt.Errorf("note state of restore: %w", err)
	}
	return nil
}

// filler publishes messages, several at once, in order.
type filler struct {
	js   jetstream.JetStream
	want tally

	sent     []sent
	bytes    int
	subjects map[string]bool // of the logs, on their way
	notices  map[string]bool // identities seen
}

// sent is a message on its way; seq is what it must get, 0 means any.
type sent struct {
	stream string
	seq    uint64
	ack    jetstream.PubAckFuture
}

// notRestored are the documents of CONTROL that belong to the old store alone, or
// that a restore writes anew.
func notRestored(stream, subject string) bool {
	return stream == controlStream && slices.Contains([]string{marksKey, restoreKey, pauseKey}, strings.TrimPrefix(subject, controlPrefix))
}

func (f *filler) take(ctx context.Context, stream string, m backup.Message) error {
	if notRestored(stream, m.Subject) {
		return nil
	}
	f.want.add(stream, m)
	// A record is checked against the last one of its subject, which must be there.
	full := len(f.sent) >= fillMessages || f.bytes+len(m.Data) > fillBytes
	if full || isLog(stream) && f.subjects[m.Subject] {
		if err := f.flush(ctx); err != nil {
			return err
		}
	}
	next := sent{stream: stream}
	if isLog(stream) {
		f.subjects[m.Subject], next.seq = true, m.Seq
	}
	var err error
	if next.ack, err = f.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: f.header(stream, m), Data: m.Data}); err != nil {
		return fmt.Errorf("write %s: %w", stream, err)
	}
	f.sent, f.bytes = append(f.sent, next), f.bytes+len(m.Data)
	return nil
}

// header keeps what counts and notes when the message was stored first. A notice
// keeps its identity, so that it is not queued twice.
func (f *filler) header(stream string, m backup.Message) nats.Header {
	old, h := nats.Header(m.Header), nats.Header{}
	for _, name := range keptHeaders(stream, old) {
		h[name] = old[name]
	}
	h.Set(headerStored, m.Time.Format(time.RFC3339Nano))
	if id := old.Get(jetstream.MsgIDHeader); stream == noticesStream && id != "" && !f.notices[id] {
		f.notices[id] = true
		h.Set(jetstream.MsgIDHeader, id)
	}
	return h
}

// flush waits until everything on its way is stored.
func (f *filler) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fillTimeout, errors.New("NATS does not answer"))
	defer cancel()
	for _, s := range f.sent {
		select {
		case ack := <-s.ack.Ok():
			if s.seq > 0 && ack.Sequence != s.seq {
				return fmt.Errorf("write %s: record %d became %d: somebody else writes to it", s.stream, s.seq, ack.Sequence)
			}
		case err := <-s.ack.Err():
			return fmt.Errorf("write %s: %w", s.stream, err)
		case <-ctx.Done():
			return fmt.Errorf("write %s: %w", s.stream, context.Cause(ctx))
		}
	}
	f.sent, f.bytes = f.sent[:0], 0
	clear(f.subjects)
	return nil
}

// Open opens the filled store and compares it with the backup. It is for what
// must be done before anybody uses it; [Restored.Finish] follows.
func (r *Restored) Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open restored store: %w", err)
	}
	have := tally{}
	for name := range s.streams {
		err := s.read(ctx, name, math.MaxUint64, func(m backup.Message) error {
			if !notRestored(name, m.Subject) {
				have.add(name, m)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("compare restored store: %w", err)
		}
	}
	if !maps.Equal(have, r.want) {
		return nil, errors.New("compare restored store: it does not hold what the backup does: restore into an empty store again")
	}
	s.start(ctx)
	return s, nil
}

// Finish turns the pause switch on, then lets the store be opened.
func (r *Restored) Finish(ctx context.Context, s *Store, pause PauseState) error {
	if err := s.Control.SetPause(ctx, pause); err != nil {
		return fmt.Errorf("finish restore: %w", err)
	}
	return s.putRestore(ctx, restoreState{Finished: true, Backup: r.checked.Header.At})
}
