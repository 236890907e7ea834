package rules

import (
	"fmt"
	"maps"
	"reflect"
	"regexp/syntax"
	"slices"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/backout-io/backout"
)

// What one rule may cost. An alert's label may have 64 KiB and comes from outside,
// so what searches texts sees their beginning only, and there is not too much of it.
const (
	// maxText is how many bytes of a text patterns and expressions that search see.
	maxText = 2048
	// maxSteps is for all that a rule searches texts with: the instructions of each
	// pattern times the characters that it may look at, and what stands for the rest.
	maxSteps = 200 * maxText
	// maxMatchers is how many matchers a rule may have.
	maxMatchers = 64
)

// cut is the beginning of a text.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// isCut tells whether a text that is compared with cut ones could be one of them.
func isCut(s string) bool { return len(s) >= maxText-utf8.UTFMax }

// cutAll cuts every value, and copies nothing when there is nothing to cut.
func cutAll(m map[string]string) map[string]string {
	for _, v := range m {
		if len(v) > maxText {
			m = maps.Clone(m)
			for k, v := range m {
				m[k] = cut(v)
			}
			return m
		}
	}
	return m
}

func cutList(list []string) []string {
	for i, v := range list {
		if len(v) > maxText {
			short := append([]string(nil), list...)
			for j := range short[i:] {
				short[i+j] = cut(short[i+j])
			}
			return short
		}
	}
	return list
}

// cut shortens every text from outside, for an expression that searches.
func (f *facts) cut() {
	f.Alert.Name, f.Alert.Labels, f.Alert.Annotations = cut(f.Alert.Name), cutAll(f.Alert.Labels), cutAll(f.Alert.Annotations)
	c := &f.Change
	c.Title, c.Owner, c.Plan, c.Labels = cut(c.Title), cut(c.Owner), cut(c.Plan), cutAll(c.Labels)
	c.Patch.IDs, c.Patch.CVEs = cutList(c.Patch.IDs), cutList(c.Patch.CVEs)
	t := &f.Target
	t.Name, t.OS, t.Site, t.Labels = cut(t.Name), cut(t.OS), cut(t.Site), cutAll(t.Labels)
}

// face sets the facts that an expression sees of the alert: whole, or cut.
func (m *scratch) face(e *expression, a *backout.Alert) {
	if e != nil && e.searches > 0 {
		m.facts.cut()
		m.cut = true
		return
	}
	if m.cut {
		m.cut = false
		m.facts.Alert.Name, m.facts.Alert.Labels, m.facts.Alert.Annotations = a.Name(), a.Labels, a.Annotations
	}
}

// holds tells whether the matcher holds for a label's value.
func holds(m *labels.Matcher, value string) bool {
	if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
		value = cut(value)
	}
	return m.Matches(value)
}

// stepsOf bounds what it costs to run a pattern over a text: at each character no
// instruction is looked at twice. One that is bound to the beginning and repeats
// nothing without end looks no further than its longest match.
func stepsOf(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	bound := re.Op == syntax.OpConcat && len(re.Sub) > 0 && re.Sub[0].Op == syntax.OpBeginText
	length := longest(re)
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	if !bound || length < 0 || length >= maxText {
		length = maxText - 1
	}
	return weight(program) * (length + 1)
}

// weight counts the instructions; one that holds many ranges is searched itself.
func weight(program *syntax.Prog) int {
	const few = 8
	sum := 0
	for i := range program.Inst {
		sum++
		if len(program.Inst[i].Rune) > few {
			sum++
		}
	}
	return sum
}

// longest is how many characters a match may have at most, or -1.
func longest(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus:
		return -1
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpRepeat:
		if one := longest(re.Sub[0]); re.Max >= 0 && one >= 0 {
			return one * re.Max
		}
		return -1
	case syntax.OpAlternate:
		most := 0
		for _, sub := range re.Sub {
			one := longest(sub)
			if one < 0 {
				return -1
			}
			most = max(most, one)
		}
		return most
	}
	sum := 0
	for _, sub := range re.Sub {
		one := longest(sub)
		if one < 0 {
			return -1
		}
		sum += one
	}
	return sum
}

// countCost notes what searches texts, and what the patterns cost.
func (e *expression) countCost(node ast.Node) error {
	v := &costVisitor{e: e}
	ast.Walk(&node, v)
	return v.err
}

type costVisitor struct {
	e     *expression
	worst int
	err   error
}

// Visit implements [ast.Visitor].
func (v *costVisitor) Visit(node *ast.Node) {
	// What a search costs is measured, in steps of a pattern at each character.
	const cheap, dear = maxText, 4 * maxText
	switch n := (*node).(type) {
	case *ast.BuiltinNode:
		if n.Name == "len" {
			v.search(n, cheap)
		} else {
			v.search(n, dear)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "contains":
			v.search(n, cheap)
		case "in":
			if looksThrough(n.Right) {
				v.search(n, dear)
			}
		case "matches":
			if text, ok := n.Right.(*ast.StringNode); ok {
				v.search(text, stepsOf(text.Value))
			}
		}
	}
}

func (v *costVisitor) search(n ast.Node, steps int) {
	v.e.searches++
	v.e.steps += steps
	if steps > v.worst {
		v.worst, v.e.worstAt = steps, n.Location().From
	}
	if v.e.steps > maxSteps && v.err == nil {
		v.err = &exprError{v.e.worstAt, tooManySteps(v.e.steps), stepsFix}
	}
}

// looksThrough tells whether seeking something in n is work: a map and a list of
// constants are looked up.
func looksThrough(n ast.Node) bool {
	list, ok := n.(*ast.ArrayNode)
	if !ok {
		return n.Type().Kind() == reflect.Slice
	}
	return slices.ContainsFunc(list.Nodes, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.ConstantNode:
			return false
		}
		return true
	})
}

func tooManySteps(steps int) string {
	return fmt.Sprintf("the rule may take %d steps to search texts, more than %d", steps, maxSteps)
}

const stepsFix = "repeat less in patterns, bind them with ^ and $, or list the values; or split the rule in two"
