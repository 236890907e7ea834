package evidence

import (
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// What remembering costs beside the texts, in bytes, about: an entry with its
// place in the maps and the heap, an alert with its maps, a pair in a map.
const (
	entryBytes = 256
	alertBytes = 256
	pairBytes  = 32
)

// bytes is what the entry weighs without its firings.
func (e *entry) bytes() int { return entryBytes + len(e.target) + len(e.fingerprint) }

func alertSize(a *backout.Alert) int {
	n := alertBytes + len(a.Fingerprint) + len(a.GeneratorURL)
	for name, value := range a.Labels {
		n += pairBytes + len(name) + len(value)
	}
	for name, value := range a.Annotations {
		n += pairBytes + len(name) + len(value)
	}
	return n
}

// firingOf makes what is kept of a firing. before is the same firing as known so
// far, or zero.
func (t *Table) firingOf(e *entry, a *backout.Alert, at time.Time, before firing) firing {
	f := firing{alert: a, expires: a.EndsAt}
	if f.expires.IsZero() {
		f.expires = at.Add(t.opts.StaleAfter)
	}
	if before.expires.After(f.expires) {
		f.expires = before.expires
	}
	switch whole := t.opts.Keep == nil || t.opts.Keep(e.target); {
	case whole:
		f.bytes = alertSize(a)
	case before.brief && before.alert.EndsAt.Equal(a.EndsAt):
		f.alert, f.bytes, f.brief = before.alert, before.bytes, true
	default:
		f.alert = brief(e, a)
		f.bytes, f.brief = alertSize(f.alert), true
	}
	return f
}

// brief copies what tells who is red, since when and by what name. Nothing of it
// shares memory with the alert.
func brief(e *entry, a *backout.Alert) *backout.Alert {
	b := &backout.Alert{Fingerprint: e.fingerprint, Firing: a.Firing, StartsAt: a.StartsAt, EndsAt: a.EndsAt}
	if name := a.Name(); name != "" {
		b.Labels = map[string]string{"alertname": strings.Clone(name)}
	}
	return b
}

// makeRoom makes room for one more entry of n bytes, and tells whether there is
// any: no firing alert makes room for an ending.
func (t *Table) makeRoom(n int, firing bool) bool {
	for len(t.alerts) >= t.opts.MaxAlerts || t.bytes+n > t.opts.MaxBytes {
		if !t.evict(nil, firing) {
			return firing
		}
	}
	return true
}

// makeBytes makes room for n more bytes of the entry, as far as others have any.
func (t *Table) makeBytes(e *entry, n int) {
	for t.bytes+n > t.opts.MaxBytes && t.evict(e, true) {
	}
}

// evict forgets one alert other than spared, and tells whether there was one: the
// one that ended longest ago, or else, where a firing one may go, the one that is
// due first.
func (t *Table) evict(spared *entry, firing bool) bool {
	oldest := t.ended.oldest
	if oldest != nil && oldest == spared {
		oldest = oldest.newer
	}
	if oldest != nil {
		t.forget(oldest)
		return true
	}
	first := t.due.firstBut(spared)
	if !firing || first == nil {
		return false
	}
	t.evicted++
	t.forget(first)
	return true
}

// Bytes is about what the remembered alerts take.
func (t *Table) Bytes() int { return t.bytes }
