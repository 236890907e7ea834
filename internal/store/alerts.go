package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// Position is where a post stands: the sequence of its batch in the alerts
// stream and its place within the batch.
type Position struct {
	Seq   uint64
	Index int
}

// AlertLog is the log of everything that was posted. Posts that wait at the same
// time share one message and one sync. Its methods may be called from several
// goroutines.
type AlertLog struct {
	committer *committer
	follow    follower
	process   string
}

// Append returns once the post is on disk, and tells where. It never waits for
// other posts to come; those that come while a commit is on its way form the
// next one.
//
// Errors: [backout.ErrUnavailable] when the store does not answer, when too many
// posts wait (then at once), and when ctx ends first: in the last case, and after
// a lost answer, the post may have been stored. [backout.ErrInvalid] when it is
// larger than a message may be.
func (l *AlertLog) Append(ctx context.Context, p Post) (Position, error) {
	if size := frameSize(p) + 1; !fits(p) || size > l.committer.limit {
		return Position{}, fmt.Errorf("append post: %w: it takes %d bytes, %d are allowed", backout.ErrInvalid, size, l.committer.limit)
	}
	w := &waiter{post: p, size: frameSize(p), done: make(chan struct{})}
	if err := l.committer.add(w); err != nil {
		return Position{}, fmt.Errorf("append post: %w", err)
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if l.committer.withdraw(w) {
			return Position{}, fmt.Errorf("append post: %w: %w", backout.ErrUnavailable, ctx.Err())
		}
		<-w.done
	}
	if w.err != nil {
		return Position{}, fmt.Errorf("append post: %w", w.err)
	}
	return w.position, nil
}

// Follow hands the posts stored at or after since to fn, in the order they were
// stored, then those that come, until ctx ends or fn returns an error; it returns
// that error. The zero time means all that are kept. caughtUp is called once when
// all that was there at the start has been handed over; it may be nil.
//
// own is true for a post whose Append on this AlertLog returned nil: its caller
// has dealt with it, or will. A post of an earlier run of this server, of another
// server, or of an Append that failed although the post was stored, is not own.
func (l *AlertLog) Follow(ctx context.Context, since time.Time, fn func(pos Position, own bool, p Post) error, caughtUp func()) error {
	return l.run(ctx, place{since: since}, true, fn, caughtUp)
}

// FollowAfter is [AlertLog.Follow] from the first post behind a position that it has
// handed over.
func (l *AlertLog) FollowAfter(ctx context.Context, after Position, fn func(pos Position, own bool, p Post) error, caughtUp func()) error {
	return l.run(ctx, place{after: after}, true, fn, caughtUp)
}

// FollowOthers is [AlertLog.Follow] without the posts that are own: under load
// they are nearly all, and reading them again would be in vain.
func (l *AlertLog) FollowOthers(ctx context.Context, since time.Time, fn func(pos Position, p Post) error, caughtUp func()) error {
	return l.run(ctx, place{since: since}, false, func(pos Position, _ bool, p Post) error { return fn(pos, p) }, caughtUp)
}

// place is where to begin: at a time, or, where there is one, behind a position.
type place struct {
	since time.Time
	after Position
}

func (l *AlertLog) run(ctx context.Context, from place, wantOwn bool, fn func(pos Position, own bool, p Post) error, caughtUp func()) error {
	// The batch of the position itself may hold more.
	err := l.follow.run(ctx, startAt{seq: from.after.Seq, time: from.since}, func(m delivered) error {
		if storedAt(m.msg.Headers(), m.time).Before(from.since) {
			return nil // restored later than it was stored
		}
		own := func(int) bool { return false }
		if number, ok := l.batchOfThisRun(m.msg.Headers().Get(headerBatch)); ok {
			claimed, whole, err := l.committer.claims.wait(ctx, number)
			if err != nil || whole && !wantOwn {
				return err
			}
			own = claimed
		}
		posts, err := readBatch(m.msg.Data())
		if err != nil {
			return fmt.Errorf("read %s at %d: %w", l.follow.stream, m.seq, err)
		}
		for i, p := range posts {
			if own(i) && !wantOwn || m.seq == from.after.Seq && i <= from.after.Index {
				continue
			}
			if err := fn(Position{Seq: m.seq, Index: i}, own(i), p); err != nil {
				return err
			}
		}
		return nil
	}, caughtUp)
	if err != nil {
		return fmt.Errorf("follow %s: %w", l.follow.stream, err)
	}
	return nil
}

// Oldest returns when the oldest post that is still kept was stored; zero when there
// is none.
func (l *AlertLog) Oldest(ctx context.Context) (time.Time, error) {
	stream, err := l.follow.js.Stream(ctx, l.follow.stream)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: %w", l.follow.stream, unavailable(err))
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return time.Time{}, nil
	}
	m, err := stream.GetMsg(ctx, state.FirstSeq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return state.FirstTime, nil // it has just gone
	case err != nil:
		return time.Time{}, fmt.Errorf("read %s: %w", l.follow.stream, unavailable(err))
	}
	return storedAt(m.Header, m.Time), nil
}

// KeptSince returns since when every post is kept; zero when none was ever removed.
func (l *AlertLog) KeptSince(ctx context.Context) (time.Time, error) {
	stream, err := l.follow.js.Stream(ctx, l.follow.stream)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: %w", l.follow.stream, unavailable(err))
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return state.LastTime, nil // zero when there never was any
	}
	m, err := stream.GetMsg(ctx, state.FirstSeq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return state.FirstTime, nil // it has just gone
	case err != nil:
		return time.Time{}, fmt.Errorf("read %s: %w", l.follow.stream, unavailable(err))
	case state.FirstSeq == 1 && m.Header.Get(headerStored) == "":
		return time.Time{}, nil
	}
	return storedAt(m.Header, m.Time), nil
}

func (l *AlertLog) batchOfThisRun(id string) (number uint64, ok bool) {
	run, n, found := strings.Cut(id, ".")
	if !found || run != l.process {
		return 0, false
	}
	number, err := strconv.ParseUint(n, 10, 64)
	return number, err == nil
}

var errBusy = errors.New("too many posts wait to be stored")
