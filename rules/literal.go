package rules

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/prometheus/alertmanager/pkg/labels"
)

// demand is a label that must have one of a few values for a rule to hold.
type demand struct {
	label  string
	values []string
}

// maxLiterals bounds how many values one demand may list.
const maxLiterals = 32

// demandOfMatcher reads the demand of an equality, or of a pattern that is only
// a list of texts: severity=~"critical|page".
func demandOfMatcher(m *labels.Matcher) (demand, bool) {
	switch m.Type {
	case labels.MatchEqual:
		return demand{m.Name, []string{m.Value}}, true
	case labels.MatchRegexp:
		values, ok := literals(m.Value)
		return demand{m.Name, values}, ok
	case labels.MatchNotEqual, labels.MatchNotRegexp:
	}
	return demand{}, false
}

// anchored is the pattern of a matcher as it is run.
func anchored(pattern string) string { return "^(?:" + pattern + ")$" }

// literals lists the texts that an anchored pattern matches, when they are few.
func literals(pattern string) ([]string, bool) {
	// Anchored and grouped exactly as the matcher itself does it, so that a
	// pattern that breaks out of the group is seen as what it is.
	re, err := syntax.Parse(anchored(pattern), syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat || len(re.Sub) < 2 {
		return nil, false
	}
	last := len(re.Sub) - 1
	if re.Sub[0].Op != syntax.OpBeginText || re.Sub[last].Op != syntax.OpEndText {
		return nil, false
	}
	values, ok := product(re.Sub[1:last])
	return values, ok && !slices.ContainsFunc(values, isCut)
}

func texts(re *syntax.Regexp) ([]string, bool) {
	switch {
	case re.Op == syntax.OpEmptyMatch:
		return []string{""}, true
	case re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0:
		// A pattern takes any invalid byte for this character; a look-up would not.
		return []string{string(re.Rune)}, !slices.Contains(re.Rune, utf8.RuneError)
	case re.Op == syntax.OpCapture:
		return texts(re.Sub[0])
	case re.Op == syntax.OpConcat:
		return product(re.Sub)
	case re.Op == syntax.OpAlternate:
		return union(re.Sub)
	case re.Op == syntax.OpQuest:
		list, ok := texts(re.Sub[0])
		return append(list, ""), ok
	case re.Op == syntax.OpCharClass:
		return class(re.Rune)
	}
	return nil, false
}

func union(subs []*syntax.Regexp) ([]string, bool) {
	var list []string
	for _, sub := range subs {
		more, ok := texts(sub)
		if list = append(list, more...); !ok || len(list) > maxLiterals {
			return nil, false
		}
	}
	return list, true
}

func product(subs []*syntax.Regexp) ([]string, bool) {
	list := []string{""}
	for _, sub := range subs {
		more, ok := texts(sub)
		if !ok || len(list)*len(more) > maxLiterals {
			return nil, false
		}
		next := make([]string, 0, len(list)*len(more))
		for _, head := range list {
			for _, tail := range more {
				next = append(next, head+tail)
			}
		}
		list = next
	}
	return list, true
}

func class(ranges []rune) ([]string, bool) {
	var list []string
	for i := 0; i < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if list = append(list, string(r)); len(list) > maxLiterals || r == utf8.RuneError {
				return nil, false
			}
		}
	}
	return list, true
}

// demandOf reads the demand of one side of an "and": a label compared with a
// constant text, or sought in a list of them.
func demandOf(node ast.Node) (demand, bool) {
	b, ok := node.(*ast.BinaryNode)
	if !ok {
		return demand{}, false
	}
	switch b.Operator {
	case "==":
		if label, ok := labelOf(b.Left); ok {
			return demandOfTexts(label, b.Right)
		}
		if label, ok := labelOf(b.Right); ok {
			return demandOfTexts(label, b.Left)
		}
	case "in":
		label, isLabel := labelOf(b.Left)
		list, isList := b.Right.(*ast.ArrayNode)
		if isLabel && isList && len(list.Nodes) <= maxLiterals {
			return demandOfTexts(label, list.Nodes...)
		}
	}
	return demand{}, false
}

func labelOf(n ast.Node) (string, bool) {
	path, ok := pathOf(n)
	switch {
	case ok && len(path) == 3 && path[0] == "alert" && path[1] == "labels":
		return path[2], true
	case ok && len(path) == 2 && path[0] == "alert" && path[1] == "name":
		return "alertname", true
	}
	return "", false
}

func demandOfTexts(label string, nodes ...ast.Node) (demand, bool) {
	d := demand{label: label}
	for _, n := range nodes {
		text, ok := n.(*ast.StringNode)
		if !ok || isCut(text.Value) {
			return demand{}, false
		}
		d.values = append(d.values, text.Value)
	}
	return d, true
}
