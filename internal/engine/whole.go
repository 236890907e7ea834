package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

// errMoved says that something was appended to the log, to whatever id, since the
// decision was based on it.
var errMoved = errors.New("the log has moved")

const (
	// wholeTries is how often a decision on the whole log is made anew when others
	// are faster, wholeWait how long it waits each time to see what they did.
	wholeTries = 50
	wholeWait  = 2 * time.Second
	wholeLook  = 2 * time.Millisecond
)

// transactWhole is transact for a decision that looks at more than its own
// aggregate: how many rollbacks are active, which windows overlap. prepare looks at
// everything this table has folded; what it returns is decided and appended only
// if nothing was appended to the whole log meanwhile, on whichever server, or else
// it is asked again.
func (t *table[S]) transactWhole(ctx context.Context, id string, prepare func() (decideFunc[S], error)) (S, error) {
	var none S
	t.whole.Lock()
	defer t.whole.Unlock()
	for range wholeTries {
		seen := t.folded.Load()
		decide, err := prepare()
		if err != nil {
			return none, err
		}
		state, err := t.appendWhole(ctx, id, seen, decide)
		if !errors.Is(err, errMoved) {
			return state, err
		}
		if err := t.awaitBeyond(ctx, seen); err != nil {
			return none, err
		}
	}
	return none, fmt.Errorf("append to %s: %w: others keep appending", id, backout.ErrUnavailable)
}

func (t *table[S]) appendWhole(ctx context.Context, id string, seen uint64, decide decideFunc[S]) (S, error) {
	a := t.entry(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.now.Load()
	was := t.open(before)
	r := &request[S]{decide: decide}
	rec := t.decideAll(id, was, before.seq, []*request[S]{r})
	if len(rec.Events) == 0 {
		return r.state, r.err
	}
	// Its fate is in the log from here on: it does not end with the caller.
	appending, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendTimeout)
	defer cancel()
	seq, err := t.log.AppendGuarded(appending, id, before.seq, seen, rec)
	switch {
	case errors.Is(err, backout.ErrConflict):
		return was, errMoved
	case err != nil:
		t.noteRefusal(err, rec.At)
		return was, fmt.Errorf("append to %s: %w", id, err)
	}
	after := t.appended(ctx, id, a, was, seq, rec)
	t.advance(seq) // nothing was between it and what had been seen
	return after, nil
}

// awaitBeyond waits until more than the sequence has been folded here.
func (t *table[S]) awaitBeyond(ctx context.Context, seen uint64) error {
	return t.await(ctx, func() bool { return t.folded.Load() > seen })
}

// await waits for the follower.
func (t *table[S]) await(ctx context.Context, is func() bool) error {
	if is() {
		return nil
	}
	late := time.NewTimer(wholeWait)
	defer late.Stop()
	look := time.NewTicker(wholeLook)
	defer look.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return fmt.Errorf("see what others have appended: %w", backout.ErrUnavailable)
		case <-look.C:
		}
	}
	return nil
}

// confirm waits until this server has folded the last record of the id that the
// store has. It fails where the store cannot be asked, or the record does not come:
// then what this server thinks of the id may be old.
func (t *table[S]) confirm(ctx context.Context, id string) error {
	last, err := t.log.LastOf(ctx, id)
	if err != nil {
		return err
	}
	return t.await(ctx, func() bool { return t.entry(id).now.Load().seq >= last })
}

// seeAll waits until this server has folded all that the log holds at this moment.
func (t *table[S]) seeAll(ctx context.Context) error {
	last, err := t.log.Last(ctx)
	if err == nil && last > t.folded.Load() {
		err = t.awaitBeyond(ctx, last-1)
	}
	return err
}

// catchUp does that where it can, so that whoever asks one server sees what
// another has just done; else what is known is what there is to go by.
func (t *table[S]) catchUp(ctx context.Context) { _ = t.seeAll(ctx) }
