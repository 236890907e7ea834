package rules

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
)

// allowList walks an expression and refuses everything that is not known to be
// cheap and free of side effects. The language has no step or time limit of its
// own, and its memory budget can be walked around, so what is not listed here
// does not run.
type allowList struct {
	config *conf.Config
	source string
	parent ast.Node
	// made are the nodes that took the place of calls: they are allowed.
	made map[ast.Node]bool
	// inside is the function that holds an argument twice and is being looked at.
	inside string
	// asks are the calls of prom() that stand where they may; asked is the one
	// that was met, with its query.
	asks   map[ast.Node]bool
	asked  ast.Node
	asking string
	// reads says what must be asked for.
	evidence, signals bool
}

func (w *allowList) check(node *ast.Node) error {
	if w.made[*node] {
		// A chain such as 1 < x < 3 holds its middle twice.
		return nil
	}
	switch n := (*node).(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
		return nil
	case *ast.IdentifierNode, *ast.MemberNode:
		return w.checkFact(n)
	case *ast.UnaryNode:
		if !slices.Contains([]string{"!", "not", "-"}, n.Operator) {
			return refuse(n, "operator "+n.Operator+" is not allowed in a rule", "")
		}
		return w.checkAll(n, &n.Node)
	case *ast.BinaryNode:
		return w.checkBinary(n)
	case *ast.ArrayNode:
		return w.checkList(n)
	case *ast.BuiltinNode:
		return w.checkCall(node, n.Name, n.Arguments)
	case *ast.CallNode:
		name := n.Callee.String()
		if _, ok := n.Callee.(*ast.IdentifierNode); !ok || builtinNamed(name) {
			return refuse(n, fmt.Sprintf("%s is not a function that a rule may call", short(name)), suggestFunction(name))
		}
		return w.checkCall(node, name, n.Arguments)
	default:
		return refuse(n, describe(n)+" is not allowed in a rule", "use comparisons joined with and, or, not")
	}
}

func (w *allowList) checkAll(parent ast.Node, nodes ...*ast.Node) error {
	for _, node := range nodes {
		w.parent = parent
		if err := w.check(node); err != nil {
			return err
		}
	}
	return nil
}

func (w *allowList) checkBinary(n *ast.BinaryNode) error {
	switch n.Operator {
	case "and", "&&", "or", "||", "==", "!=", "<", ">", "<=", ">=", "in", "contains", "startsWith", "endsWith", "+", "-", "*", "/", "%":
	case "matches":
		pattern, ok := n.Right.(*ast.StringNode)
		if !ok {
			return refuse(n.Right, "the pattern of matches must be a constant text", `write it in quotes, such as matches "^web-"`)
		}
		if err := checkPattern(pattern, w.source); err != nil {
			return err
		}
	default:
		return refuse(n, "operator "+n.Operator+" is not allowed in a rule", "")
	}
	left := n.Left.String()
	same := comparison(n.Operator) && left == n.Right.String() && !isConstant(n.Left)
	if err := w.checkAll(n, &n.Left, &n.Right); err != nil {
		return err
	}
	if same {
		return refuse(n, short(left)+" is compared with itself", "name what it is to be compared with")
	}
	return nil
}

func comparison(operator string) bool {
	return slices.Contains([]string{"==", "!=", "<", ">", "<=", ">=", "contains", "startsWith", "endsWith"}, operator)
}

// isConstant tells whether a node reads no fact.
func isConstant(n ast.Node) bool {
	return ast.Find(n, func(n ast.Node) bool {
		_, ok := n.(*ast.IdentifierNode)
		return ok
	}) == nil
}

func (w *allowList) checkList(n *ast.ArrayNode) error {
	if !w.takesMany(n) {
		return refuse(n, "a list can only stand right of in", `write alert.labels.team in ["web", "db"]`)
	}
	for i := range n.Nodes {
		if err := w.checkAll(n, &n.Nodes[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkCall lets the known functions pass, and puts plain nodes in the place of
// those that are ours: their texts are constant, and a mistake in one is one in
// the file.
func (w *allowList) checkCall(node *ast.Node, name string, args []ast.Node) error {
	call := *node
	f, ok := functionNamed(name)
	if !ok {
		return refuse(call, short(name)+" is not a function that a rule may call", suggestFunction(name))
	}
	if f.repeats {
		if w.inside != "" {
			return refuse(call, fmt.Sprintf("%s cannot stand inside %s", name, w.inside), "compare them one by one")
		}
		w.inside = name
		defer func() { w.inside = "" }()
	}
	for i := range args {
		if err := w.checkAll(call, &args[i]); err != nil {
			return err
		}
	}
	if err := f.check(w, call, args); err != nil || f.make == nil {
		return err
	}
	plain, err := f.make(w, call, args)
	if err != nil {
		return err
	}
	*node = plain
	return nil
}

// checkFact refuses what is not a fact, with the nearest one.
func (w *allowList) checkFact(n ast.Node) error {
	path, ok := pathOf(n)
	if !ok {
		return refuse(n, fmt.Sprintf("%s is not a fact", short(n.String())), `labels are read as alert.labels.team or alert.labels["team"]; backout rules facts lists all`)
	}
	r, known := resolve(path)
	name := joinPath(path)
	if !known {
		return refuse(n, fmt.Sprintf("unknown fact %s", short(name)), suggestFact(name))
	}
	w.evidence = w.evidence || path[0] == "evidence"
	w.signals = w.signals || slices.Contains(fromSignals, name)
	switch kind := factType(r.kind); kind {
	case "":
		return refuse(n, name+" is a group of facts", "name one of them, such as "+firstFact(name))
	case "map of strings", "list of strings":
		if !w.takesMany(n) {
			return refuse(n, fmt.Sprintf("%s is a %s", name, kind), fmt.Sprintf(`write "x" in %s, or len(%s)`, name, name))
		}
	}
	return nil
}

// takesMany tells whether n stands where a list or a map may: right of "in", or
// in len.
func (w *allowList) takesMany(n ast.Node) bool {
	switch p := w.parent.(type) {
	case *ast.BinaryNode:
		return p.Operator == "in" && p.Right == n
	case *ast.BuiltinNode:
		return p.Name == "len"
	}
	return false
}

func refuse(n ast.Node, what, fix string) error {
	return &exprError{offset: n.Location().From, what: what, fix: fix}
}

// checkOperands refuses, after the types are known, joining texts with +: it is
// the one operator that could make something large.
func checkOperands(tree *parser.Tree) error {
	v := &operandVisitor{}
	ast.Walk(&tree.Node, v)
	return v.err
}

type operandVisitor struct{ err error }

// Visit implements [ast.Visitor].
func (v *operandVisitor) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if ok && v.err == nil && n.Operator == "+" && n.Left.Type().Kind() == reflect.String {
		v.err = refuse(n, "texts cannot be joined in a rule", "compare the parts on their own")
	}
}

// describe names a construct of the language for people.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.ConditionalNode:
		return "a condition (if, ?:)"
	case *ast.VariableDeclaratorNode:
		return "let"
	case *ast.SequenceNode:
		return "a sequence (;)"
	case *ast.PredicateNode, *ast.PointerNode:
		return "a predicate (#, { })"
	case *ast.NilNode:
		return "nil"
	case *ast.SliceNode:
		return "a slice [a:b]"
	case *ast.ChainNode:
		return "optional chaining (?.)"
	case *ast.MapNode, *ast.PairNode:
		return "a map"
	default:
		return "this"
	}
}
