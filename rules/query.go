package rules

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/backout-io/backout/internal/promql"
)

// query notes the one PromQL query of an expression.
func (w *allowList) query(call ast.Node, text *ast.StringNode) error {
	switch {
	case w.asked != nil && w.asked != call:
		return refuse(call, "a second prom() in one rule", "ask for both in one query, or write two rules")
	case !w.asks[call]:
		return refuse(call, "prom() can only stand in a comparison that is a side of the top-level and",
			`write … and prom("…") > 0.5, with no or and no not around it`)
	case strings.TrimSpace(text.Value) == "":
		return refuse(text, "the query is empty", `write it in quotes: prom("…")`)
	}
	if _, err := promql.Fill(text.Value, "target", "address"); err != nil {
		return refuse(text, "the query: "+err.Error(), "")
	}
	w.asked, w.asking = call, text.Value
	return nil
}

// queriesOf lists the calls of prom() that stand where they may: in the
// comparisons that are sides of the top-level and.
func queriesOf(sides []*ast.Node) map[ast.Node]bool {
	found := map[ast.Node]bool{}
	for _, side := range sides {
		b, ok := (*side).(*ast.BinaryNode)
		if !ok || !slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, b.Operator) {
			continue
		}
		collectQueries(b.Left, found)
		collectQueries(b.Right, found)
	}
	return found
}

// collectQueries looks through arithmetic.
func collectQueries(n ast.Node, found map[ast.Node]bool) {
	switch n := n.(type) {
	case *ast.CallNode:
		if isQuery(n) {
			found[n] = true
		}
	case *ast.UnaryNode:
		if n.Operator == "-" {
			collectQueries(n.Node, found)
		}
	case *ast.BinaryNode:
		if strings.Contains("+-*/", n.Operator) {
			collectQueries(n.Left, found)
			collectQueries(n.Right, found)
		}
	}
}

func isQuery(n ast.Node) bool {
	call, ok := n.(*ast.CallNode)
	if !ok {
		return false
	}
	name, ok := call.Callee.(*ast.IdentifierNode)
	return ok && name.Value == "prom"
}

func asksQuery(reads []read) bool {
	return slices.ContainsFunc(reads, func(r read) bool { return r.name == queried })
}

// holds says whether a rule's expression holds for the facts. Its query is asked
// last, and only when the rest holds; wait is the query that has no value yet.
func (m *scratch) holds(e *expression, on *named, w World) (held bool, wait string, err error) {
	if e == nil {
		return true, "", nil
	}
	if held, err = m.run(e); err != nil || !held || e.query == "" {
		return held, "", err
	}
	wait, err = m.ask(e, on, w)
	if err != nil || wait != "" {
		return false, wait, err
	}
	held, err = m.runProgram(e.last)
	return held, "", err
}

// ask sets the value of the expression's query.
func (m *scratch) ask(e *expression, on *named, w World) (wait string, err error) {
	m.facts.Queried = math.NaN()
	target, address, err := promql.Names(on.facts)
	if err != nil {
		return "", err
	}
	query, err := promql.Fill(e.query, target, address)
	if err != nil {
		return "", err
	}
	value, err := w.Query(query, on.target)
	switch {
	case errors.Is(err, ErrNotYet):
		return query, nil
	case err != nil:
		return "", fmt.Errorf("prom: %w", err)
	}
	m.facts.Queried = value
	return "", nil
}
