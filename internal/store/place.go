package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Place is a place in a log, and what is known of everything up to it.
type Place struct {
	// Seq is the sequence of a record of the log; 0 is before the first.
	Seq uint64
	// ID and Op are that record's.
	ID, Op string
	// Last is the sequence of the last record of every id up to there.
	Last map[string]uint64
}

// FollowAfter is [Log.Follow] from the record after the place on. A log that
// ends before the place, has another record there, or does not go on from what
// is known of an id, is an error. It keeps p.Last and changes it.
func (l *Log) FollowAfter(ctx context.Context, p Place, fn func(Entry) error, caughtUp func()) error {
	if p.Seq == 0 {
		return l.Follow(ctx, 0, fn, caughtUp)
	}
	if err := l.stands(ctx, p); err != nil {
		return fmt.Errorf("follow %s: %w", l.name, err)
	}
	return l.followFrom(ctx, p.Seq+1, p.Last, true, fn, caughtUp)
}

// stands checks that the log still has the record that was seen at the place.
func (l *Log) stands(ctx context.Context, p Place) error {
	subject, err := subjectFor(l.prefix, p.ID)
	if err != nil {
		return err
	}
	m, err := l.stream.GetMsg(ctx, p.Seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("the record at %d is missing, and perhaps all after it: restore the store from a backup", p.Seq)
	}
	if err != nil {
		return unavailable(err)
	}
	rec, err := l.decode(p.Seq, m.Data)
	if err != nil {
		return err
	}
	if m.Subject != subject || rec.Op != p.Op {
		return fmt.Errorf("another record stands at %d than was there before: restore the store from a backup", p.Seq)
	}
	return nil
}

// Delete removes what was stored under the digest; that there is nothing is not
// an error.
func (a *Artifacts) Delete(ctx context.Context, digest string) error {
	info, err := a.objects.GetInfo(ctx, digest)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	if err == nil {
		err = a.stream.Purge(ctx, jetstream.WithPurgeSubject(objectsPrefix+base64.URLEncoding.EncodeToString([]byte(digest))))
	}
	if err == nil {
		err = a.stream.Purge(ctx, jetstream.WithPurgeSubject(piecesPrefix+info.NUID))
	}
	if err != nil {
		return fmt.Errorf("delete artifact %s: %w", digest, unavailable(err))
	}
	return nil
}
