package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/evidence"
	"github.com/backout-io/backout/rules"
)

// maxExplained bounds the changes that one explanation looks at.
const maxExplained = 20

// targets are the targets that the alert names, each once.
func (x *explaining) targets() []string {
	var list []string
	for _, label := range x.cfg.Rules.TargetLabels() {
		if target := rules.Host(x.alert.Labels[label]); target != "" && !slices.Contains(list, target) {
			list = append(list, target)
		}
	}
	return list
}

// findChanges takes the changes that are named, or those live on the alert's
// targets, as they stood at the moment asked about.
func (x *explaining) findChanges(ctx context.Context) error {
	if len(x.named) > 0 {
		return x.findNamed(ctx)
	}
	var rest []backout.Change // on a target, and not live
	for _, target := range x.targets() {
		if !x.past {
			x.changes = append(x.changes, x.e.world.ChangesOn(target)...)
		}
	}
	if x.past || len(x.changes) == 0 {
		rest = x.onTargets()
	}
	if x.past {
		for i := range rest {
			if c, planned, err := x.then(ctx, rest[i].ID); err != nil {
				return err
			} else if planned && c.State.Live() {
				x.changes = append(x.changes, &c)
			}
		}
	}
	slices.SortFunc(x.changes, func(a, b *backout.Change) int { return cmp.Compare(a.ID, b.ID) })
	x.changes = slices.CompactFunc(x.changes, func(a, b *backout.Change) bool { return a.ID == b.ID })
	if len(x.changes) > maxExplained {
		x.note("%d changes are live on the alert's targets, the first %d are shown", len(x.changes), maxExplained)
		x.changes = x.changes[:maxExplained]
	}
	if len(x.changes) == 0 {
		x.noteNotLive(rest)
	}
	return nil
}

func (x *explaining) findNamed(ctx context.Context) error {
	if len(x.named) > maxExplained {
		return fmt.Errorf("%d changes are named, at most %d are explained at once: %w", len(x.named), maxExplained, backout.ErrInvalid)
	}
	for _, id := range x.named {
		c, err := x.e.upToDate(ctx, id)
		if err != nil {
			return err
		}
		if x.past {
			var planned bool
			if c, planned, err = x.then(ctx, id); err != nil {
				return err
			} else if !planned {
				return fmt.Errorf("change %s was not planned yet at %s: %w", id, x.at.Format(time.RFC3339), backout.ErrInvalid)
			}
		}
		x.changes = append(x.changes, &c)
	}
	return nil
}

// onTargets are the changes that have one of the alert's targets, whatever their
// state, those opened last first.
func (x *explaining) onTargets() []backout.Change {
	targets := x.targets()
	var list []backout.Change
	x.e.changes.all(func(_ string, c backout.Change) {
		if x.past && (c.OpenedAt.IsZero() || c.OpenedAt.After(x.at) || !c.EndedAt.IsZero() && c.EndedAt.Before(x.at)) {
			return
		}
		if slices.ContainsFunc(targets, func(t string) bool { return slices.Contains(c.Targets, t) }) {
			list = append(list, c)
		}
	})
	slices.SortFunc(list, func(a, b backout.Change) int {
		return cmp.Or(b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), maxExplained)]
}

// noteNotLive names what had the target, or will have it: it may be the change that
// a person has in mind.
func (x *explaining) noteNotLive(list []backout.Change) {
	for i := range list[:min(len(list), 3)] {
		c := &list[i]
		text := "change " + c.ID + " has the target and is " + string(c.State)
		if !c.EndedAt.IsZero() {
			text += " since " + c.EndedAt.UTC().Format(time.RFC3339)
		}
		x.note("%s: name it to have it explained", text)
	}
}

// then is the change as it stood at the moment asked about, by its log; planned is
// false before it was planned.
func (x *explaining) then(ctx context.Context, id string) (c backout.Change, planned bool, err error) {
	entries, err := x.e.store.Changes.Load(ctx, id)
	if err != nil {
		return c, false, err
	}
	for _, entry := range entries {
		if !entry.Record.At.After(x.at) {
			c = x.e.foldChange(c, entry.Seq, entry.Record)
		}
	}
	return c, c.ID != "", nil
}

// said is what the changes' logs say of the alert: what rules said, and what was
// opened for it.
func (x *explaining) said(ctx context.Context, rule string) ([]string, error) {
	const most = 20
	var out []string
	for _, c := range x.changes {
		entries, err := x.e.store.Changes.Load(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			for _, ev := range entry.Record.Events {
				if text := x.saidBy(ev, rule); text != "" {
					out = append(out, entry.Record.At.UTC().Format(time.RFC3339)+" "+text)
				}
			}
		}
	}
	return out[max(0, len(out)-most):], nil
}

func (x *explaining) saidBy(ev backout.Event, rule string) string {
	var v *backout.Verdict
	var did string
	switch ev := ev.(type) {
	case backout.VerdictGiven:
		v, did = &ev.Verdict, "was recorded"
	case backout.RollbackRequested:
		v, did = ev.Opened.Trigger.Verdict, "opened "+ev.Opened.RollbackID
	}
	if v == nil || v.Fingerprint != x.alert.Fingerprint || rule != "" && v.Rule != rule {
		return ""
	}
	text := "rule " + v.Rule + " matched on " + v.Target + " in mode " + string(v.Mode) + ", and " + did
	if v.Stopped != "" {
		text += ": " + v.Stopped
	}
	return text
}

// ChangesOn implements rules.World. Changes that were named are shown with every
// target: a guard says which do not have it.
func (x *explaining) ChangesOn(target string) []*backout.Change {
	if len(x.named) > 0 {
		return x.changes
	}
	return slices.DeleteFunc(slices.Clone(x.changes), func(c *backout.Change) bool { return !slices.Contains(c.Targets, target) })
}

// Target implements rules.World.
func (x *explaining) Target(name string) (backout.Target, bool) { return x.e.world.Target(name) }

// Evidence implements rules.World. An alert that the server does not know is
// counted as it would be once it came.
func (x *explaining) Evidence(c *backout.Change) backout.Evidence {
	w := x.e.world
	ev := w.Evidence(c)
	if !x.alert.Firing || x.known() {
		return ev
	}
	as := evidence.New(evidence.Options{})
	for _, target := range c.Targets {
		for _, a := range w.redSince(target, time.Time{}) {
			as.Observe(target, a, x.at)
		}
	}
	waits := func(target string) bool {
		w.mu.RLock()
		defer w.mu.RUnlock()
		return w.waits(x.cfg, c, target)
	}
	without := as.Patched(c, waits, x.at)
	for _, target := range x.targets() {
		as.Observe(target, x.alert, x.at)
	}
	with := as.Patched(c, waits, x.at)
	ev.RedTargets, ev.RedSharePatched, ev.DistinctAlerts = with.RedTargets, with.RedSharePatched, with.DistinctAlerts
	evidence.AddControl(&ev, with.RedUnpatched-without.RedUnpatched, 0)
	return ev
}

// known tells whether the server has the alert among those that fire.
func (x *explaining) known() bool {
	return slices.ContainsFunc(x.targets(), func(t string) bool { return x.e.world.firing(t, x.alert.Fingerprint) })
}

// Signals implements rules.World. An alert that the server does not know is counted
// here too.
func (x *explaining) Signals(c *backout.Change, target, fingerprint string) backout.Signals {
	s := x.e.world.Signals(c, target, fingerprint)
	if !x.alert.Firing || x.known() || c.OpenedAt.IsZero() || x.alert.StartsAt.Before(c.OpenedAt) {
		return s
	}
	start, patched := x.alert.StartsAt, c.PatchedOn(target)
	switch {
	case patched.IsZero() || start.Before(patched):
		s.RedBeforePatch = true
	case s.FirstRed.IsZero() || start.Before(s.FirstRed):
		s.FirstRed = start
	}
	return s
}

// Query implements rules.World.
func (x *explaining) Query(query, target string) (float64, error) {
	return x.e.world.Query(query, target)
}
