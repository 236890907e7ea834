package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
)

// History implements [handlers.Rules].
func (e *Engine) History(ctx context.Context, since, until time.Time, fn func(handlers.HistoryEntry) error) error {
	return e.HistoryOf(ctx, since, until, math.MaxInt, fn)
}

// HistoryOf is History for who can only keep so many changes: where there are more, it
// is an error that wraps [backout.ErrInvalid], and nothing is told.
func (e *Engine) HistoryOf(ctx context.Context, since, until time.Time, most int, fn func(handlers.HistoryEntry) error) error {
	var end handlers.HistoryEnd
	changes, more := e.openBetween(since, until, most)
	if more {
		return fmt.Errorf("more than %d changes were open then, choose a shorter past: %w", most, backout.ErrInvalid)
	}
	for i := range changes {
		end.Changes++
		if err := fn(handlers.HistoryEntry{Change: &changes[i]}); err != nil {
			return err
		}
	}
	for _, c := range changes {
		for _, ref := range c.Rollbacks {
			entry, err := e.rollbackEntry(ctx, ref.ID)
			if err != nil {
				return err
			}
			if entry.Rollback == nil {
				continue
			}
			end.Rollbacks++
			if err := fn(entry); err != nil {
				return err
			}
		}
	}
	var err error
	if end.KeptSince, err = e.store.Alerts.Oldest(ctx); err != nil {
		return err
	}
	if end.Posts, err = e.posts(ctx, since, until, fn); err != nil {
		return err
	}
	return fn(handlers.HistoryEntry{End: &end})
}

// openBetween lists the changes whose windows were open or watched between the
// times, in the order in which they opened; more says that there are more than most.
func (e *Engine) openBetween(since, until time.Time, most int) (out []backout.Change, more bool) {
	e.changes.all(func(_ string, c backout.Change) {
		if c.OpenedAt.IsZero() || c.OpenedAt.After(until) || !c.EndedAt.IsZero() && c.EndedAt.Before(since) {
			return
		}
		if more = more || len(out) == most; !more {
			out = append(out, c)
		}
	})
	slices.SortFunc(out, func(a, b backout.Change) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	return out, more
}

// rollbackEntry is a rollback with the votes on its questions, which only its log
// remembers.
func (e *Engine) rollbackEntry(ctx context.Context, id string) (handlers.HistoryEntry, error) {
	r, ok := e.rollbacks.get(id)
	if !ok {
		return handlers.HistoryEntry{}, nil
	}
	entry := handlers.HistoryEntry{Rollback: &r}
	log, err := e.store.Rollbacks.Load(ctx, id)
	if err != nil {
		return entry, err
	}
	for _, l := range log {
		for _, ev := range l.Record.Events {
			if voted, ok := ev.(backout.Voted); ok {
				entry.Votes = append(entry.Votes, voted.Vote)
			}
		}
	}
	return entry, nil
}

// errPast ends the reading of the alerts' log.
var errPast = errors.New("behind the end")

// posts gives what came in between the times, and returns how many there were.
func (e *Engine) posts(ctx context.Context, since, until time.Time, fn func(handlers.HistoryEntry) error) (int, error) {
	n := 0
	reading, caughtUp := context.WithCancelCause(ctx)
	defer caughtUp(nil)
	err := e.store.Alerts.Follow(reading, since, func(_ store.Position, _ bool, p store.Post) error {
		if p.ReceivedAt.After(until) {
			return errPast
		}
		n++
		return fn(handlers.HistoryEntry{Post: &handlers.HistoryPost{At: p.ReceivedAt, Source: p.Source, Kind: p.Kind, Body: p.Body}})
	}, func() { caughtUp(errPast) })
	if errors.Is(err, errPast) || errors.Is(context.Cause(reading), errPast) && ctx.Err() == nil {
		err = nil
	}
	return n, err
}
