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
	// control counts the red targets of the control group; touched is how many
	// targets of the inventory are not in it.
	control evidence.ControlGroup
	touched int
	// redLive are the red targets of live changes.
	redLive map[string]struct{}
	pulse
	named []string
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

// moved keeps the control group, and the list of what pulses judge.
func (w *world) moved(target string) {
	w.fires++
	newest, red := w.table.Newest(target)
	if len(w.live[target]) == 0 {
		_, known := w.h.Inventory[target]
		w.control.Set(target, newest, red && known)
		red = false
	} else {
		w.control.Set(target, newest, false)
		w.stale = true
	}
	if red {
		w.redLive[target] = struct{}{}
	} else {
		delete(w.redLive, target)
	}
}

// begin lists a change under its targets, end takes it off; patched says that one
// of them was patched.
func (w *world) begin(c *backout.Change) {
	for _, target := range c.Targets {
		list := append(slices.Clone(w.live[target]), c)
		slices.SortFunc(list, func(a, b *backout.Change) int { return cmp.Compare(a.ID, b.ID) })
		w.put(target, list)
	}
}

func (w *world) end(c *backout.Change) {
	for _, target := range c.Targets {
		w.put(target, slices.DeleteFunc(slices.Clone(w.live[target]), func(o *backout.Change) bool { return o == c }))
	}
}

func (w *world) patched(c *backout.Change) {
	for _, target := range c.Targets {
		w.watch(target)
	}
}

func (w *world) put(target string, list []*backout.Change) {
	was, is := len(w.live[target]) > 0, len(list) > 0
	if _, known := w.h.Inventory[target]; known && was != is {
		if is {
			w.touched++
		} else {
			w.touched--
		}
	}
	if w.live[target] = list; !is {
		delete(w.live, target)
	}
	w.stale = true
	w.moved(target)
	w.watch(target)
}

// watch makes the evidence remember who was red first after what the live changes on
// the target did.
func (w *world) watch(target string) {
	var moments []time.Time
	for _, c := range w.live[target] {
		moments = append(moments, c.OpenedAt, c.PatchedOn(target))
	}
	w.table.Watch(target, moments...)
}

// observe notes an alert, and returns the targets it names that a live change
// touches, until the next call.
func (w *world) observe(a *backout.Alert) []string {
	w.named = w.named[:0]
	for _, label := range w.labels {
		target := rules.Host(a.Labels[label])
		if target == "" {
			continue
		}
		w.table.Observe(target, a, w.now)
		if len(w.live[target]) > 0 {
			w.named = append(w.named, target)
		}
	}
	return w.named
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
	ev := w.table.Patched(c, func(target string) bool { return w.waits(c, target) }, w.now)
	if size := len(w.h.Inventory) - w.touched; size > 0 && !c.OpenedAt.IsZero() {
		evidence.AddControl(&ev, w.control.Since(c.OpenedAt), size)
	}
	return ev
}

// waits tells whether the change's target, not patched yet, is in the inventory and
// no other change's.
func (w *world) waits(c *backout.Change, target string) bool {
	_, known := w.h.Inventory[target]
	return known && !slices.ContainsFunc(w.live[target], func(o *backout.Change) bool { return o.ID != c.ID })
}

// Signals implements rules.World.
func (w *world) Signals(c *backout.Change, target, fingerprint string) backout.Signals {
	s := backout.Signals{Flaps: w.table.Flaps(target, fingerprint, w.now)}
	if w.h.Signals != nil {
		s.Silenced, s.Inhibited, s.Asked = w.h.Signals(w.now, fingerprint)
	}
	patched := c.PatchedOn(target)
	if first, red := w.table.FirstSince(target, c.OpenedAt); red && !c.OpenedAt.IsZero() {
		s.RedBeforePatch = patched.IsZero() || first.Before(patched)
	}
	if !patched.IsZero() {
		s.FirstRed, _ = w.table.FirstSince(target, patched)
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
