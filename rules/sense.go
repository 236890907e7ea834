package rules

import (
	"cmp"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/vm"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/backout-io/backout/internal/strictyaml"
)

// sense refuses a rule that can never match and warns of one that always does,
// or that costs more than it must.
func (l *loader) sense(r *rule, spec ruleSpec) {
	if r.when != nil && r.when.constant != nil && !*r.when.constant {
		l.problem(spec.When.Pos(), "the rule can never match: when is always false", "correct it, or remove the rule")
		return
	}
	if label := r.impossible(); label != "" {
		at := spec.When.Pos()
		for i, m := range r.matchers {
			if m.Name == label {
				at = spec.Match[i].Pos()
				break
			}
		}
		l.problem(at, fmt.Sprintf("the rule can never match: no value of label %s satisfies all that is asked of it", label), r.whyImpossible(label))
		return
	}
	if len(r.demands()) > 0 {
		return
	}
	name := spec.Rule.Pos()
	if !slices.ContainsFunc(r.matchers, r.selective) && (r.when == nil || r.when.constant != nil) {
		l.problems = append(l.problems, name.Warning(fmt.Sprintf("the rule %s always matches: every alert on a changed target", r.Name), `add a matcher, such as severity="critical"`))
		return
	}
	l.sought = append(l.sought, r)
	l.problems = append(l.problems, name.Warning(
		fmt.Sprintf("the rule %s has no equality to be found by, so it is tried for every alert on a changed target, at about %s each", r.Name, shownCost(r.cost())),
		`add an equality, such as alertname="HighErrorRate" or severity=~"critical|page"`))
}

// manySought is from how many rules on it is said what those cost together that no
// index finds.
const manySought = 10

// together warns of many rules that no index finds: fifty of them cost more than
// thousands of others.
func (l *loader) together() {
	if len(l.sought) < manySought {
		return
	}
	sum := time.Duration(0)
	for _, r := range l.sought {
		sum += r.cost()
	}
	slices.SortStableFunc(l.sought, func(a, b *rule) int { return cmp.Compare(b.cost(), a.cost()) })
	var dearest []string
	for _, r := range l.sought[:5] {
		dearest = append(dearest, fmt.Sprintf("%s (%s)", r.Name, shownCost(r.cost())))
	}
	l.problems = append(l.problems, strictyaml.Pos{File: l.sought[0].File}.Warning(
		fmt.Sprintf("%d rules have no equality to be found by: each alert costs about %s for each change on its target, the dearest are %s",
			len(l.sought), shownCost(sum), strings.Join(dearest, ", ")),
		"give them equalities: with one, thousands of rules cost as much as ten"))
}

// cost is about what it takes to try the rule on an ordinary alert and a change,
// measured on a machine of 2024.
func (r *rule) cost() time.Duration {
	sum := 150 + 20*len(r.matchers)
	for _, m := range r.matchers {
		if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
			sum += 150
		}
	}
	if r.when != nil {
		for _, p := range []*vm.Program{r.when.program, r.when.last} {
			if p != nil {
				sum += 40 * len(p.Bytecode)
			}
		}
		sum += 150 * r.when.searches
	}
	return time.Duration(sum)
}

func shownCost(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d)/1000) }

// selective tells whether a matcher can turn anything away.
func (r *rule) selective(m *labels.Matcher) bool {
	// An alert that names no target is turned away in any case.
	target := m.Name == r.TargetLabel
	switch m.Type {
	case labels.MatchNotEqual:
		return !target || m.Value != ""
	case labels.MatchRegexp:
		re, err := syntax.Parse(m.Value, syntax.Perl)
		return err != nil || !takesAll(re) && (!target || m.Value != ".+")
	case labels.MatchEqual, labels.MatchNotRegexp:
	}
	return true
}

// takesAll tells whether a pattern surely matches every line.
func takesAll(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar:
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, takesAll)
	case syntax.OpCapture, syntax.OpConcat:
		return len(re.Sub) > 0 && !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !takesAll(sub) })
	}
	return false
}

// impossible returns a label that can have no value, or "".
func (r *rule) impossible() string {
	possible := map[string][]string{}
	for _, d := range r.demands() {
		values, seen := possible[d.label]
		if !seen {
			possible[d.label] = slices.Clone(d.values)
			continue
		}
		possible[d.label] = slices.DeleteFunc(values, func(v string) bool { return !slices.Contains(d.values, v) })
	}
	for _, label := range slices.Sorted(maps.Keys(possible)) {
		if !slices.ContainsFunc(possible[label], func(v string) bool { return r.admits(label, v) }) {
			return label
		}
	}
	return ""
}

// admits tells whether nothing in the rule or in the guards turns away a label's
// value.
func (r *rule) admits(label, value string) bool {
	if label == r.TargetLabel && value == "" || label == "alertname" && isOwn(value) {
		return false
	}
	return !slices.ContainsFunc(r.matchers, func(m *labels.Matcher) bool { return m.Name == label && !holds(m, value) })
}

func (r *rule) whyImpossible(label string) string {
	switch label {
	case "alertname":
		return "correct the conditions; alerts named " + OwnAlertPrefix + "… are about backout itself and never count"
	case r.TargetLabel:
		return "correct the conditions; this label names the target and must not be empty"
	}
	return "correct the conditions, or remove the rule"
}
