package rules

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/matcher/parse"

	"github.com/backout-io/backout/internal/strictyaml"
)

func (l *loader) match(r *rule, spec ruleSpec) {
	if len(spec.Match) > maxMatchers {
		l.problem(spec.Match[maxMatchers].Pos(), fmt.Sprintf("more than %d matchers in one rule", maxMatchers), `put values together, such as team=~"web|db"`)
		return
	}
	for _, text := range spec.Match {
		c, err := l.condition(text.Value)
		if err != nil {
			l.badMatcher(text, err)
			continue
		}
		r.Match = append(r.Match, c.written)
		r.matchers = append(r.matchers, c.Matcher)
		r.conditions = append(r.conditions, c)
		if r.steps += c.steps; r.steps > maxSteps {
			l.problem(text.Pos(), tooManySteps(r.steps), stepsFix)
			return
		}
	}
}

// condition reads a matcher; of many rules with the same text one.
func (l *loader) condition(text string) (*condition, error) {
	if c := l.conditions[text]; c != nil {
		return c, nil
	}
	m, err := parse.Matcher(text)
	if err != nil {
		return nil, err
	}
	c := newCondition(m)
	l.conditions[text] = c
	return c, nil
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
