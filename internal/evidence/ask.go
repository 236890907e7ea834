package evidence

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Red returns the alerts firing on the target, oldest first, each with its
// earliest known start. The alerts are the table's own: read only.
func (t *Table) Red(target string) []*backout.Alert {
	entries := t.targets[target]
	if len(entries) == 0 {
		return nil
	}
	list := make([]*backout.Alert, len(entries))
	for i, e := range entries {
		list[i] = e.firings[0].alert
	}
	slices.SortFunc(list, func(a, b *backout.Alert) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return list
}

// RedNames lists the targets with a firing alert, in no order.
func (t *Table) RedNames() []string { return slices.Collect(maps.Keys(t.targets)) }

// Newest returns when the youngest of the alerts firing on the target began, each
// by its earliest known start, and whether any is firing.
func (t *Table) Newest(target string) (newest time.Time, red bool) {
	for _, e := range t.targets[target] {
		if start := e.firings[0].alert.StartsAt; !red || start.After(newest) {
			newest, red = start, true
		}
	}
	return newest, red
}

// FiringSince returns the earliest known start of the alert's present firing on
// the target, and whether it is firing at all.
func (t *Table) FiringSince(target, fingerprint string) (time.Time, bool) {
	e := t.alerts[key{target, fingerprint}]
	if e == nil || len(e.firings) == 0 {
		return time.Time{}, false
	}
	return e.firings[0].alert.StartsAt, true
}

// Resolved tells whether none of the alerts is firing on the target. An alert
// that the table never saw, or that expired, is not firing. No fingerprint at
// all asks about every alert on the target.
func (t *Table) Resolved(target string, fingerprints []string) bool {
	if len(fingerprints) == 0 {
		return len(t.targets[target]) == 0
	}
	for _, f := range fingerprints {
		if _, firing := t.FiringSince(target, f); firing {
			return false
		}
	}
	return true
}

// Patched says what is known about the change. Its control group are those of its
// own targets that are known not to be patched yet and that waits says yes to, nil
// meaning to all; see [AddControl].
func (t *Table) Patched(change *backout.Change, waits func(target string) bool, now time.Time) backout.Evidence {
	var ev backout.Evidence
	if change.OpenedAt.IsZero() {
		return ev
	}
	since := change.OpenedAt
	if !change.PatchedAt.IsZero() {
		since = change.PatchedAt
	}
	ev.MinutesSincePatch = max(0, now.Sub(since).Minutes())
	names := map[string]struct{}{}
	patched, redPatched := 0, 0
	for _, target := range change.Targets {
		red := false
		for _, e := range t.targets[target] {
			if a := e.firings[0].alert; !a.StartsAt.Before(change.OpenedAt) {
				red = true
				names[a.Name()] = struct{}{}
			}
		}
		one := count(red)
		ev.RedTargets += one
		switch {
		case !change.Unpatched(target):
			patched++
			redPatched += one
		case waits == nil || waits(target):
			ev.ControlTargets++
			ev.RedUnpatched += one
		}
	}
	ev.DistinctAlerts = len(names)
	ev.RedSharePatched = share(redPatched, patched)
	ev.RedShareUnpatched = share(ev.RedUnpatched, ev.ControlTargets)
	return ev
}

// AddControl adds targets outside the change to its control group: size of them, of
// which red are red.
func AddControl(ev *backout.Evidence, red, size int) {
	ev.RedUnpatched += red
	ev.ControlTargets += size
	ev.RedShareUnpatched = share(ev.RedUnpatched, ev.ControlTargets)
}

// Evidence says what is known about the change, with the control group given by
// name: the inventory targets outside every live change. It looks at every name;
// for a large control group see [Table.EvidenceAmong].
func (t *Table) Evidence(change *backout.Change, control []string, now time.Time) backout.Evidence {
	ev := t.Patched(change, nil, now)
	if change.OpenedAt.IsZero() {
		return ev
	}
	red := 0
	for _, name := range control {
		red += count(t.redSince(name, change.OpenedAt))
	}
	AddControl(&ev, red, len(control))
	return ev
}

// EvidenceAmong is [Table.Evidence] for a control group of the given size that
// can be asked for a name: it looks at the red targets only, however many are
// green.
func (t *Table) EvidenceAmong(change *backout.Change, size int, inControl func(target string) bool, now time.Time) backout.Evidence {
	ev := t.Patched(change, nil, now)
	if size <= 0 || change.OpenedAt.IsZero() {
		return ev
	}
	red := 0
	for name := range t.targets {
		if inControl(name) {
			red += count(t.redSince(name, change.OpenedAt))
		}
	}
	AddControl(&ev, red, size)
	return ev
}

// share is a part of a whole; of nothing it is 0.
func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// redSince tells whether an alert fires on the target that started at or after
// the given time.
func (t *Table) redSince(target string, start time.Time) bool {
	for _, e := range t.targets[target] {
		if !e.firings[0].alert.StartsAt.Before(start) {
			return true
		}
	}
	return false
}
