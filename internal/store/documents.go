package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// documents is a bucket: the last message of a subject is the document, its
// sequence the revision.
type documents struct {
	stream jetstream.Stream
	pub    publisher
}

// document is a value with its revision; revision 0 means that there is none.
type document struct {
	value    []byte
	revision uint64
}

// get reads what the stream's leader has.
func (d documents) get(ctx context.Context, subject string) (document, error) {
	m, err := d.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return document{}, nil
	}
	if err != nil {
		return document{}, unavailable(err)
	}
	return document{value: m.Data, revision: m.Sequence}, nil
}

// put replaces the document if it still has the revision, and returns the new
// one; [backout.ErrConflict] when it has another.
func (d documents) put(ctx context.Context, subject string, value []byte, revision uint64) (uint64, error) {
	// A new identity for each put: the same value may come back later.
	id := newRun()
	ack, err := d.pub.commit(ctx, message{subject: subject, id: id, data: value, after: &revision})
	if err == nil {
		return ack.Sequence, nil
	}
	if !errors.Is(err, errTaken) {
		return 0, err
	}
	// Perhaps an earlier try of this very put, whose answer was lost.
	m, err := d.stream.GetLastMsgForSubject(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, backout.ErrConflict
	case err != nil:
		return 0, unavailable(err)
	case m.Header.Get(jetstream.MsgIDHeader) == id && bytes.Equal(m.Data, value):
		return m.Sequence, nil
	}
	return 0, backout.ErrConflict
}

// change reads the document, lets fn make the next value and puts it, again when
// somebody came between. fn returns nil to leave the document as it is.
func (d documents) change(ctx context.Context, subject string, fn func(document) ([]byte, error)) error {
	for range 16 {
		doc, err := d.get(ctx, subject)
		if err != nil {
			return err
		}
		value, err := fn(doc)
		if value == nil || err != nil {
			return err
		}
		if _, err = d.put(ctx, subject, value, doc.revision); !errors.Is(err, backout.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: others keep changing it", backout.ErrUnavailable)
}
