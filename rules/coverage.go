package rules

import (
	"slices"
	"time"

	"github.com/expr-lang/expr/ast"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

// Branch is one condition of a rule. Tests cover it when they saw it both hold and
// fail.
type Branch struct {
	Rule string `json:"rule"`
	// Kind is rule for the rule as a whole, match for a matcher, when for a side of
	// an and, an or or a not in its expression, throttle for a part of its throttle.
	Kind string `json:"kind"`
	// Text is the condition as the rule has it.
	Text   string `json:"text"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	// Held and Failed tell what was seen. A throttle holds when it lets the rule act.
	Held   bool `json:"held"`
	Failed bool `json:"failed"`
}

// Coverage watches which conditions of the rules of a set hold and fail.
//
// A condition counts where it is looked at: a matcher when those in front of it
// hold, the right side of an "and" when the left one holds, that of an "or" when
// the left one does not. So one that is seen to fail is one that decided. It
// compiles the conditions one by one and is far slower than [Set.Match], which it
// leaves as it is. It is not safe for two goroutines.
type Coverage struct {
	rules    []*covered
	branches []*Branch
}

// covered is a rule in parts. Those of Branch may be nil for what cannot vary.
type covered struct {
	*rule
	whole *Branch
	match []*Branch
	when  *node
	own   []*Branch
	done  bool
}

// writtenRule is a rule as its file has it, and where its keys stand.
type writtenRule struct {
	ruleSpec
	at func(key ...any) strictyaml.Pos
}

// node is a node of an expression: an and, an or, a not or what they join.
type node struct {
	branch *Branch
	op     string
	sides  []*node
	leaf   *expression
}

// NewCoverage watches the rules of a set that was loaded from these files.
func NewCoverage(set *Set, files map[string][]byte) *Coverage {
	c := &Coverage{}
	if set.Len() == 0 {
		return c
	}
	written := map[string]writtenRule{}
	for name, data := range files {
		var spec fileSpec
		doc, problems := strictyaml.Parse(name, data)
		if problems != nil {
			continue
		}
		doc.Decode(&spec) // it has been loaded, so nothing is wrong with it
		for i, g := range spec.Groups {
			for j, r := range g.Rules {
				written[r.Rule.Value] = writtenRule{r, func(key ...any) strictyaml.Pos {
					return doc.Root().KeyAt(append([]any{"groups", i, "rules", j}, key...)...)
				}}
			}
		}
	}
	x := newExpressions()
	for _, r := range set.rules {
		c.add(x, r, written[r.Name])
	}
	return c
}

func (c *Coverage) add(x *expressions, r *rule, spec writtenRule) {
	of := &covered{rule: r}
	branch := func(kind, text string, at strictyaml.Pos) *Branch {
		b := &Branch{Rule: r.Name, Kind: kind, Text: text, File: at.File, Line: at.Line, Column: at.Column}
		of.own = append(of.own, b)
		return b
	}
	of.whole = branch("rule", r.Name, spec.Rule.Pos())
	for i, m := range r.matchers {
		of.match = append(of.match, branch("match", m.String(), spec.Match[i].Pos()))
	}
	if r.when != nil && r.when.constant == nil {
		if tree, err := x.parse(r.When); err == nil {
			of.when = x.divide(tree.Node, operator(tree.Node) == "", true, func(n ast.Node) *Branch {
				return branch("when", n.String(), spec.When.At(first(n)))
			})
		}
	}
	for _, part := range throttleParts(r.Throttle) {
		branch("throttle", part, spec.at("throttle", part))
	}
	c.rules = append(c.rules, of)
	c.branches = append(c.branches, of.own...)
}

// throttleParts are the keys of a throttle that can stop a rule.
func throttleParts(t backout.Throttle) (parts []string) {
	if t.AtLeast > 1 {
		parts = append(parts, "at_least")
	}
	if t.OnceWithin > 0 {
		parts = append(parts, "once_within")
	}
	if t.Latch {
		parts = append(parts, "latch")
	}
	return parts
}

// divide takes an expression apart; own tells whether it is a condition of its
// own. The sides of its top-level "and" that ask a query come last, as they do when
// the rule is tried.
func (x *expressions) divide(n ast.Node, own, top bool, branch func(ast.Node) *Branch) *node {
	c := &node{op: operator(n)}
	if c.op == "" {
		// A part of what compiled compiles.
		c.leaf, _ = x.compile(n.String())
		own = own && c.leaf != nil && c.leaf.constant == nil
	}
	if own {
		c.branch = branch(n)
	}
	if c.op == "" {
		return c
	}
	sides := operands(n, c.op, nil)
	if top && c.op == "and" {
		slices.SortStableFunc(sides, func(a, b ast.Node) int { return rank(a) - rank(b) })
	}
	for _, side := range sides {
		// What a not is about says the same the other way round.
		c.sides = append(c.sides, x.divide(side, c.op != "not" || !own, false, branch))
	}
	return c
}

// operator names what joins the sides of a node, or returns "".
func operator(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&":
			return "and"
		case "or", "||":
			return "or"
		}
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return "not"
		}
	}
	return ""
}

// operands appends what the operator joins, left to right: three sides of
// "a or b or c".
func operands(n ast.Node, op string, list []ast.Node) []ast.Node {
	if operator(n) != op {
		return append(list, n)
	}
	if u, ok := n.(*ast.UnaryNode); ok {
		return append(list, u.Node)
	}
	b := n.(*ast.BinaryNode)
	return operands(b.Right, op, operands(b.Left, op, list))
}

// rank is 1 for what asks a query.
func rank(n ast.Node) int {
	if ast.Find(n, isQuery) != nil {
		return 1
	}
	return 0
}

// first is where the text of a node begins: an operator stands behind its left
// side.
func first(n ast.Node) int {
	v := &firstVisitor{at: n.Location().From}
	ast.Walk(&n, v)
	return v.at
}

type firstVisitor struct{ at int }

// Visit implements [ast.Visitor].
func (v *firstVisitor) Visit(n *ast.Node) { v.at = min(v.at, (*n).Location().From) }

// Observe looks at what [Set.Match] would look at.
func (c *Coverage) Observe(a *backout.Alert, w World, now time.Time) {
	if guardAlert(a) != "" {
		return
	}
	m := &scratch{}
	m.facts.Now = now
	for _, r := range c.rules {
		value := a.Labels[r.TargetLabel]
		if r.done || value == "" {
			continue
		}
		on := &named{target: Host(value)}
		for _, ch := range w.ChangesOn(on.target) {
			if guard(a, ch) == "" {
				r.observe(m, a, on, ch, w)
			}
		}
	}
}

func (r *covered) observe(m *scratch, a *backout.Alert, on *named, ch *backout.Change, w World) {
	for i, matcher := range r.matchers {
		if !r.match[i].saw(holds(matcher, a.Labels[matcher.Name])) {
			r.whole.saw(false)
			return
		}
	}
	held := true
	if r.when != nil {
		m.facts.Alert.set(a, m.facts.Now)
		m.aim(on, w)
		m.facts.Change.set(ch)
		m.facts.Target.on(ch)
		m.facts.Evidence = w.Evidence(ch)
		m.facts.know(w.Signals(ch, on.target, a.Fingerprint))
		m.face(r.rule.when, a)
		var known bool
		if held, known = r.when.eval(m, on, w); !known {
			return
		}
	}
	r.whole.saw(held)
	r.done = !slices.ContainsFunc(r.own, func(b *Branch) bool { return !b.Held || !b.Failed })
}

// saw notes an outcome and returns it. What cannot vary has no branch.
func (b *Branch) saw(held bool) bool {
	if b != nil {
		b.Held = b.Held || held
		b.Failed = b.Failed || !held
	}
	return held
}

// eval says whether the condition holds, and notes it. One that fails, or waits for
// a query, is not known and counts neither way.
func (c *node) eval(m *scratch, on *named, w World) (held, known bool) {
	switch c.op {
	case "":
		one, wait, err := m.holds(c.leaf, on, w)
		if held = one; err != nil || wait != "" {
			return false, false
		}
	case "not":
		inner, known := c.sides[0].eval(m, on, w)
		if held = !inner; !known {
			return false, false
		}
	default:
		for _, side := range c.sides {
			if held, known = side.eval(m, on, w); !known {
				return false, false
			}
			if held == (c.op == "or") {
				break
			}
		}
	}
	return c.branch.saw(held), true
}

// Throttled notes whether a part of the rule's throttle, such as at_least, let the
// rule act. A part that the rule does not have is nothing.
func (c *Coverage) Throttled(rule, part string, acted bool) {
	for _, b := range c.branches {
		if b.Rule == rule && b.Kind == "throttle" && b.Text == part {
			b.saw(acted)
		}
	}
}

// Branches lists the conditions with what was seen of them, in the order of the
// set, and within a rule from its head on.
func (c *Coverage) Branches() []Branch {
	list := make([]Branch, len(c.branches))
	for i, b := range c.branches {
		list[i] = *b
	}
	return list
}
