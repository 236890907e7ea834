package evidence

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Options bound a [Table]. The zero value means the defaults.
type Options struct {
	// MaxAlerts is how many alerts are remembered, firing and resolved; default
	// 500,000.
	MaxAlerts int
	// MaxBytes is how much the remembered alerts may take, about, in bytes; default
	// 128 MiB. Room is made as for MaxAlerts. One alert alone may take more.
	MaxBytes int
	// MaxPasts is of how many alerts on targets the beginnings and endings of the last
	// hour are remembered, beside MaxBytes; default 50,000, about 1 KiB each at most.
	MaxPasts int
	// Keep tells whether alerts on the target are kept whole. Of others the table
	// keeps a copy with the fingerprint, the alertname label and the times only,
	// so that strangers cost little. nil keeps all whole. It is asked at every
	// firing, by whoever calls [Table.Observe].
	Keep func(target string) bool
	// StaleAfter is how long an alert stays firing without being confirmed when
	// it names no end. It must be longer than the sender's repeat interval
	// (4 h in Alertmanager unless set); default 24 h.
	StaleAfter time.Duration
	// RememberEnded is how long an ending is remembered, counted from its
	// arrival. Within that time a firing that started before the ending is taken
	// for a late duplicate; after it, for an alert that is red again (an
	// Alertmanager that lost and regained its Prometheus says so with the old
	// start). Default 2 m.
	RememberEnded time.Duration
	// Moved, unless nil, is called with a target whenever an alert begins or ends
	// to fire on it, or the earliest known start of one changes: what [Table.Newest]
	// says may have changed. It must not change the table.
	Moved func(target string)
}

// Table is who is red. Use [New].
type Table struct {
	opts    Options
	alerts  map[key]*entry
	targets map[string][]*entry // firing ones, in no order
	due     dueHeap             // firing ones, by a time not after their expiry
	ended   endedList           // ended ones, oldest arrival first
	pasts   pasts               // what those that have ended once did lately
	watched map[string][]first  // by target, see Watch
	bytes   int                 // what the entries weigh, about
	evicted int
}

type key struct{ target, fingerprint string }

// entry is what is known of one alert on one target.
type entry struct {
	key
	// firings are the known firings that no ending has cleared, one a start,
	// oldest first; empty when the alert has ended.
	firings []firing
	// endedAt is the latest known end, endedSeen when it arrived.
	endedAt   time.Time
	endedSeen time.Time
	dueAt     time.Time // the time it stands under in the heap, not after it expires
	place     int       // in its target's list
	heapPlace int       // in the heap, -1 when out of it
	// older and newer chain the ended ones.
	older, newer *entry
	chained      bool
}

// firing is one firing of an alert, and until when it counts unconfirmed.
type firing struct {
	alert   *backout.Alert
	expires time.Time
	bytes   int  // what it weighs
	brief   bool // the alert is a copy that the table made, without its texts
}

// expires is when nobody vouches for the alert any more.
func (e *entry) expires() time.Time {
	var last time.Time
	for _, f := range e.firings {
		if f.expires.After(last) {
			last = f.expires
		}
	}
	return last
}

// maxFirings bounds how many different starts of one alert are kept: several
// Prometheus replicas see the same failure seconds apart.
const maxFirings = 8

// New returns an empty table.
func New(opts Options) *Table {
	opts.MaxAlerts = cmp.Or(max(0, opts.MaxAlerts), 500_000)
	opts.MaxBytes = cmp.Or(max(0, opts.MaxBytes), 128<<20)
	opts.MaxPasts = cmp.Or(max(0, opts.MaxPasts), 50_000)
	opts.StaleAfter = cmp.Or(max(0, opts.StaleAfter), 24*time.Hour)
	opts.RememberEnded = cmp.Or(max(0, opts.RememberEnded), 2*time.Minute)
	if opts.Moved == nil {
		opts.Moved = func(string) {}
	}
	return &Table{opts: opts, alerts: map[key]*entry{}, targets: map[string][]*entry{}, watched: map[string][]first{}}
}

// Observe takes in one delivery of an alert on a target, received at the given
// time, and tells whether it changed who is red or since when. A repetition
// changes nothing. The table keeps the alert, or a brief copy of it, see
// [Options].Keep: nobody may change it afterwards. What memory its strings are
// part of stays with them; of the target's name, which may be a part of a label,
// the table keeps a copy. An alert on no target is not kept, nor is one about backout
// itself, which makes nothing red.
func (t *Table) Observe(target string, a *backout.Alert, at time.Time) (changed bool) {
	if target == "" || a.Own() {
		return false
	}
	k := key{target, a.Fingerprint}
	e := t.alerts[k]
	if e != nil && len(e.firings) == 0 && !at.Before(e.endedSeen.Add(t.opts.RememberEnded)) {
		t.forget(e)
		e = nil
	}
	if e == nil {
		e = &entry{key: key{strings.Clone(target), strings.Clone(a.Fingerprint)}, heapPlace: -1}
		if !t.makeRoom(e.bytes(), a.Firing) {
			return false
		}
		t.alerts[e.key] = e
		t.bytes += e.bytes()
	}
	if a.Firing {
		return t.fire(e, a, at)
	}
	return t.end(e, a, at)
}

// fire takes in a firing.
func (t *Table) fire(e *entry, a *backout.Alert, at time.Time) bool {
	if !e.endedSeen.IsZero() && !a.StartsAt.After(e.endedAt) {
		t.began(e, a.StartsAt, at)
		return false
	}
	i, known := slices.BinarySearchFunc(e.firings, a.StartsAt, func(f firing, start time.Time) int {
		return f.alert.StartsAt.Compare(start)
	})
	var before firing
	if known {
		before = e.firings[i]
	}
	f := t.firingOf(e, a, at, before)
	t.makeBytes(e, f.bytes-before.bytes)
	t.bytes += f.bytes - before.bytes
	if known {
		e.firings[i] = f
		return false
	}
	t.began(e, a.StartsAt, at)
	wasRed := len(e.firings) > 0
	if len(e.firings) == maxFirings {
		// The oldest says since when, the newest survives an ending; one between
		// them is spared most easily.
		t.bytes -= e.firings[maxFirings/2].bytes
		e.firings = slices.Delete(e.firings, maxFirings/2, maxFirings/2+1)
		if i > maxFirings/2 {
			i--
		}
	}
	e.firings = slices.Insert(e.firings, i, f)
	if !wasRed {
		t.redden(e)
		return true
	}
	if i == 0 {
		t.opts.Moved(e.target)
	}
	return i == 0
}

// end takes in an ending. One without a time ends now.
func (t *Table) end(e *entry, a *backout.Alert, at time.Time) bool {
	ended := a.EndsAt
	if ended.IsZero() {
		ended = at
	}
	if ended.Before(a.StartsAt) {
		ended = a.StartsAt
	}
	t.over(e, a.StartsAt, ended, at)
	if !e.endedSeen.IsZero() && !ended.After(e.endedAt) {
		return false
	}
	e.endedAt, e.endedSeen = ended, at
	cleared := 0
	for cleared < len(e.firings) && !e.firings[cleared].alert.StartsAt.After(ended) {
		t.bytes -= e.firings[cleared].bytes
		cleared++
	}
	e.firings = slices.Delete(e.firings, 0, cleared)
	switch {
	case len(e.firings) == 0:
		if cleared > 0 {
			t.whiten(e)
		}
		t.ended.push(e)
	case cleared > 0:
		t.opts.Moved(e.target)
		if expires := e.expires(); expires.Before(e.dueAt) {
			e.dueAt = expires
			t.due.fix(e)
		}
	}
	return cleared > 0
}

// redden puts an entry among the firing ones.
func (t *Table) redden(e *entry) {
	t.ended.remove(e)
	list := t.targets[e.target]
	e.place = len(list)
	t.targets[e.target] = append(list, e)
	e.dueAt = e.expires()
	t.due.push(e)
	t.opts.Moved(e.target)
}

// whiten takes an entry from among the firing ones.
func (t *Table) whiten(e *entry) {
	list := t.targets[e.target]
	last := list[len(list)-1]
	list[e.place], last.place = last, e.place
	list[len(list)-1] = nil
	if list = list[:len(list)-1]; len(list) == 0 {
		delete(t.targets, e.target)
	} else {
		t.targets[e.target] = list
	}
	t.due.remove(e)
	t.opts.Moved(e.target)
}

func (t *Table) forget(e *entry) {
	if e.heapPlace >= 0 {
		t.whiten(e)
	}
	t.ended.remove(e)
	delete(t.alerts, e.key)
	t.bytes -= e.bytes()
	for _, f := range e.firings {
		t.bytes -= f.bytes
	}
}

// Expire drops firing alerts that nobody has confirmed in time, and endings and
// flaps that are no longer worth remembering, and returns the targets on which an alert
// expired, each once, in order. Their alerts count as unknown from then on, not
// as resolved: a later firing with the old start is red again.
func (t *Table) Expire(now time.Time) []string {
	for e := t.ended.oldest; e != nil && !now.Before(e.endedSeen.Add(t.opts.RememberEnded)); e = t.ended.oldest {
		t.forget(e)
	}
	for p := t.pasts.oldest(); p != nil && !now.Before(p.seen.Add(flapsWithin)); p = t.pasts.oldest() {
		t.pasts.forget(p)
	}
	var targets []string
	for len(t.due) > 0 && !now.Before(t.due[0].dueAt) {
		e := t.due[0]
		if expires := e.expires(); now.Before(expires) {
			// It was confirmed since; confirming leaves the heap alone to stay cheap.
			e.dueAt = expires
			t.due.fix(e)
			continue
		}
		targets = append(targets, e.target)
		t.forget(e)
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}

// Due is when [Table.Expire] may next find a firing alert that nobody has confirmed;
// false when none fires.
func (t *Table) Due() (time.Time, bool) {
	if len(t.due) == 0 {
		return time.Time{}, false
	}
	return t.due[0].dueAt, true
}

// Len is the number of alerts remembered, firing or ended.
func (t *Table) Len() int { return len(t.alerts) }

// RedTargets is the number of targets with a firing alert.
func (t *Table) RedTargets() int { return len(t.targets) }

// Evicted is how many firing alerts were forgotten because the table was full.
// Anything but 0 means that a red target may look green.
func (t *Table) Evicted() int { return t.evicted }
