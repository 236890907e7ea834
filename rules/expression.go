package rules

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
	"github.com/expr-lang/expr/vm/runtime"
)

const (
	// maxNodes bounds the cost of one run: there are no loops, so it is at most
	// a few operations a node.
	maxNodes = 200
	// maxExpression bounds what the parser sees; it nests by recursion.
	maxExpression = 4096
)

// expression is a compiled when.
type expression struct {
	// program is all of it but the demands and the sides that hold prom(), and last
	// those; nil where there are none.
	program, last *vm.Program
	// query is the text of prom(), as written.
	query string
	// constant is set when the expression says the same of everything.
	constant *bool
	// parts are the sides of its top-level "and", as written.
	parts []part
	// demands are the labels it insists on: label name to possible values.
	demands []demand
	// evidence and signals tell that it reads some, which are asked for only then.
	evidence, signals bool
	// change and target tell that it reads what is known of these.
	change, target bool
	// searches counts what searches texts; steps is what they cost, and worstAt the
	// place of the dearest.
	searches, steps, worstAt int
}

// part is one side of a top-level "and", and the facts it reads.
type part struct {
	text  string
	reads []read
	// asks tells that it holds prom(), demanded that it is one of the demands.
	asks, demanded bool
}

// exprError is a mistake in an expression, at this character of it, counted
// from 0.
type exprError struct {
	offset    int
	what, fix string
}

// Error implements error.
func (e *exprError) Error() string { return e.what }

// expressions compiles when expressions. It is not safe for two goroutines.
type expressions struct {
	config *conf.Config
	// compiled are those that were asked for before, by their text.
	compiled map[string]*expression
	// fields are the places of facts, one each for all programs.
	fields map[string]*runtime.Field
	// reads are the lists of facts that parts read, one each for all parts.
	reads map[string][]read
}

func newExpressions() *expressions {
	config := conf.New(boxed{})
	config.Expect = reflect.Bool
	config.MaxNodes = maxNodes
	for _, f := range builtin.Builtins {
		if !callable(f.Name) {
			config.Disabled[f.Name] = true
			delete(config.Builtins, f.Name)
		}
	}
	return &expressions{config: config, compiled: map[string]*expression{}, fields: map[string]*runtime.Field{}, reads: map[string][]read{}}
}

// compile reads, checks and compiles one expression.
//
// The nodes are checked against the allow-list before the types, and both
// before the optimizer runs: folding a refused construct could cost as much as
// running it.
func (x *expressions) compile(source string) (result *expression, failure *exprError) {
	defer func() {
		if r := recover(); r != nil {
			result, failure = nil, &exprError{0, fmt.Sprintf("the expression cannot be compiled (%v)", r), "write it in a simpler way"}
		}
	}()
	if len(source) > maxExpression {
		return nil, &exprError{
			0, fmt.Sprintf("the expression has %d bytes, more than %d", len(source), maxExpression),
			"split the rule in two, or say it with matchers",
		}
	}
	if known, ok := x.compiled[source]; ok {
		return known, nil
	}
	tree, err := x.parse(source)
	if err != nil {
		return nil, asExprError(err)
	}
	sides := conjuncts(&tree.Node, nil)
	result = &expression{}
	for _, side := range sides {
		result.parts = append(result.parts, part{text: (*side).String()})
	}
	allow := &allowList{config: x.config, source: source, made: map[ast.Node]bool{}, asks: queriesOf(sides)}
	if err := x.check(tree, allow); err != nil {
		return nil, asExprError(err)
	}
	if err := result.countCost(tree.Node); err != nil {
		return nil, asExprError(err)
	}
	if err := contradiction(sides); err != nil {
		return nil, asExprError(err)
	}
	result.evidence, result.signals, result.query = allow.evidence, allow.signals, allow.asking
	x.read(result, sides)
	if err := x.build(result, tree, sides); err != nil {
		return nil, asExprError(err)
	}
	if failure := result.findConstant(); failure != nil {
		return nil, failure
	}
	x.compiled[source] = result
	return result, nil
}

// check holds the tree against the allow-list and the types, and puts plain nodes
// in the place of our functions.
func (x *expressions) check(tree *parser.Tree, allow *allowList) error {
	if err := allow.check(&tree.Node); err != nil {
		return err
	}
	if _, err := checker.Check(tree, x.config); err != nil {
		return err
	}
	return checkOperands(tree)
}

// read notes what each side reads, and the labels that the expression insists on.
func (x *expressions) read(e *expression, sides []*ast.Node) {
	sure := true
	for i, side := range sides {
		e.parts[i].reads = x.shared(readsOf(*side))
		e.parts[i].asks = asksQuery(e.parts[i].reads)
		e.change = e.change || readsGroup(e.parts[i].reads, "change.")
		e.target = e.target || readsGroup(e.parts[i].reads, "target.")
		// A part behind one that can fail must not keep the rule from being
		// tried: the failure is to be told.
		sure = sure && !canFail(*side)
		if d, ok := demandOf(*side); ok && sure {
			e.demands, e.parts[i].demanded = append(e.demands, d), true
		}
	}
}

// build compiles the sides that ask nothing as one program, and the others as
// another. What the demands say already needs none.
func (x *expressions) build(e *expression, tree *parser.Tree, sides []*ast.Node) (err error) {
	var cheap, last ast.Node
	for i, side := range sides {
		switch {
		case e.parts[i].asks:
			last = joined(last, *side)
		case !e.parts[i].demanded:
			cheap = joined(cheap, *side)
		}
	}
	if e.program, err = x.program(cheap, tree.Source); err != nil {
		return err
	}
	e.last, err = x.program(last, tree.Source)
	return err
}

func joined(left, right ast.Node) ast.Node {
	if left == nil {
		return right
	}
	n := &ast.BinaryNode{Operator: "and", Left: left, Right: right}
	n.SetType(reflect.TypeFor[bool]())
	n.SetLocation(right.Location())
	return n
}

// program compiles a tree; nil needs none.
func (x *expressions) program(node ast.Node, source file.Source) (*vm.Program, error) {
	if node == nil {
		return nil, nil
	}
	tree := &parser.Tree{Node: node, Source: source}
	if err := optimizer.Optimize(&tree.Node, x.config); err != nil {
		return nil, err
	}
	p, err := compiler.Compile(tree, x.config)
	if err != nil {
		return nil, err
	}
	for i, constant := range p.Constants {
		if f, ok := constant.(*runtime.Field); ok {
			p.Constants[i] = x.field(f)
		}
	}
	return p, nil
}

// field is the one that stands for a place in all programs: ten thousand of them
// read the same few.
func (x *expressions) field(f *runtime.Field) *runtime.Field {
	place := fmt.Sprint(f.Index)
	if x.fields[place] == nil {
		x.fields[place] = f
	}
	return x.fields[place]
}

// shared is the list that stands for one with the same facts.
func (x *expressions) shared(list []read) []read {
	var names strings.Builder
	for i := range list {
		names.WriteString(list[i].name + "\n")
	}
	known, ok := x.reads[names.String()]
	if !ok {
		known = list
		x.reads[names.String()] = list
	}
	return known
}

func readsGroup(reads []read, prefix string) bool {
	return slices.ContainsFunc(reads, func(r read) bool { return strings.HasPrefix(r.name, prefix) })
}

// canFail tells whether running the node can end in an error: a remainder of
// zero is the only way left.
func canFail(node ast.Node) bool {
	return ast.Find(node, func(n ast.Node) bool {
		b, ok := n.(*ast.BinaryNode)
		return ok && b.Operator == "%"
	}) != nil
}

// findConstant runs an expression that reads no fact: it says the same always.
func (e *expression) findConstant() *exprError {
	for _, p := range e.parts {
		if len(p.reads) > 0 {
			return nil
		}
	}
	m := &scratch{}
	held, err := m.run(e)
	if err != nil {
		return &exprError{0, "when fails whatever the alert: " + firstLine(err.Error()), "correct it"}
	}
	e.constant = &held
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// conjuncts appends the places of the sides of the top-level "and" of node, left
// to right.
func conjuncts(node *ast.Node, list []*ast.Node) []*ast.Node {
	if b, ok := (*node).(*ast.BinaryNode); ok && (b.Operator == "and" || b.Operator == "&&") {
		return conjuncts(&b.Right, conjuncts(&b.Left, list))
	}
	return append(list, node)
}

func asExprError(err error) *exprError {
	var own *exprError
	if errors.As(err, &own) {
		return own
	}
	var at *file.Error
	if errors.As(err, &at) {
		return said(at)
	}
	return &exprError{0, err.Error(), "a when expression is either true or false"}
}
