package rules

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/prometheus/alertmanager/matcher/parse"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// outcome is what came of each pair of a rule and a change, in words.
type outcome struct{ Matched, Failed, Waiting []string }

// naive says the same as Match in the plainest way: every rule, every change,
// nothing looked up, every expression run whole, our functions as functions.
type naive struct {
	programs map[string]*vm.Program
	facts    facts
	query    func(text string) (float64, error)
}

func (n *naive) match(t *rapid.T, list []drawn, changes []*backout.Change, w drawnWorld, a *backout.Alert, now time.Time) (o outcome) {
	for _, d := range list {
		host := Host(a.Labels[d.label])
		for _, c := range changes {
			before := a.StartsAt.Before(c.OpenedAt)
			live := c.State == backout.ChangeOpen || c.State == backout.ChangeWatching || c.State == backout.ChangeBackingOut
			if !a.Firing || before || !live || host == "" || !slices.Contains(c.Targets, host) || strings.HasPrefix(a.Labels["alertname"], "Backout") {
				continue
			}
			if !holdsAll(t, d.match, a) {
				continue
			}
			n.aim(d, a, c, w, host, now)
			held, err := n.holds(t, d.when)
			query := ""
			if held && err == nil {
				n.query = func(text string) (float64, error) {
					query = strings.ReplaceAll(text, "{target}", host)
					return w.Query(query, host)
				}
				held, err = n.holds(t, d.asks)
			}
			pair := d.name + " " + c.ID
			switch {
			case errors.Is(err, ErrNotYet):
				o.Waiting = append(o.Waiting, pair+" "+query)
			case err != nil:
				o.Failed = append(o.Failed, pair)
			case held:
				o.Matched = append(o.Matched, pair)
			}
		}
	}
	return o
}

func holdsAll(t *rapid.T, match []string, a *backout.Alert) bool {
	for _, text := range match {
		m, err := parse.Matcher(text)
		if err != nil {
			t.Fatalf("matcher %s: %v", text, err)
		}
		value := a.Labels[m.Name]
		if strings.Contains(m.Type.String(), "~") {
			value = cut(value)
		}
		if !m.Matches(value) {
			return false
		}
	}
	return true
}

// aim sets every fact. An expression that searches texts sees all of them cut.
func (n *naive) aim(d drawn, a *backout.Alert, c *backout.Change, w drawnWorld, host string, now time.Time) {
	n.facts = facts{Now: now, Evidence: w.world.evidence[c.ID]}
	n.facts.Alert.set(a, now)
	n.facts.Change.set(c)
	n.facts.Target.set(w.targets[host])
	n.facts.Target.Name = host
	n.facts.Target.on(c)
	n.facts.know(w.signals[c.ID+"/"+host+"/"+a.Fingerprint])
	if searches(d.expression()) {
		n.facts.cut()
	}
}

// searches tells whether one of the drawn expressions looks through a text.
func searches(when string) bool {
	return slices.ContainsFunc([]string{" matches ", " contains ", "len(", "lower("}, func(word string) bool { return strings.Contains(when, word) })
}

func (n *naive) holds(t *rapid.T, when string) (bool, error) {
	if when == "" {
		return true, nil
	}
	program := n.programs[when]
	if program == nil {
		var err error
		if program, err = expr.Compile(when, append(n.functions(), expr.Env(facts{}), expr.Optimize(false))...); err != nil {
			t.Fatalf("when %s: %v", when, err)
		}
		if n.programs == nil {
			n.programs = map[string]*vm.Program{}
		}
		n.programs[when] = program
	}
	value, err := expr.Run(program, n.facts)
	if err != nil {
		return false, err
	}
	return value.(bool), nil
}

// functions are ours, as their documentation has them.
func (n *naive) functions() []expr.Option {
	label := func(args []any) string { return n.facts.Alert.Labels[args[0].(string)] }
	return []expr.Option{
		expr.Function("label", func(args ...any) (any, error) { return label(args), nil }, new(func(string) string)),
		expr.Function("has_label", func(args ...any) (any, error) { return label(args) != "", nil }, new(func(string) bool)),
		expr.Function("same_label", func(args ...any) (any, error) {
			return label(args) != "" && label(args) == n.facts.Change.Labels[args[0].(string)], nil
		}, new(func(string) bool)),
		expr.Function("since", func(args ...any) (any, error) {
			if at := args[0].(time.Time); !at.IsZero() {
				return n.facts.Now.Sub(at), nil
			}
			return time.Duration(0), nil
		}, new(func(time.Time) time.Duration)),
		expr.Function("in_window", func(args ...any) (any, error) {
			at := args[0].(time.Time)
			return !at.Before(n.facts.Change.Opens) && !at.After(n.facts.Change.Closes), nil
		}, new(func(time.Time) bool)),
		expr.Function("share", func(args ...any) (any, error) {
			if args[1].(int) == 0 {
				return 0.0, nil
			}
			return float64(args[0].(int)) / float64(args[1].(int)), nil
		}, new(func(int, int) float64)),
		expr.Function("prom", func(args ...any) (any, error) { return n.query(args[0].(string)) }, new(func(string) float64)),
	}
}
