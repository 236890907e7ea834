package rules

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/backout-io/backout/internal/strictyaml"
)

func (l *loader) match(r *rule, spec ruleSpec) {
	if len(spec.Match) > maxMatchers {
		l.problem(spec.Match[maxMatchers].Pos(), fmt.Sprintf("more than %d matchers in one rule", maxMatchers), `put values together, such as team=~"web|db"`)
		return
	}
	for _, text := range spec.Match {
		m, err := parse.Matcher(text.Value)
		if err != nil {
			l.badMatcher(text, err)
			continue
		}
		r.Match = append(r.Match, m.String())
		r.matchers = append(r.matchers, m)
		if m.Type != labels.MatchRegexp && m.Type != labels.MatchNotRegexp {
			continue
		}
		if r.steps += stepsOf(anchored(m.Value)); r.steps > maxSteps {
			l.problem(text.Pos(), tooManySteps(r.steps), stepsFix)
			return
		}
	}
}

// badMatcher reports a matcher that cannot be read, at its place: one whose
// pattern is wrong inside of the pattern.
func (l *loader) badMatcher(text strictyaml.Text, err error) {
	var bad *syntax.Error
	if errors.As(err, &bad) {
		at := max(0, strings.Index(text.Value, "~")) + 1
		if i := strings.Index(text.Value[at:], strings.TrimSuffix(strings.TrimPrefix(bad.Expr, "^(?:"), ")$")); i > 0 {
			at += i
		}
		what, _ := patternError(bad.Expr, bad)
		l.problem(text.At(utf8.RuneCountInString(text.Value[:min(at, len(text.Value))])), what, "correct the pattern")
		return
	}
	l.problem(text.Pos(), fmt.Sprintf("the matcher %q cannot be read: %v", short(text.Value), err),
		`write label="value", label!="value", label=~"pattern" or label!~"pattern"`)
}

func (l *loader) when(r *rule, spec ruleSpec) {
	if spec.When.Value == "" {
		l.empty(spec.When, "when")
		return
	}
	compiled, err := l.expressions.compile(spec.When.Value)
	if err != nil {
		l.problem(spec.When.At(err.offset), err.what, err.fix)
		return
	}
	if steps := r.steps + compiled.steps; compiled.steps > 0 && r.steps <= maxSteps && steps > maxSteps {
		l.problem(spec.When.At(compiled.worstAt), tooManySteps(steps), stepsFix)
		return
	}
	r.when = compiled
}
