package replay

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/evidence"
	"github.com/backout-io/backout/rules"
)

// world is what rules see at the time that the run has come to: who is red, which
// changes are live on which target, and the inventory. It implements rules.World.
type world struct {
	h      *History
	labels []string
	now    time.Time
	// live are the live changes by target, sorted by id.
	live  map[string][]*backout.Change
	table *evidence.Table
	// redLive are the red targets of live changes, patched the live targets of the
	// inventory, which are not in the control group.
	redLive map[string]struct{}
	patched int
	touched []string
}

func newWorld(set *rules.Set, h *History) *world {
	w := &world{h: h, labels: set.TargetLabels(), live: map[string][]*backout.Change{}, redLive: map[string]struct{}{}}
	w.table = evidence.New(evidence.Options{Moved: w.moved, Keep: w.keep})
	return w
}

// keep tells whether alerts on the target may be judged again.
func (w *world) keep(target string) bool {
	_, known := w.h.Inventory[target]
	return known || len(w.live[target]) > 0
}

// moved keeps the list of what pulses judge.
func (w *world) moved(target string) {
	if len(w.live[target]) > 0 {
		if _, red := w.table.Newest(target); red {
			w.redLive[target] = struct{}{}
			return
		}
	}
	delete(w.redLive, target)
}

// begin lists a change under its targets, end takes it off.
func (w *world) begin(c *backout.Change) {
	for _, target := range c.Targets {
		list := append(slices.Clone(w.live[target]), c)
		slices.SortFunc(list, func(a, b *backout.Change) int { return cmp.Compare(a.ID, b.ID) })
		if _, known := w.h.Inventory[target]; known && len(list) == 1 {
			w.patched++
		}
		w.live[target] = list
		w.moved(target)
	}
}

func (w *world) end(c *backout.Change) {
	for _, target := range c.Targets {
		before := w.live[target]
		rest := slices.DeleteFunc(slices.Clone(before), func(o *backout.Change) bool { return o == c })
		w.live[target] = rest
		if len(rest) == 0 {
			delete(w.live, target)
			if _, known := w.h.Inventory[target]; known && len(before) > 0 {
				w.patched--
			}
		}
		w.moved(target)
	}
}

// observe notes an alert, and returns the targets it names that a live change
// touches, until the next call.
func (w *world) observe(a *backout.Alert) []string {
	w.touched = w.touched[:0]
	for _, label := range w.labels {
		target := rules.Host(a.Labels[label])
		if target == "" {
			continue
		}
		w.table.Observe(target, a, w.now)
		if len(w.live[target]) > 0 {
			w.touched = append(w.touched, target)
		}
	}
	return w.touched
}

// earliest is the alert with the earliest start that anybody has told.
func (w *world) earliest(a *backout.Alert) *backout.Alert {
	for _, label := range w.labels {
		since, ok := w.table.FiringSince(rules.Host(a.Labels[label]), a.Fingerprint)
		if ok && since.Before(a.StartsAt) {
			earlier := *a
			earlier.StartsAt = since
			a = &earlier
		}
	}
	return a
}

// redOnLive lists what fires on targets of live changes.
func (w *world) redOnLive() []*backout.Alert {
	targets := make([]string, 0, len(w.redLive))
	for target := range w.redLive {
		targets = append(targets, target)
	}
	slices.Sort(targets)
	var list []*backout.Alert
	for _, target := range targets {
		list = append(list, w.table.Red(target)...)
	}
	return list
}

// stillRed tells whether an alert that speaks for the rollback fires still.
func (w *world) stillRed(r *backout.Rollback) bool {
	return slices.ContainsFunc(r.Evidence, func(ref backout.AlertRef) bool {
		_, firing := w.table.FiringSince(ref.Target, ref.Fingerprint)
		return firing
	})
}

// ChangesOn implements rules.World.
func (w *world) ChangesOn(target string) []*backout.Change { return w.live[target] }

// Target implements rules.World.
func (w *world) Target(name string) (backout.Target, bool) {
	t, ok := w.h.Inventory[name]
	return t, ok
}

// Evidence implements rules.World.
func (w *world) Evidence(c *backout.Change) backout.Evidence {
	return w.table.EvidenceAmong(c, len(w.h.Inventory)-w.patched, func(target string) bool {
		_, known := w.h.Inventory[target]
		return known && len(w.live[target]) == 0
	}, w.now)
}

// Signals implements rules.World.
func (w *world) Signals(_ *backout.Change, _, fingerprint string) backout.Signals {
	var s backout.Signals
	if w.h.Signals != nil {
		s.Silenced, s.Inhibited, s.Asked = w.h.Signals(w.now, fingerprint)
	}
	return s
}

var errNoQueries = errors.New("this history answers no queries")

// Query implements rules.World.
func (w *world) Query(query, target string) (float64, error) {
	if w.h.Query == nil {
		return 0, errNoQueries
	}
	return w.h.Query(w.now, query, target)
}
