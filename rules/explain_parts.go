package rules

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
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
	op       string
	sides    []clause
}

// clauses takes the rule's expression apart.
func (x *explaining) clauses(r *rule) []clause {
	if r.when == nil {
		return nil
	}
	list := make([]clause, len(r.when.parts))
	for i, p := range r.when.parts {
		list[i].part = p
		if tree, err := x.compiler.parse(p.text); err == nil {
			list[i] = x.clause(tree.Node)
		}
	}
	return list
}

// clause takes one side apart: what is joined by and, or, not has sides of its own.
func (x *explaining) clause(node ast.Node) clause {
	c := clause{part: part{text: node.String()}}
	// A part of what compiled compiles; were it not so, it would show as not
	// known, with its text.
	if compiled, _ := x.compiler.compile(c.text); compiled != nil {
		c.compiled = compiled
		for _, p := range compiled.parts {
			c.reads = append(c.reads, p.reads...)
		}
		c.asks = compiled.query != ""
	}
	var sides []ast.Node
	switch n := node.(type) {
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			c.op, sides = "not", []ast.Node{n.Node}
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&":
			c.op = "and"
			for _, side := range conjuncts(&node, nil) {
				sides = append(sides, *side)
			}
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

// known tells whether the clause can be answered without what is missing.
func (x *explaining) known(c *clause) bool {
	return !slices.ContainsFunc(c.reads, func(r read) bool {
		switch {
		case strings.HasPrefix(r.name, "change."), strings.HasPrefix(r.name, "evidence."), r.name == queried,
			slices.Contains(fromSignals, r.name), r.name == "target.patched", r.name == "target.patched_at":
			return true
		}
		return strings.HasPrefix(r.name, "target.") && x.m.facts.Target.Name == ""
	})
}

// parts holds the alert against the rule's matchers and clauses. What cannot be
// answered for want of a change or a target is not known, because missing; a query
// is not asked where a guard stands.
func (x *explaining) parts(r *rule, on *named, clauses []clause, missing, guard string) []Part {
	list := make([]Part, 0, len(r.matchers)+len(clauses))
	for _, m := range r.matchers {
		list = append(list, Part{Kind: KindMatch, Text: matchText(m, x.a), Held: holds(m, x.a.Labels[m.Name])})
	}
	for i := range clauses {
		list = append(list, x.part(&clauses[i], missing))
	}
	// A query is asked last, and only when all else holds.
	last := -1
	for i := range clauses {
		if place := len(r.matchers) + i; clauses[i].asks && missing == "" {
			last = place
		}
	}
	if last < 0 {
		markFailed(list, last)
		return list
	}
	if markFailed(list, last) || guard != "" {
		list[last].Unknown = "it is not asked: what comes before it does not hold"
		return list
	}
	x.ask(&clauses[last-len(r.matchers)], on, &list[last])
	markFailed(list, -1)
	return list
}

// markFailed marks the first part that does not hold, and tells whether there is
// one. The part at the place is left out.
func markFailed(list []Part, but int) bool {
	for i := range list {
		if i != but && !list[i].Held {
			list[i].Failed = true
			return true
		}
	}
	return false
}

// part holds one clause against the facts.
func (x *explaining) part(c *clause, missing string) Part {
	p := Part{Kind: KindWhen, Text: c.text, Op: c.op}
	for i := range c.sides {
		p.Parts = append(p.Parts, x.part(&c.sides[i], missing))
	}
	switch {
	case c.compiled == nil && c.op == "":
		p.Unknown = "it cannot be tried by itself"
	case missing != "" && !x.known(c) && c.op == "":
		p.Unknown = missing
	case c.compiled == nil, missing != "" && !x.known(c):
		p.join()
	case !c.asks:
		x.try(c, &p)
	}
	if c.op == "and" && !p.Held {
		markFailed(p.Parts, -1)
	}
	return p
}

// try runs a clause. Only one that has no sides shows the values that it read: the
// sides show their own.
func (x *explaining) try(c *clause, p *Part) {
	if c.op == "" {
		p.Text = c.withValues(&x.m.facts)
		if !x.m.facts.Alert.Known && slices.ContainsFunc(c.reads, suppression) {
			p.Text += ": Alertmanager has not been asked about the alert yet"
		}
	}
	held, err := x.m.run(c.compiled)
	if p.Held = held && err == nil; err != nil {
		p.Error = err.Error()
	}
}

// suppression tells whether a fact is false for as long as Alertmanager has not
// said.
func suppression(r read) bool { return r.name == "alert.silenced" || r.name == "alert.inhibited" }

// ask asks the query of a clause.
func (x *explaining) ask(c *clause, on *named, p *Part) {
	held, wait, err := x.m.holds(c.compiled, on, x.w)
	switch {
	case err != nil:
		p.Error = err.Error()
	case wait != "":
		p.Unknown = "not asked yet"
	default:
		p.Held, p.Text = held, c.withValues(&x.m.facts)
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
