package evidence

import (
	"container/list"
	"slices"
	"strings"
	"time"
)

const (
	// flapsWithin is how far back an alert's ending and coming back counts.
	flapsWithin = time.Hour
	// maxTurns bounds what is remembered of one alert: its newest beginnings and
	// endings, two for each flap.
	maxTurns = 32
)

// turn is a moment at which an alert began or ended.
type turn struct {
	at  time.Time
	end bool
}

// compare orders turns by time. An ending clears what started at its own moment,
// so it comes after it.
func (u turn) compare(v turn) int {
	switch c := u.at.Compare(v.at); {
	case c != 0 || u.end == v.end:
		return c
	case v.end:
		return -1
	}
	return 1
}

// past is what an alert that has ended once did on a target lately.
type past struct {
	key
	turns []turn    // the newest, in order, each once
	seen  time.Time // when the last new one arrived
	place *list.Element
}

// add takes in a turn and tells whether it was new.
func (p *past) add(u turn) bool {
	i, known := slices.BinarySearchFunc(p.turns, u, turn.compare)
	if known || i == 0 && len(p.turns) == maxTurns {
		return false
	}
	p.turns = slices.Insert(p.turns, i, u)
	if len(p.turns) > maxTurns {
		p.turns = slices.Delete(p.turns, 0, 1)
	}
	return true
}

// pasts are those of all alerts, by target and fingerprint, and in the order in
// which anything new of them arrived.
type pasts struct {
	byTarget map[string]map[string]*past
	order    list.List
}

func (ps *pasts) of(k key) *past { return ps.byTarget[k.target][k.fingerprint] }

func (ps *pasts) add(k key) *past {
	p := &past{key: k}
	p.place = ps.order.PushBack(p)
	if ps.byTarget == nil {
		ps.byTarget = map[string]map[string]*past{}
	}
	if ps.byTarget[k.target] == nil {
		ps.byTarget[k.target] = map[string]*past{}
	}
	ps.byTarget[k.target][k.fingerprint] = p
	return p
}

func (ps *pasts) oldest() *past {
	if front := ps.order.Front(); front != nil {
		p, _ := front.Value.(*past)
		return p
	}
	return nil
}

func (ps *pasts) forget(p *past) {
	ps.order.Remove(p.place)
	on := ps.byTarget[p.target]
	if delete(on, p.fingerprint); len(on) == 0 {
		delete(ps.byTarget, p.target)
	}
}

// began notes that an alert began on the entry's target.
func (t *Table) began(e *entry, start, at time.Time) {
	for i := range t.watched[e.target] {
		t.watched[e.target][i].note(start)
	}
	if p := t.pasts.of(e.key); p != nil {
		t.turned(p, turn{at: start}, at)
	}
}

// over notes that the alert ended. Before its first ending there is nothing that
// could come back, and no past is kept.
func (t *Table) over(e *entry, start, ended, at time.Time) {
	p := t.pasts.of(e.key)
	if p == nil && (t.opts.Keep == nil || t.opts.Keep(e.target)) {
		if t.pasts.order.Len() >= t.opts.MaxPasts {
			t.pasts.forget(t.pasts.oldest())
		}
		p = t.pasts.add(e.key)
		for _, f := range e.firings {
			p.add(turn{at: f.alert.StartsAt})
		}
	}
	t.began(e, start, at)
	if p != nil {
		t.turned(p, turn{at: ended, end: true}, at)
	}
}

func (t *Table) turned(p *past, u turn, at time.Time) {
	if p.add(u) {
		p.seen = at
		t.pasts.order.MoveToBack(p.place)
	}
}

// Flaps is how many times the alert has ended and come back on the target within
// the hour before now, as far as is remembered: at most half of 32 turns, and of
// targets that are kept whole.
func (t *Table) Flaps(target, fingerprint string, now time.Time) int {
	p := t.pasts.of(key{target, fingerprint})
	if p == nil {
		return 0
	}
	n, gone := 0, false
	for _, u := range p.turns {
		switch {
		case u.at.Before(now.Add(-flapsWithin)):
		case u.end:
			gone = true
		case gone:
			n, gone = n+1, false
		}
	}
	return n
}

// first is when the first alert began at a moment or after it; zero while none has.
type first struct{ moment, at time.Time }

func (f *first) note(start time.Time) {
	if !start.Before(f.moment) && (f.at.IsZero() || start.Before(f.at)) {
		f.at = start
	}
}

// Watch makes the table remember when the first alert began on the target at each
// of the moments or after it, however long ago that alert has ended. What it
// remembered for other moments is forgotten; no moment at all frees the target.
func (t *Table) Watch(target string, moments ...time.Time) {
	var kept []first
	for _, m := range moments {
		if m.IsZero() || slices.ContainsFunc(kept, func(f first) bool { return f.moment.Equal(m) }) {
			continue
		}
		at, _ := t.FirstSince(target, m)
		kept = append(kept, first{moment: m, at: at})
	}
	if kept == nil {
		delete(t.watched, target)
		return
	}
	t.watched[strings.Clone(target)] = kept
}

// FirstSince returns when the first alert began on the target at the moment or after
// it, and whether one has. Of a moment that is not watched it knows what still fires
// and what has ended within the last hour.
func (t *Table) FirstSince(target string, moment time.Time) (time.Time, bool) {
	for _, f := range t.watched[target] {
		if f.moment.Equal(moment) {
			return f.at, !f.at.IsZero()
		}
	}
	found := first{moment: moment}
	for _, e := range t.targets[target] {
		for _, f := range e.firings {
			found.note(f.alert.StartsAt)
		}
	}
	for _, p := range t.pasts.byTarget[target] {
		for _, u := range p.turns {
			if !u.end {
				found.note(u.at)
			}
		}
	}
	return found.at, !found.at.IsZero()
}
