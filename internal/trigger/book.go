package trigger

import (
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

const (
	// MaxMatches is how many matches of a rule a book holds, for each change, and the
	// largest at_least. Of more the newest are kept.
	MaxMatches = 1000
	// Lapse is how long a match is remembered that is not repeated, or for within
	// when that is longer.
	Lapse = 10 * time.Minute
	// MaxOnceWithin is how long a rollback is remembered, and the longest once_within.
	MaxOnceWithin = 90 * 24 * time.Hour
)

// Book remembers what throttles need: which alerts matched when, and when rules
// acted.
type Book struct {
	matches map[scope]*matches
	// acts are found by the rule, and by the change.
	byRule, byChange map[string]map[act]bool
}

// scope is what matches are counted for: what a rule says, by its name and the hash of
// its content, on a change; with per: rule the change is empty.
type scope struct{ rule, hash, change string }

// seen is one alert on one target.
type seen struct{ target, fingerprint string }

// match is when an alert matched first and last since it turned red.
type match struct{ first, last time.Time }

type matches struct {
	lapse time.Duration
	of    map[seen]match
}

// act is a rollback that was opened for a rule.
type act struct {
	rule, change string
	level        int
	at           int64 // in nanoseconds
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{matches: map[scope]*matches{}, byRule: map[string]map[act]bool{}, byChange: map[string]map[act]bool{}}
}

// Matched notes that a rule matched. It is to be told before [Decide], of every
// match and each time it is repeated. Rules without at_least leave no trace.
func (b *Book) Matched(c Case) {
	target := c.Verdict.Target
	if c.Throttle.AtLeast <= 1 || !c.Change.State.Live() || c.Change.ActiveRollback(target) != "" || c.Change.TakenBack(target) != "" {
		return
	}
	b.note(c.Verdict, c.Throttle, c.Alert.StartsAt, c.Now, c.Now)
}

// Recall notes a match that a log tells of, which began at the time at; until now
// it counts as repeated.
func (b *Book) Recall(v backout.Verdict, t backout.Throttle, at, now time.Time) {
	if t.AtLeast > 1 {
		b.note(v, t, time.Time{}, at, now)
	}
}

func (b *Book) note(v backout.Verdict, t backout.Throttle, starts, first, last time.Time) {
	s := scopeOf(v, t)
	m := b.matches[s]
	if m == nil {
		m = &matches{of: map[seen]match{}}
		b.matches[s] = m
	}
	m.lapse = lapseOf(t)
	key := seen{v.Target, v.Fingerprint}
	known, ok := m.of[key]
	switch {
	case ok && !known.first.Before(starts) && first.Sub(known.last) <= m.lapse:
		if first.Before(known.first) && !first.Before(starts) {
			known.first = first
		}
		if last.After(known.last) {
			known.last = last
		}
		m.of[key] = known
	case !ok && len(m.of) >= MaxMatches:
		// It may be one that had to go: no later than its alert's start.
		m.replaceOldest(key, match{starts, last})
	default:
		m.of[key] = match{first, last}
	}
}

// replaceOldest takes a match in the place of the oldest, unless it is older.
func (m *matches) replaceOldest(key seen, by match) {
	var oldest seen
	var since time.Time
	for k, known := range m.of {
		if since.IsZero() || known.first.Before(since) || known.first.Equal(since) && less(k, oldest) {
			oldest, since = k, known.first
		}
	}
	if by.first.After(since) {
		delete(m.of, oldest)
		m.of[key] = by
	}
}

func less(a, b seen) bool {
	return a.target < b.target || a.target == b.target && a.fingerprint < b.fingerprint
}

func scopeOf(v backout.Verdict, t backout.Throttle) scope {
	if t.Per == backout.PerRule {
		return scope{rule: v.Rule, hash: v.RuleHash}
	}
	return scope{v.Rule, v.RuleHash, v.ChangeID}
}

func lapseOf(t backout.Throttle) time.Duration { return max(Lapse, time.Duration(t.Within)) }

// Acted notes that a rollback was opened for the verdict at a level. Telling it
// twice is harmless.
func (b *Book) Acted(v backout.Verdict, level int, at time.Time) {
	a := act{v.Rule, v.ChangeID, level, at.UnixNano()}
	index(b.byRule, a.rule, a)
	index(b.byChange, a.change, a)
}

func index(by map[string]map[act]bool, key string, a act) {
	if by[key] == nil {
		by[key] = map[act]bool{}
	}
	by[key][a] = true
}

// Cancelled takes back what [Book.Acted] said: the rollback was cancelled before it
// began anything.
func (b *Book) Cancelled(v backout.Verdict, level int, at time.Time) {
	b.drop(act{v.Rule, v.ChangeID, level, at.UnixNano()})
}

func (b *Book) drop(a act) {
	unindex(b.byRule, a.rule, a)
	unindex(b.byChange, a.change, a)
}

func unindex(by map[string]map[act]bool, key string, a act) {
	if delete(by[key], a); len(by[key]) == 0 {
		delete(by, key)
	}
}

// Forget drops what is of no use any more at the time. It changes no answer.
func (b *Book) Forget(now time.Time) {
	for s, m := range b.matches {
		for key, known := range m.of {
			if now.Sub(known.last) > m.lapse {
				delete(m.of, key)
			}
		}
		if len(m.of) == 0 {
			delete(b.matches, s)
		}
	}
	for _, acts := range b.byRule {
		for a := range acts {
			if now.Sub(time.Unix(0, a.at)) > MaxOnceWithin {
				b.drop(a)
			}
		}
	}
}

// stops says why the throttle keeps the rule from acting, or "".
func (b *Book) stops(c Case) string {
	t := c.Throttle
	if t.AtLeast > 1 {
		if n := b.count(c, t.AtLeast); n < t.AtLeast {
			return fmt.Sprintf("at_least: %d of %d alerts within %s", n, t.AtLeast, t.Within)
		}
	}
	if t.OnceWithin <= 0 {
		return ""
	}
	last := b.lastActed(c)
	if again := last.Add(time.Duration(t.OnceWithin)); !last.IsZero() && c.Now.Before(again) {
		return fmt.Sprintf("once_within: it acted at %s, and not again before %s", clock(last), clock(again))
	}
	return ""
}

// count is how many alerts count for the case, its own among them; it does not go on
// when there are enough.
func (b *Book) count(c Case, enough int) int {
	n, own := 1, seen{c.Verdict.Target, c.Verdict.Fingerprint}
	m := b.matches[scopeOf(c.Verdict, c.Throttle)]
	if m == nil {
		return n
	}
	for key, known := range m.of {
		if n >= enough {
			break
		}
		if key != own && c.Now.Sub(known.first) <= time.Duration(c.Throttle.Within) {
			n++
		}
	}
	return n
}

// lastActed is when the rule acted last; zero when it never did.
func (b *Book) lastActed(c Case) time.Time {
	var last time.Time
	later := func(at time.Time) {
		if at.After(last) {
			last = at
		}
	}
	for _, r := range c.Change.Rollbacks {
		if r.Rule == c.Verdict.Rule && r.Status != backout.RollbackCancelled {
			later(r.RequestedAt)
		}
	}
	for a := range b.byRule[c.Verdict.Rule] {
		if c.Throttle.Per == backout.PerRule || a.change == c.Change.ID {
			later(time.Unix(0, a.at).UTC())
		}
	}
	return last
}

// latched says why the latch of the level is closed, or "".
func (b *Book) latched(c Case, level int) string {
	if !c.Throttle.Latch {
		return ""
	}
	why := fmt.Sprintf("latch: a rollback of %s has begun with L%d before", c.Change.ID, level+1)
	for _, r := range c.Change.Rollbacks {
		if r.StartAt == level && r.Status != backout.RollbackCancelled {
			return why
		}
	}
	for a := range b.byChange[c.Change.ID] {
		if a.level == level {
			return why
		}
	}
	return ""
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
