package evidence

import (
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// HistoryOptions bound a [History]. The zero value means the defaults.
type HistoryOptions struct {
	// MaxAlerts is how many alerts are remembered at once; default 20,000. What that
	// does to them stands in [Options].
	MaxAlerts int
	// MaxSpans is how many times of one target are told apart; default 250. Of more,
	// those that are closest together are told as one.
	MaxSpans int
	// StaleAfter is as in [Options].
	StaleAfter time.Duration
}

// maxNames bounds the names that are told with one span.
const maxNames = 20

// History tells when targets were red. It is fed with what came in, in the order in
// which it did, and counts as a [Table] does: what the table says is red is red here.
// A time of redness begins and ends when the alerts say that it did. An alert that is
// red again with its old start, after it has ended, is so from when that came in.
//
// It is not safe for two goroutines.
type History struct {
	table   *Table
	targets map[string]*timeline
	most    int
	now     time.Time
	ended   int // how many last ends are remembered
	joined  bool
	unnamed bool
}

// Span is a time during which a target was red without a break.
type Span struct {
	// From is when it began; To when it ended, zero while it has not.
	From, To time.Time
	// Alerts are the names of those that fired, sorted.
	Alerts []string
}

// timeline is what is known of one target.
type timeline struct {
	spans []Span               // those that have ended, in order; none touches another
	fires map[string]episode   // what fires, by fingerprint
	ended map[string]time.Time // when each alert ended last
}

// episode is one alert that fires, as far as it is part of a time of redness.
type episode struct {
	from time.Time
	name string
}

// maxEnded bounds of how many alerts the last ends are remembered. What is forgotten
// may be told to be red again from its old start.
const maxEnded = 50_000

// NewHistory returns one of these targets that has heard nothing.
func NewHistory(targets []string, o HistoryOptions) *History {
	if o.MaxAlerts <= 0 {
		o.MaxAlerts = 20_000
	}
	if o.MaxSpans <= 0 {
		o.MaxSpans = 250
	}
	h := &History{targets: make(map[string]*timeline, len(targets)), most: o.MaxSpans}
	h.table = New(Options{
		MaxAlerts: o.MaxAlerts, MaxBytes: o.MaxAlerts << 10, MaxPasts: 1, StaleAfter: o.StaleAfter,
		Keep: func(string) bool { return false },
	})
	for _, name := range targets {
		h.targets[name] = &timeline{}
	}
	return h
}

// Observe takes in one delivery, received at the given time; of targets that are not
// this history's it takes nothing. A time before that of the delivery before it counts
// as that one.
func (h *History) Observe(target string, a *backout.Alert, at time.Time) {
	t := h.targets[target]
	if t == nil {
		return
	}
	h.Advance(at)
	was, fired := h.table.FiringSince(target, a.Fingerprint)
	h.table.Observe(target, a, h.now)
	is, fires := h.table.FiringSince(target, a.Fingerprint)
	switch {
	case a.Firing && fires && (!fired || is.Before(was)):
		t.begins(a, is, h.now)
	case a.Firing || a.Own():
	default:
		h.ends(t, a, fires, is)
	}
}

// begins takes in that an alert fires since the time, or since earlier than was known.
func (t *timeline) begins(a *backout.Alert, since, now time.Time) {
	if ended, ok := t.ended[a.Fingerprint]; ok && !since.After(ended) {
		since = now // it was green in between
	}
	known, ok := t.fires[a.Fingerprint]
	if !ok {
		if t.fires == nil {
			t.fires = map[string]episode{}
		}
		known = episode{from: now, name: strings.Clone(a.Name())}
	}
	if since.Before(known.from) {
		known.from = since
	}
	t.fires[strings.Clone(a.Fingerprint)] = known
}

// ends takes in an ending. One of which nothing was known tells of a whole time of
// redness. still says that the alert fires all the same, since later.
func (h *History) ends(t *timeline, a *backout.Alert, still bool, since time.Time) {
	to := a.EndsAt
	if to.IsZero() || to.After(h.now) {
		to = h.now
	}
	known, fired := t.fires[a.Fingerprint]
	switch {
	case !fired:
		known = episode{from: a.StartsAt, name: a.Name()}
		if ended, ok := t.ended[a.Fingerprint]; ok && !known.from.After(ended) {
			return // it is told once more
		}
	case still && !since.After(known.from):
		return // an older firing has ended
	case still:
		t.fires[a.Fingerprint] = episode{from: since, name: known.name}
	default:
		delete(t.fires, a.Fingerprint)
	}
	h.add(t, a.Fingerprint, known, to)
}

// add notes a time of redness of an alert that is over.
func (h *History) add(t *timeline, fingerprint string, f episode, to time.Time) {
	h.noteEnd(t, fingerprint, to)
	if !to.After(f.from) {
		return
	}
	t.spans = h.merge(t.spans, Span{From: f.from, To: to, Alerts: named(f.name)})
	for len(t.spans) > h.most {
		t.spans = h.join(t.spans)
	}
}

func (h *History) noteEnd(t *timeline, fingerprint string, at time.Time) {
	known, ok := t.ended[fingerprint]
	switch {
	case ok && !at.After(known):
		return
	case !ok && h.ended >= maxEnded:
		for _, other := range h.targets {
			other.ended = nil
		}
		h.ended = 0
	}
	if t.ended == nil {
		t.ended = map[string]time.Time{}
	}
	if !ok {
		h.ended++
	}
	t.ended[strings.Clone(fingerprint)] = at
}

// named is the list of one name, of none where there is none.
func named(name string) []string {
	if name == "" {
		return nil
	}
	return []string{strings.Clone(name)}
}

// Advance lets expire what nobody has confirmed until the time.
func (h *History) Advance(at time.Time) {
	if at.After(h.now) {
		h.now = at
	}
	for {
		due, ok := h.table.Due()
		if !ok || due.After(h.now) {
			break
		}
		for _, target := range h.table.Expire(due) {
			h.expired(target, due)
		}
	}
	h.table.Expire(h.now)
}

func (h *History) expired(target string, at time.Time) {
	t := h.targets[target]
	for fingerprint, f := range t.fires {
		if _, fires := h.table.FiringSince(target, fingerprint); !fires {
			delete(t.fires, fingerprint)
			h.add(t, fingerprint, f, at)
		}
	}
}

// Spans tells when the target was red, the earliest first, none touching another. also
// are alerts that are known from elsewhere to fire on it. cut says that nothing is known
// of what came after the last delivery: then what fired by then counts as ended with it,
// unless it is among also.
func (h *History) Spans(target string, cut bool, also []*backout.Alert) []Span {
	t := h.targets[target]
	if t == nil {
		return nil
	}
	spans := slices.Clone(t.spans)
	var open []Span
	for _, a := range also {
		open = append(open, Span{From: t.since(a, h.now), Alerts: named(a.Name())})
	}
	for fingerprint, f := range t.fires {
		s := Span{From: f.from, Alerts: named(f.name)}
		if cut && !slices.ContainsFunc(also, func(a *backout.Alert) bool { return a.Fingerprint == fingerprint }) {
			if s.To = h.now; s.To.After(s.From) {
				spans = h.merge(spans, s)
			}
			continue
		}
		open = append(open, s)
	}
	for _, s := range open {
		spans = h.merge(spans, s)
	}
	return spans
}

// since is from when an alert fires that is known from elsewhere.
func (t *timeline) since(a *backout.Alert, now time.Time) time.Time {
	if f, ok := t.fires[a.Fingerprint]; ok {
		return f.from
	}
	if ended, ok := t.ended[a.Fingerprint]; ok && !a.StartsAt.After(ended) {
		return now
	}
	return a.StartsAt
}

// Now is the time of the last delivery, or what it was advanced to; zero before any.
func (h *History) Now() time.Time { return h.now }

// Joined tells whether times of redness are told as one that were several.
func (h *History) Joined() bool { return h.joined }

// Unnamed tells whether names of alerts were left out.
func (h *History) Unnamed() bool { return h.unnamed }

// Evicted is as [Table.Evicted].
func (h *History) Evicted() int { return h.table.Evicted() }

// merge puts a span among others, and makes one of those that touch it. The list it is
// given may change.
func (h *History) merge(list []Span, s Span) []Span {
	first, _ := slices.BinarySearchFunc(list, s.From, func(o Span, from time.Time) int {
		if o.To.IsZero() {
			return 1
		}
		return o.To.Compare(from)
	})
	next := first
	for ; next < len(list) && (s.To.IsZero() || !list[next].From.After(s.To)); next++ {
		s = h.union(s, list[next])
	}
	return slices.Replace(list, first, next, s)
}

func (h *History) union(a, b Span) Span {
	if b.From.Before(a.From) {
		a.From = b.From
	}
	if b.To.IsZero() || !a.To.IsZero() && b.To.After(a.To) {
		a.To = b.To
	}
	all := slices.Concat(a.Alerts, b.Alerts)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > maxNames {
		all, h.unnamed = all[:maxNames:maxNames], true
	}
	a.Alerts = all
	return a
}

// join makes one of the two spans that are closest together.
func (h *History) join(list []Span) []Span {
	at := 0
	for i := range len(list) - 1 {
		if list[i+1].From.Sub(list[i].To) < list[at+1].From.Sub(list[at].To) {
			at = i
		}
	}
	h.joined = true
	return slices.Replace(list, at, at+2, h.union(list[at], list[at+1]))
}
