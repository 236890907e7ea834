package app

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/evidence"
	"github.com/backout-io/backout/internal/explain"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// ExplainOptions say what is asked of the rules of a config.
type ExplainOptions struct {
	// Config may also be a rule file.
	Config string
	// Alerts are explained one by one; all of them count as evidence.
	Alerts []backout.Alert
	// Changes are what they are held against; none means one that was opened on the
	// alert's target just before it.
	Changes []backout.Change
	// Rule is the one that is asked about; empty means all.
	Rule string
	At   time.Time
}

// ExampleChange is the id of the change that is assumed when none is given.
const ExampleChange = "EXAMPLE"

// Explain says what every rule of the config makes of each alert, without a server.
func Explain(o ExplainOptions) ([]handlers.Explained, error) {
	set, err := RuleSet(o.Config)
	if err != nil {
		return nil, err
	}
	q := explain.Question{At: o.At}
	if o.Rule != "" {
		if _, ok := set.Rules.Rule(o.Rule); !ok {
			return nil, fmt.Errorf("rule %q: there is none of that name: %w", o.Rule, backout.ErrNotFound)
		}
		q.Rules = []string{o.Rule}
	}
	table := evidence.New(evidence.Options{})
	for i := range o.Alerts {
		for _, target := range targetsOf(set.Rules, &o.Alerts[i]) {
			table.Observe(target, &o.Alerts[i], o.At)
		}
	}
	out := make([]handlers.Explained, len(o.Alerts))
	for i := range o.Alerts {
		w := newOffline(set, table, o, &o.Alerts[i])
		q.Alert, q.World, q.Follows = &o.Alerts[i], w, w.follows
		out[i] = explain.Answer(set.Rules, q)
		out[i].Notes = w.notes
	}
	return out, nil
}

func targetsOf(set *rules.Set, a *backout.Alert) []string {
	var list []string
	for _, label := range set.TargetLabels() {
		if target := rules.Host(a.Labels[label]); target != "" && !slices.Contains(list, target) {
			list = append(list, target)
		}
	}
	return list
}

// offline is a world that is given, not watched. It implements rules.World.
type offline struct {
	set      Rules
	alert    *backout.Alert
	changes  []*backout.Change
	evidence *evidence.Table
	at       time.Time
	notes    []string
}

func newOffline(set Rules, table *evidence.Table, o ExplainOptions, a *backout.Alert) *offline {
	w := &offline{set: set, alert: a, evidence: table, at: o.At, notes: []string{
		"throttles, limits, promotions, the pause switch, what Alertmanager does and queries are known to the server only: --server-side asks it",
	}}
	for i := range o.Changes {
		c := o.Changes[i]
		w.changes = append(w.changes, w.planned(&c))
	}
	if targets := targetsOf(set.Rules, a); len(o.Changes) == 0 && len(targets) > 0 {
		w.changes = []*backout.Change{w.planned(&backout.Change{
			ChangeSpec: backout.ChangeSpec{ID: ExampleChange, Targets: targets}, State: backout.ChangeOpen, OpenedAt: a.StartsAt.Add(-time.Minute),
		})}
		w.notes = append(w.notes, "no change is given: one of the alert's target is assumed, open since a minute before the alert")
	}
	return w
}

// planned gives a change that has no plan of its own the one of the config, or one
// of all levels.
func (w *offline) planned(c *backout.Change) *backout.Change {
	if c.Frozen != nil {
		return c
	}
	plan, ok := w.set.Plans[c.Plan]
	if !ok {
		plan = backout.Plan{Name: cmp.Or(c.Plan, "none")}
		for i := range 9 {
			plan.Levels = append(plan.Levels, backout.Level{Name: fmt.Sprintf("L%d", i+1)})
		}
	}
	frozen := planhash.Freeze(plan)
	c.Frozen = &frozen
	return c
}

func (w *offline) follows(v *backout.Verdict) explain.Outcome {
	rule, _ := w.set.Rules.Rule(v.Rule)
	i := slices.IndexFunc(w.changes, func(c *backout.Change) bool { return c.ID == v.ChangeID })
	return explain.Outcome{Next: trigger.Decide(trigger.Case{
		Verdict: *v, Alert: w.alert, Change: w.changes[i], Throttle: rule.Throttle, Now: w.at,
	}, trigger.NewBook())}
}

// ChangesOn implements rules.World: all of them, since a guard says which do not
// have the target.
func (w *offline) ChangesOn(string) []*backout.Change { return w.changes }

// Target implements rules.World.
func (w *offline) Target(name string) (backout.Target, bool) {
	t, ok := w.set.Inventory[name]
	return t, ok
}

// Evidence implements rules.World. The control group is the part of the inventory
// that no live change touches.
func (w *offline) Evidence(c *backout.Change) backout.Evidence {
	var control []string
	for name := range w.set.Inventory {
		if !slices.ContainsFunc(w.changes, func(o *backout.Change) bool { return o.State.Live() && slices.Contains(o.Targets, name) }) {
			control = append(control, name)
		}
	}
	return w.evidence.Evidence(c, control, w.at)
}

// Signals implements rules.World.
func (w *offline) Signals(*backout.Change, string, string) backout.Signals { return backout.Signals{} }

// Query implements rules.World.
func (w *offline) Query(string, string) (float64, error) { return 0, rules.ErrNotYet }
