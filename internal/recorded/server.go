package recorded

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/replay"
)

// Reader reads a server's history, as the client does.
type Reader interface {
	History(ctx context.Context, since, until time.Time, fn func(handlers.HistoryEntry) error) error
}

// Server opens the history of a server between the times.
func Server(r Reader, since, until time.Time) Opener {
	return func(ctx context.Context) (*History, error) {
		s := &server{since: since}
		next, stop := iter.Pull2(entries(ctx, r, since, until))
		first, err := s.before(next)
		if err != nil {
			stop()
			return nil, err
		}
		return &History{Past: s.past, Alerts: s.alerts(first, next), Notes: s.notes, Close: stop}, nil
	}
}

// Changes reads only the changes of a server's history, and what became of them.
func Changes(ctx context.Context, r Reader, since, until time.Time) (replay.Past, error) {
	h, err := Server(r, since, until)(ctx)
	if err != nil {
		return replay.Past{}, err
	}
	h.Close()
	return h.Past, nil
}

var errEnough = errors.New("enough is read")

func entries(ctx context.Context, r Reader, since, until time.Time) iter.Seq2[handlers.HistoryEntry, error] {
	return func(yield func(handlers.HistoryEntry, error) bool) {
		err := r.History(ctx, since, until, func(e handlers.HistoryEntry) error {
			if !yield(e, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(handlers.HistoryEntry{}, err)
		}
	}
}

type server struct {
	since   time.Time
	past    replay.Past
	end     *handlers.HistoryEnd
	garbled int
}

type nextEntry func() (handlers.HistoryEntry, error, bool)

// before reads what stands before the posts, and returns the first of them, if any.
func (s *server) before(next nextEntry) (*handlers.HistoryPost, error) {
	for {
		e, err, ok := next()
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, nil
		case e.Change != nil:
			s.past.Changes = append(s.past.Changes, *e.Change)
		case e.Rollback != nil:
			s.past.Rollbacks = append(s.past.Rollbacks, replay.Rollback{Rollback: *e.Rollback, Votes: e.Votes})
		case e.End != nil:
			s.end = e.End
		case e.Post != nil:
			return e.Post, nil
		}
	}
}

func (s *server) alerts(first *handlers.HistoryPost, next nextEntry) iter.Seq2[replay.Delivery, error] {
	return func(yield func(replay.Delivery, error) bool) {
		var clock steady
		for post := first; post != nil; {
			alerts, err := decodePost(post)
			if err != nil {
				// It was accepted once; a newer decoder must not lose the rest over it.
				s.garbled++
			}
			at := clock.at(post.At)
			for _, a := range alerts {
				if !yield(replay.Delivery{At: at, Alert: a}, nil) {
					return
				}
			}
			e, err, ok := next()
			if err != nil {
				yield(replay.Delivery{}, err)
				return
			}
			if post = e.Post; !ok {
				return
			}
			if e.End != nil {
				s.end = e.End
			}
		}
	}
}

func decodePost(p *handlers.HistoryPost) ([]backout.Alert, error) {
	if p.Kind == "v2" {
		decoded, err := alertwire.DecodePostable(p.Body, p.At)
		return decoded.Alerts, err
	}
	decoded, err := alertwire.DecodeWebhook(p.Body)
	return decoded.Alerts, err
}

func (s *server) notes() []string {
	var list []string
	if s.garbled > 0 {
		list = append(list, fmt.Sprintf("%d stored requests cannot be decoded any more, and are left out", s.garbled))
	}
	if s.end == nil {
		return list
	}
	switch kept := s.end.KeptSince; {
	case kept.IsZero():
		list = append(list, "the server has kept no alerts")
	case kept.After(s.since):
		list = append(list, "alerts are kept since "+kept.UTC().Format(time.RFC3339)+" only: nothing is known of those before")
	}
	return list
}
