package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// claim is what a side of a top-level "and" says of one fact: it is one of these
// constants, or none of them.
type claim struct {
	fact   string
	values []string
	not    bool
}

// contradiction refuses sides that cannot all be true, at the one that goes
// against those before it.
func contradiction(sides []*ast.Node) error {
	known := map[string][]claim{}
	for _, side := range sides {
		c, ok := claimOf(*side, false)
		if !ok {
			continue
		}
		known[c.fact] = append(known[c.fact], c)
		if possible, bound := agreed(known[c.fact]); bound && !possible {
			before := known[c.fact][:len(known[c.fact])-1]
			said := make([]string, len(before))
			for i, b := range before {
				said[i] = b.String()
			}
			return refuse(*side, fmt.Sprintf("the rule can never match: %s is to be %s, and here %s", c.fact, strings.Join(said, " and "), c), "correct one of them, or join them with or")
		}
	}
	return nil
}

// agreed tells whether a value is left that all claims allow; bound is false while
// none of them names values.
func agreed(claims []claim) (possible, bound bool) {
	for _, c := range claims {
		if c.not {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(c.values), func(v string) bool {
			return slices.ContainsFunc(claims, func(o claim) bool { return slices.Contains(o.values, v) == o.not })
		})
		return len(left) > 0, true
	}
	return true, false
}

// String says what a fact is claimed to be.
func (c claim) String() string {
	text := short(strings.Join(c.values, " or "))
	if c.not {
		return "not " + text
	}
	return text
}

func claimOf(n ast.Node, not bool) (claim, bool) {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return claimOf(n.Node, !not)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "==":
			return claimOn(n.Left, n.Right, not)
		case "!=":
			return claimOn(n.Left, n.Right, !not)
		case "in":
			if list, ok := n.Right.(*ast.ArrayNode); ok {
				return claimAmong(n.Left, list.Nodes, not)
			}
		}
	case *ast.IdentifierNode, *ast.MemberNode:
		if n.Type().Kind().String() == "bool" {
			return claimAmong(n, []ast.Node{&ast.BoolNode{Value: true}}, not)
		}
	}
	return claim{}, false
}

func claimOn(left, right ast.Node, not bool) (claim, bool) {
	if c, ok := claimAmong(left, []ast.Node{right}, not); ok {
		return c, true
	}
	return claimAmong(right, []ast.Node{left}, not)
}

func claimAmong(fact ast.Node, values []ast.Node, not bool) (claim, bool) {
	path, ok := pathOf(fact)
	if !ok || path[0] == queried {
		return claim{}, false
	}
	c := claim{fact: joinPath(path), not: not}
	for _, v := range values {
		switch v := v.(type) {
		case *ast.StringNode:
			c.values = append(c.values, strconv.Quote(v.Value))
		case *ast.IntegerNode:
			c.values = append(c.values, strconv.Itoa(v.Value))
		case *ast.BoolNode:
			c.values = append(c.values, strconv.FormatBool(v.Value))
		default:
			return claim{}, false
		}
	}
	return c, true
}
