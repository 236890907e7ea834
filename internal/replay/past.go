package replay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
)

// past is one change as it stands at the time that the run has come to.
type past struct {
	// final is the change as the history has it, now what was true of it so far.
	final backout.Change
	now   backout.Change
}

// moment is something that happened to a change.
type moment struct {
	at     time.Time
	change *past
	// event is what its log said then; nil where target was patched.
	event  backout.Event
	target string
}

// pastOf returns the change before its window opened, and what happened to it from
// then on, in order: nothing when it never opened. Nothing of what came later can
// be seen in it before.
func pastOf(c backout.Change) (*past, []moment, error) {
	if c.OpenedAt.IsZero() {
		return nil, nil, nil
	}
	if c.Frozen == nil || len(c.Frozen.Plan.Levels) == 0 {
		return nil, nil, fmt.Errorf("change %s was open at %s and does not say by which plan: give the change as it is stored, with its frozen plan: %w",
			c.ID, c.OpenedAt.UTC().Format(time.RFC3339), backout.ErrInvalid)
	}
	p := &past{final: c, now: backout.Change{
		ChangeSpec: c.ChangeSpec, State: backout.ChangeReady, Requester: c.Requester, PlannedAt: c.PlannedAt,
		Certified: c.Certified, ValidUntil: c.ValidUntil, Captures: c.Captures,
	}}
	if !c.GateAt.After(c.OpenedAt) {
		p.now.GateAt = c.GateAt
	}
	list := []moment{{at: c.OpenedAt, change: p, event: backout.WindowOpened{Frozen: *c.Frozen, Baselines: c.Baselines}}}
	list = append(list, p.patching()...)
	last := p.watching(&list)
	if end, state := p.end(last); !end.IsZero() {
		list = slices.DeleteFunc(list, func(m moment) bool { return m.at.After(end) })
		list = append(list, moment{at: end, change: p, event: backout.ChangeEnded{State: state}})
	}
	slices.SortStableFunc(list, func(a, b moment) int { return a.at.Compare(b.at) })
	return p, list, nil
}

// patching is when its targets were patched, one by one and all.
func (p *past) patching() []moment {
	var list []moment
	for _, target := range slices.Sorted(maps.Keys(p.final.PatchedTargets)) {
		if at := p.final.PatchedTargets[target]; !at.IsZero() {
			list = append(list, moment{at: at, change: p, target: target})
		}
	}
	if !p.final.PatchedAt.IsZero() {
		list = append(list, moment{at: p.final.PatchedAt, change: p, event: backout.PatchEnded{}})
	}
	return list
}

// watching adds when the watch began, and was made longer, to the list, and returns
// until when it went on; zero while that is not known.
func (p *past) watching(list *[]moment) time.Time {
	watch := time.Duration(p.final.Window.Watch)
	var until time.Time
	starts := []time.Time{p.final.PatchedAt, p.final.Window.Closes}
	if patched, closes := starts[0], starts[1]; !patched.IsZero() && !closes.After(patched) {
		starts = []time.Time{closes, patched}
	} else if !patched.IsZero() {
		starts = starts[:1] // it was being watched already when the window closed
	}
	starts = slices.DeleteFunc(starts, time.Time.IsZero)
	for i, at := range starts {
		next := at.Add(watch)
		if i == len(starts)-1 && !p.final.WatchUntil.IsZero() {
			next = p.final.WatchUntil
		}
		if next.After(until) {
			until = next
		}
		*list = append(*list, moment{at: at, change: p, event: backout.WatchStarted{Until: until}})
	}
	return until
}

// end is when alerts did not count any more, and as what it ended; zero when that
// has not come.
func (p *past) end(watched time.Time) (time.Time, backout.ChangeState) {
	c := &p.final
	state := backout.ChangeClosed
	if c.State.Final() {
		state = c.State
	}
	switch {
	case !c.EndedAt.IsZero():
		return c.EndedAt, state
	case c.State == backout.ChangeBackingOut:
		return time.Time{}, "" // its watch waits for the rollback
	}
	return watched, state
}

// happens moves the change.
func (m moment) happens() {
	if m.event != nil {
		m.change.now = change.Apply(m.change.now, 0, m.at, m.event)
		return
	}
	told := maps.Clone(m.change.now.PatchedTargets)
	if told == nil {
		told = map[string]time.Time{}
	}
	told[m.target] = m.at
	m.change.now.PatchedTargets = told
}

// pasts are all changes of the history with what happened to them, in order.
func pasts(changes []backout.Change) ([]moment, error) {
	var all []moment
	known := map[string]bool{}
	for _, c := range changes {
		if known[c.ID] {
			return nil, fmt.Errorf("change %s is in the history twice: %w", c.ID, backout.ErrInvalid)
		}
		known[c.ID] = true
		_, moments, err := pastOf(c)
		if err != nil {
			return nil, err
		}
		all = append(all, moments...)
	}
	slices.SortStableFunc(all, func(a, b moment) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.change.final.ID, b.change.final.ID))
	})
	return all, nil
}
