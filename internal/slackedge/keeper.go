package slackedge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/notifier/slack"
)

const (
	// The wait between tries of an edit that failed: doubling from the first to the
	// last.
	firstWait = time.Second
	lastWait  = time.Minute
	// postedWait is how soon it is looked whether the receipt of a card that was just
	// posted is stored, doubling up to lastPostedWait, postedTries times.
	postedWait     = 20 * time.Millisecond
	lastPostedWait = 2 * time.Second
	postedTries    = 12
	// claimLife is how long another server may take for an edit.
	claimLife = 15 * time.Second
	// lookBack is how long before the start a rollback may have ended for its card to
	// be looked at.
	lookBack = 24 * time.Hour
)

// place names a card: a channel of the config and a rollback.
type place struct{ channel, rollback string }

// task is what is to be done about a card.
type task struct {
	// due is when; zero when nothing is to be done until the rollback moves.
	due time.Time
	// urgent edits go first and wait for nothing: what can be decided has changed.
	urgent bool
	// posted is set while the card's receipt is awaited.
	posted int
	tries  int
	// drawn is the digest of the card that was posted last.
	drawn string
	// What was looked at last, and when.
	lookedAt time.Time
	standing string
}

// keeper makes cards show what is. Of each app one card is edited at a time, so that
// what is urgent is first and nothing is edited twice at once; one app whose Slack does
// not answer keeps no other's cards waiting.
type keeper struct {
	e *Edge

	mu    sync.Mutex
	tasks map[place]*task
	// busy are the channels of which a card is being edited, and by what.
	busy map[string]*slack.Notifier
	// paused are the apps that Slack has asked to wait.
	paused []pause
	more   chan struct{}
}

// pause is until when Slack lets an app edit nothing; the app is that of the channel.
type pause struct {
	app   *slack.Notifier
	until time.Time
}

func newKeeper(e *Edge) *keeper {
	return &keeper{e: e, tasks: map[place]*task{}, busy: map[string]*slack.Notifier{}, more: make(chan struct{}, 1)}
}

func (k *keeper) wake() {
	select {
	case k.more <- struct{}{}:
	default:
	}
}

// moved says that a rollback is not what it was. It does not block.
func (k *keeper) moved(rollbackID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note("", rollbackID, time.Now())
}

// note makes a card due: "" means every channel, which run spells out.
func (k *keeper) note(channel, rollbackID string, due time.Time) *task {
	p := place{channel, rollbackID}
	t := k.tasks[p]
	if t == nil {
		t = &task{}
		k.tasks[p] = t
	}
	if t.due.IsZero() || due.Before(t.due) {
		t.due = due
	}
	k.wake()
	return t
}

// everything looks at the cards of all rollbacks that are not long over.
func (k *keeper) everything(ctx context.Context) {
	list, err := k.e.o.Reader.ListRollbacks(ctx, handlers.RollbackFilter{})
	if err != nil {
		k.e.o.Log.Error("cards of earlier rollbacks are not looked at", "error", err)
		return
	}
	since := time.Now().Add(-lookBack)
	for _, r := range list {
		if !r.Status.Final() || r.EndedAt.After(since) {
			k.moved(r.ID)
		}
	}
}

// run lets cards be edited until ctx ends.
func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		p, urgent, wait := k.next(time.Now())
		if wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-k.more:
			case <-timer.C:
			}
			continue
		}
		if p.channel == "" {
			k.spell(ctx, p.rollback)
			continue
		}
		k.e.tasks.Go(func() {
			defer k.free(p.channel)
			k.look(ctx, p, urgent)
		})
	}
}

// free says that no card of the channel is being edited any more.
func (k *keeper) free(channel string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.busy, channel)
	k.wake()
}

// opens tells from when a card of the channel may be edited; ok is false while one of its
// app is being edited. The caller holds mu.
func (k *keeper) opens(channel string) (at time.Time, ok bool) {
	if _, busy := k.busy[channel]; busy {
		return at, false
	}
	n := k.e.channelNamed(channel)
	if n == nil {
		return at, true
	}
	for _, by := range k.busy {
		if by != nil && by.SameApp(n) {
			return at, false
		}
	}
	for _, p := range k.paused {
		if p.until.After(at) && p.app.SameApp(n) {
			at = p.until
		}
	}
	return at, true
}

// next takes the card whose turn it is, or says how long there is none. The card's
// channel is busy from then on, until it is freed.
func (k *keeper) next(now time.Time) (best place, urgent bool, wait time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var chosen *task
	wait = time.Hour
	type door struct {
		at time.Time
		ok bool
	}
	doors := map[string]door{}
	for p, t := range k.tasks {
		if t.due.IsZero() {
			continue
		}
		d, known := doors[p.channel]
		if !known {
			d.at, d.ok = k.opens(p.channel)
			doors[p.channel] = d
		}
		if !d.ok {
			continue
		}
		if left := max(t.due.Sub(now), d.at.Sub(now)); left > 0 {
			wait = min(wait, left)
			continue
		}
		if chosen == nil || before(p, t, best, chosen) {
			best, chosen = p, t
		}
	}
	if chosen == nil {
		return place{}, false, wait
	}
	urgent = chosen.urgent
	chosen.due, chosen.urgent = time.Time{}, false
	if best.channel != "" {
		k.busy[best.channel] = k.e.channelNamed(best.channel)
	}
	return best, urgent, 0
}

// before tells whether a card's turn is before another's: what is to be spelled out is
// first, then what is urgent, then what is due longest.
func before(p place, t *task, other place, than *task) bool {
	if all := p.channel == ""; all != (other.channel == "") {
		return all
	}
	if t.urgent != than.urgent {
		return t.urgent
	}
	return t.due.Before(than.due)
}

// spell makes a rollback that has moved due in every channel: at once where what can
// be decided has changed, and with others' progress otherwise.
func (k *keeper) spell(ctx context.Context, rollbackID string) {
	r, err := k.e.o.Reader.Rollback(ctx, rollbackID)
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := (place{"", rollbackID}); k.tasks[p] != nil && k.tasks[p].due.IsZero() {
		delete(k.tasks, p) // it has not moved again meanwhile
	}
	if err != nil {
		return
	}
	now, standing := time.Now(), standingOf(&r)
	for _, channel := range k.e.channelNames() {
		p := place{channel, rollbackID}
		t, due := k.tasks[p], now
		urgent := t == nil || t.standing != standing
		if !urgent && t.lookedAt.Add(k.e.o.Every).After(now) {
			due = t.lookedAt.Add(k.e.o.Every)
		}
		t = k.note(channel, rollbackID, due)
		t.urgent = t.urgent || urgent
	}
}

// standingOf changes when what people can decide, or have decided, does.
func standingOf(r *backout.Rollback) string {
	ask, votes, stands := "", 0, false
	if r.Ask != nil {
		ask, votes, stands = r.Ask.ID, len(r.Ask.Votes), !r.Ask.DownAt.IsZero()
	}
	return fmt.Sprint(r.Status, " ", r.Level, " ", ask, " ", votes, " ", stands, " ", r.PausedAt.IsZero())
}

// look makes one card show what is, and says when to look again.
func (k *keeper) look(ctx context.Context, p place, urgent bool) {
	n := k.e.channelNamed(p.channel)
	r, err := k.e.o.Reader.Rollback(ctx, p.rollback)
	if n == nil || err != nil {
		k.forget(p)
		return
	}
	now := time.Now()
	done, err := k.show(ctx, n, p, r, now)
	if ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.tasks[p]
	if t == nil {
		t = &task{}
		k.tasks[p] = t
	}
	if err != nil {
		t.urgent = t.urgent || urgent
		k.failed(p, t, n, err)
		return
	}
	t.tries, t.lookedAt, t.standing = 0, now, standingOf(&r)
	switch {
	case !done && t.posted > 0:
		// It was posted: its receipt is about to be stored.
		k.note(p.channel, p.rollback, now.Add(min(postedWait<<(postedTries-t.posted), lastPostedWait)))
		t.posted, t.urgent = t.posted-1, true
	case done:
		t.posted = 0
		if at := slack.NextChange(&r, now); !at.IsZero() {
			k.note(p.channel, p.rollback, at)
		}
	}
	if r.Status.Final() && t.due.IsZero() {
		delete(k.tasks, p)
	}
}

// failed says when an edit is tried again. The caller holds mu.
func (k *keeper) failed(p place, t *task, n *slack.Notifier, err error) {
	var asks interface{ RetryAfter() time.Duration }
	switch {
	case errors.Is(err, backout.ErrConflict):
		k.note(p.channel, p.rollback, time.Now().Add(100*time.Millisecond))
		return
	case backout.IsPermanent(err):
		k.e.o.Log.Error("a card is not kept up to date any more", "channel", p.channel, "rollback", p.rollback, "error", err)
		delete(k.tasks, p)
		return
	case errors.As(err, &asks):
		until := time.Now().Add(asks.RetryAfter())
		k.paused = append(slices.DeleteFunc(k.paused, func(p pause) bool { return p.app.SameApp(n) || p.until.Before(time.Now()) }), pause{n, until})
		k.note(p.channel, p.rollback, until)
	default:
		wait := min(firstWait<<min(t.tries, 10), lastWait)
		k.note(p.channel, p.rollback, time.Now().Add(wait))
	}
	t.tries++
	k.e.o.Log.Warn("a card was not updated", "channel", p.channel, "rollback", p.rollback, "tries", t.tries, "error", err)
}

func (k *keeper) forget(p place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tasks, p)
}
