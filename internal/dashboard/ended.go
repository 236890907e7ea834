package dashboard

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

const (
	// endedFresh is how long a list of what has ended is good: of years there is much, and
	// what ends meanwhile is added by its id. endedListing is how long an open page waits
	// for another.
	endedFresh   = time.Minute
	endedListing = 6 * time.Second
	// endedKept is for how many readers such lists are kept.
	endedKept = 32
)

// allEnded keeps which rollbacks have ended, for each who looks: to list them all takes
// seconds where there are many, too long for a page that is made anew with each of their
// steps.
type allEnded struct {
	// turn is held while a list is made for an open page.
	turn turn
	mu   sync.Mutex
	kept map[string]*endings
}

// endings are the rollbacks that have ended, the newest first. They are never changed.
type endings struct {
	at   time.Time
	list []*ending
	// active are the ids of those that were under way when somebody looked last.
	active map[string]bool
}

// ending is what rows are chosen by.
type ending struct {
	id, change string
	status     backout.RollbackStatus
	opened     time.Time
	targets    []string
}

func endingOf(r *backout.Rollback) *ending {
	out := &ending{id: r.ID, change: r.ChangeID, status: r.Status, opened: r.OpenedAt}
	for i := range r.Targets {
		out.targets = append(out.targets, r.Targets[i].Name)
	}
	return out
}

// newestFirst is the order within what is under way and within what has ended.
func (a *ending) newestFirst(b *ending) int {
	return cmp.Or(b.opened.Compare(a.opened), cmp.Compare(a.id, b.id))
}

func (e *allEnded) of(key string) *endings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.kept[key]
}

// keep replaces the reader's list; nil forgets it.
func (e *allEnded) keep(key string, list *endings) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.kept, key)
	if list == nil {
		return
	}
	if e.kept == nil {
		e.kept = map[string]*endings{}
	}
	if len(e.kept) >= endedKept {
		oldest := ""
		for k, l := range e.kept {
			if oldest == "" || l.at.Before(e.kept[oldest].at) {
				oldest = k
			}
		}
		delete(e.kept, oldest)
	}
	e.kept[key] = list
}

// gatherEnded lists what has ended for an open page, before it takes the turn that all
// open pages share.
func (d *Dashboard) gatherEnded(ctx context.Context, q *query) error {
	ctx, cancel := context.WithTimeout(ctx, endedListing)
	defer cancel()
	key := readerKey(q.by)
	fresh := func() bool {
		q.ended = d.ended.of(key)
		return q.ended != nil && q.now.Sub(q.ended.at) < endedFresh
	}
	if fresh() {
		return nil
	}
	if err := d.ended.turn.take(ctx); err != nil {
		return err
	}
	defer d.ended.turn.give()
	if fresh() { // another page of theirs has listed it meanwhile
		return nil
	}
	_, list, err := d.listAll(ctx, q)
	q.ended = list
	return err
}

// everyRollback returns those under way and, of the others, what rows are chosen by.
func (d *Dashboard) everyRollback(ctx context.Context, q *query) ([]backout.Rollback, *endings, error) {
	if q.ended == nil {
		return d.listAll(ctx, q)
	}
	active, err := d.o.Services.Rollbacks.ListRollbacks(ctx, handlers.RollbackFilter{ActiveOnly: true})
	if err != nil {
		return nil, nil, err
	}
	list, err := d.caughtUp(ctx, q.ended, active)
	if err != nil {
		return nil, nil, err
	}
	d.ended.keep(readerKey(q.by), list)
	return active, list, nil
}

func (d *Dashboard) listAll(ctx context.Context, q *query) ([]backout.Rollback, *endings, error) {
	all, err := d.o.Services.Rollbacks.ListRollbacks(ctx, handlers.RollbackFilter{})
	if err != nil {
		return nil, nil, err
	}
	list, active := &endings{at: q.now, active: map[string]bool{}}, []backout.Rollback(nil)
	for i := range all {
		if r := &all[i]; r.Status.Final() {
			list.list = append(list.list, endingOf(r))
		} else {
			active = append(active, *r)
			list.active[r.ID] = true
		}
	}
	slices.SortFunc(list.list, (*ending).newestFirst)
	d.ended.keep(readerKey(q.by), list)
	return active, list, nil
}

// caughtUp adds what is not under way any more.
func (d *Dashboard) caughtUp(ctx context.Context, before *endings, active []backout.Rollback) (*endings, error) {
	out := &endings{at: before.at, list: before.list, active: map[string]bool{}}
	for i := range active {
		out.active[active[i].ID] = true
	}
	var more []*ending
	for id := range before.active {
		if out.active[id] {
			continue
		}
		r, err := d.o.Services.Rollbacks.Rollback(ctx, id)
		switch {
		case notTheirs(err): // any more
		case err != nil:
			return nil, err
		case r.Status.Final():
			more = append(more, endingOf(&r))
		default:
			out.active[id] = true
		}
	}
	if len(more) > 0 {
		out.list = slices.Concat(more, before.list)
		slices.SortFunc(out.list, (*ending).newestFirst)
	}
	return out, nil
}

func notTheirs(err error) bool {
	return errors.Is(err, backout.ErrNotFound) || errors.Is(err, backout.ErrForbidden)
}
