package rules

import (
	"errors"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// The kinds of a [Part].
const (
	KindMatch = "match"
	KindWhen  = "when"
)

// Part is one condition of a rule, with the value that it was held against.
type Part struct {
	// Kind is match or when.
	Kind string `json:"kind"`
	// Text is the condition and, in brackets, what was found.
	Text string `json:"text"`
	// Held tells whether the condition is true.
	Held bool `json:"held"`
	// Failed marks the part that made its "and" false: the first that does not
	// hold. What stands behind it would not have been looked at.
	Failed bool `json:"failed,omitempty"`
	// Unknown says why nobody can tell whether it holds; Held is false then.
	Unknown string `json:"unknown,omitempty"`
	// Error is set when this part failed at run time.
	Error string `json:"error,omitempty"`
	// Op is and, or, not for a part that is made of Parts; empty for one that is not.
	Op    string `json:"op,omitempty"`
	Parts []Part `json:"parts,omitempty"`
}

// clause is a part of an expression that can be run by itself.
type clause struct {
	part
	compiled *expression
	// wants is what it cannot be answered without.
	wants needs
	// query tells that it asks a query, which is done last.
	query bool
	op    string
	sides []clause
}

// needs is what a clause cannot be answered without.
type needs struct{ change, target bool }

// clauses takes the rule's expression apart.
func (x *explaining) clauses(r *rule) []clause {
	if r.when == nil {
		return nil
	}
	list := make([]clause, len(r.when.parts))
	for i, p := range r.when.parts {
		list[i].part = p
		if tree, err := parser.ParseWithConfig(p.text, x.compiler.config); err == nil {
			list[i] = x.clause(tree.Node)
		}
	}
	return list
}

// clause takes one side apart: what is joined by and, or, not has sides of its own.
func (x *explaining) clause(node ast.Node) clause {
	c := clause{part: part{text: node.String()}, query: calls(node, "prom")}
	// A part of what compiled compiles; were it not so, it would show as not
	// known, with its text.
	if compiled, _ := x.compiler.compile(c.text); compiled != nil {
		c.compiled = compiled
		for _, p := range compiled.parts {
			c.reads = append(c.reads, p.reads...)
		}
	}
	c.wants = wants(node, c.reads)
	var sides []ast.Node
	switch n := node.(type) {
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			c.op, sides = "not", []ast.Node{n.Node}
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&":
			c.op, sides = "and", conjuncts(n, nil)
		case "or", "||":
			c.op, sides = "or", disjuncts(n, nil)
		}
	}
	for _, side := range sides {
		c.sides = append(c.sides, x.clause(side))
	}
	return c
}

// disjuncts appends the sides of an "or", left to right.
func disjuncts(node ast.Node, list []ast.Node) []ast.Node {
	if b, ok := node.(*ast.BinaryNode); ok && (b.Operator == "or" || b.Operator == "||") {
		return disjuncts(b.Right, disjuncts(b.Left, list))
	}
	return append(list, node)
}

// calls tells whether the node calls one of the functions.
func calls(node ast.Node, names ...string) bool {
	return ast.Find(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallNode:
			return slices.Contains(names, n.Callee.String())
		case *ast.BuiltinNode:
			return slices.Contains(names, n.Name)
		}
		return false
	}) != nil
}

func wants(node ast.Node, reads []read) needs {
	n := needs{
		change: calls(node, "prom", "in_window", "same_label"),
		target: calls(node, "prom"),
	}
	for _, r := range reads {
		switch {
		case strings.HasPrefix(r.name, "change."), strings.HasPrefix(r.name, "evidence."), isSignal(r.name):
			n.change = true
		case strings.HasPrefix(r.name, "target."):
			n.target = true
		}
	}
	return n
}

// isSignal tells whether a fact is one that is known of an alert on a target of a
// change only.
func isSignal(name string) bool {
	switch name {
	case "alert.flaps", "alert.silenced", "alert.inhibited", "alert.suppression_known",
		"target.patched", "target.patched_at", "target.first_red_at", "target.red_before_patch":
		return true
	}
	return false
}

// parts holds the alert against the rule's matchers and clauses. What cannot be
// answered for want of a change or a target is not known, because missing.
func (x *explaining) parts(r *rule, clauses []clause, missing string) []Part {
	list := make([]Part, 0, len(r.matchers)+len(clauses))
	for _, m := range r.matchers {
		list = append(list, Part{Kind: KindMatch, Text: matchText(m, x.a), Held: m.Matches(x.a.Labels[m.Name])})
	}
	queries := make([]bool, len(list), cap(list))
	for i := range clauses {
		list, queries = append(list, x.part(&clauses[i], missing)), append(queries, clauses[i].query)
	}
	markFailed(list, queries)
	return list
}

// markFailed marks the first part that does not hold; queries come last.
func markFailed(list []Part, queries []bool) {
	for _, query := range []bool{false, true} {
		for i := range list {
			if queries[i] == query && !list[i].Held {
				list[i].Failed = true
				return
			}
		}
	}
}

// part holds one clause against the facts.
func (x *explaining) part(c *clause, missing string) Part {
	p := Part{Kind: KindWhen, Text: c.text, Op: c.op}
	queries := make([]bool, 0, len(c.sides))
	for i := range c.sides {
		p.Parts, queries = append(p.Parts, x.part(&c.sides[i], missing)), append(queries, c.sides[i].query)
	}
	known := missing == "" || !c.wants.change && (!c.wants.target || x.m.facts.Target.Name != "")
	switch {
	case c.compiled == nil && c.op == "":
		p.Unknown = "it cannot be tried by itself"
	case known && c.compiled != nil:
		x.try(c, &p)
	case c.op == "":
		p.Unknown = missing
	default:
		p.join()
	}
	if c.op == "and" && !p.Held {
		markFailed(p.Parts, queries)
	}
	return p
}

// try runs a clause. Only one that has no sides shows the values that it read: the
// sides show their own.
func (x *explaining) try(c *clause, p *Part) {
	if c.op == "" {
		p.Text = c.withValues(&x.m.facts)
	}
	held, err := x.m.run(c.compiled)
	switch {
	case errors.Is(err, ErrNotYet):
		p.Unknown = "the query has not been answered yet: it is being asked"
	case err != nil:
		p.Error = err.Error()
	default:
		p.Held = held
	}
}

// join works out a part from its sides, where one of them is not known.
func (p *Part) join() {
	yes, no := 0, 0
	for i := range p.Parts {
		switch side := &p.Parts[i]; {
		case side.Held:
			yes++
		case side.Unknown == "":
			no++
		default:
			p.Unknown = side.Unknown
		}
	}
	switch p.Op {
	case "or":
		p.Held = yes > 0
	case "and":
		p.Held = yes == len(p.Parts)
	case "not":
		p.Held = no > 0
	}
	if p.Held || p.Op == "and" && no > 0 {
		p.Unknown = ""
	}
}
