package ruletest

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/promql"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/rules"
)

// series is an alert over time.
type series struct {
	alert                       backout.Alert
	firing, silenced, inhibited []span
	// known tells that the test says how Alertmanager treats the alert.
	known bool
	every time.Duration
}

// event is one coming in of a series: the firing that began at since, or its end.
type event struct {
	at, since time.Duration
	series    int
	firing    bool
}

// mode is what a rule may do in the test.
func (t *test) mode(r rules.Rule) backout.Mode {
	if m, ok := t.spec.Modes[r.Name]; ok {
		return m.Value
	}
	return r.Mode
}

// end is the last moment of the test that anything is said of.
func (t *test) end() time.Duration {
	var end time.Duration
	for _, s := range t.alerts {
		for _, f := range s.firing {
			end = max(end, f.last())
		}
	}
	for _, e := range t.spec.Expect {
		end = max(end, time.Duration(e.At.Value))
	}
	return end
}

// deliveries counts how often alerts come in.
func (t *test) deliveries() int {
	n, end := 0, t.end()
	for _, s := range t.alerts {
		for _, f := range s.firing {
			to := f.to
			if f.open {
				to = end
			}
			n += 2 + int(max(0, to-f.from)/s.every)
		}
	}
	return n
}

// events lists when alerts come in, in order.
func (t *test) events() []event {
	var list []event
	end := t.end()
	for i, s := range t.alerts {
		for _, f := range s.firing {
			for at := f.from; at <= end && (f.open || at < f.to); at += s.every {
				list = append(list, event{at: at, since: f.from, series: i, firing: true})
			}
			if !f.open {
				list = append(list, event{at: f.to, since: f.from, series: i})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return list
}

// alertOf is the alert as it comes in.
func (f *File) alertOf(t *test, e event) backout.Alert {
	a := t.alerts[e.series].alert
	a.StartsAt, a.Firing = f.start.Add(e.since), e.firing
	if !e.firing {
		a.EndsAt = f.start.Add(e.at)
	}
	return a
}

// history is the test as something that happened.
func (f *File) history(t *test) replay.History {
	h := replay.History{Inventory: map[string]backout.Target{}, Alerts: f.deliver(t), Signals: f.signals(t), Query: f.query(t)}
	for name, target := range t.inventory {
		h.Inventory[name] = target.target()
	}
	for _, c := range t.changes {
		h.Changes = append(h.Changes, f.change(c))
	}
	return h
}

func (f *File) deliver(t *test) iter.Seq2[replay.Delivery, error] {
	return func(yield func(replay.Delivery, error) bool) {
		for _, e := range t.events() {
			if !yield(replay.Delivery{At: f.start.Add(e.at), Alert: f.alertOf(t, e)}, nil) {
				return
			}
		}
	}
}

func (f *File) signals(t *test) func(time.Time, string) (silenced, inhibited, asked bool) {
	known := map[string]*series{}
	for i := range t.alerts {
		if s := &t.alerts[i]; s.known {
			known[s.alert.Fingerprint] = s
		}
	}
	return func(at time.Time, fingerprint string) (silenced, inhibited, asked bool) {
		s, ok := known[fingerprint]
		if !ok {
			return false, false, false
		}
		holds := func(x span) bool { return x.holds(at.Sub(f.start)) }
		return slices.ContainsFunc(s.silenced, holds), slices.ContainsFunc(s.inhibited, holds), true
	}
}

func (t targetSpec) target() backout.Target {
	return backout.Target{Name: t.Name.Value, Address: t.Address, OS: t.OS, Site: t.Site, Labels: t.Labels}
}

// query answers with the last value given by then. A query that the test does not
// speak of is an error, which names it: a test that forgets one must not pass.
func (f *File) query(t *test) func(time.Time, string, string) (float64, error) {
	return func(at time.Time, query, target string) (float64, error) {
		var found *querySpec
		for i := range t.spec.Queries {
			q := &t.spec.Queries[i]
			if !fits(q.Target.Value, target) || time.Duration(q.At.Value) > at.Sub(f.start) || !asks(q.Query.Value, query, t.inventory[target]) {
				continue
			}
			if found == nil || q.At.Value >= found.At.Value {
				found = q
			}
		}
		if found == nil {
			return 0, fmt.Errorf("the test has no value of the query %q for target %s by then: add it under queries", query, target)
		}
		return found.Value, nil
	}
}

// asks tells whether a query of the file is the one that is asked, in which the
// target is filled in.
func asks(written, asked string, of targetSpec) bool {
	if written == asked {
		return true
	}
	target, address, err := promql.Names(of.target())
	if err != nil {
		return false
	}
	filled, err := promql.Fill(written, target, address)
	return err == nil && filled == asked
}

func (f *File) change(c changeSpec) backout.Change {
	at := func(d backout.Duration) time.Time { return f.start.Add(time.Duration(d)) }
	closes := c.Closes.Value
	if !given(c.Closes.Pos) {
		closes = c.Opens.Value + backout.Duration(4*time.Hour)
	}
	plan := backout.Plan{Name: cmp.Or(c.Plan, "plan")}
	for _, name := range levelNames(c.Levels.Value) {
		plan.Levels = append(plan.Levels, backout.Level{Name: name})
	}
	out := backout.Change{
		ChangeSpec: backout.ChangeSpec{
			ID: c.ID.Value, Title: c.Title, Plan: plan.Name, Owner: c.Owner, Labels: c.Labels,
			Patch: backout.Patch{Kind: c.Patch.Kind, IDs: c.Patch.IDs, CVEs: c.Patch.CVEs},
			// What ends it is ends, or the end of the test.
			Window: backout.Window{Opens: at(c.Opens.Value), Closes: at(closes), Watch: backout.Duration(2 * longest)},
		},
		State: backout.ChangeWatching, PlannedAt: f.start, OpenedAt: at(c.Opens.Value), Frozen: &backout.FrozenPlan{Plan: plan},
	}
	for _, t := range c.Targets {
		out.Targets = append(out.Targets, t.Value)
	}
	if given(c.Patched.Pos) {
		out.PatchedAt = at(c.Patched.Value)
	}
	for name, d := range c.PatchedTargets {
		if out.PatchedTargets == nil {
			out.PatchedTargets = map[string]time.Time{}
		}
		out.PatchedTargets[name] = at(d.Value)
	}
	if given(c.Ends.Pos) {
		out.EndedAt, out.State = at(c.Ends.Value), backout.ChangeClosed
	}
	return out
}

func levelNames(n int) []string {
	names := make([]string, 0, 9)
	for i := 1; i <= min(n, 9); i++ {
		names = append(names, "L"+strconv.Itoa(i))
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
