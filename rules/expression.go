package rules

import (
	"errors"
	"fmt"
	"reflect"
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
	program *vm.Program
	// constant is set when the expression says the same of everything.
	constant *bool
	// parts are the sides of its top-level "and", as written.
	parts []part
	// demands are the labels it insists on: label name to possible values.
	demands []demand
	// evidence tells that it reads evidence, which is worth asking for only then.
	evidence bool
}

// part is one side of a top-level "and", and the facts it reads.
type part struct {
	text  string
	reads []read
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
type expressions struct{ config *conf.Config }

func newExpressions() *expressions {
	config := conf.New(&facts{})
	config.Expect = reflect.Bool
	config.MaxNodes = maxNodes
	for _, f := range builtin.Builtins {
		if !callable(f.Name) {
			config.Disabled[f.Name] = true
			delete(config.Builtins, f.Name)
		}
	}
	return &expressions{config: config}
}

// callable names the only functions that a rule may call.
func callable(name string) bool {
	return name == "len" || name == "lower" || name == "upper" || name == "duration"
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
	tree, err := parser.ParseWithConfig(source, x.config)
	if err != nil {
		return nil, asExprError(err)
	}
	result = &expression{}
	for _, node := range conjuncts(tree.Node, nil) {
		result.parts = append(result.parts, part{text: node.String()})
	}
	allow := &allowList{}
	if err := allow.check(&tree.Node); err != nil {
		return nil, asExprError(err)
	}
	if _, err := checker.Check(tree, x.config); err != nil {
		return nil, asExprError(err)
	}
	if err := checkOperands(tree); err != nil {
		return nil, asExprError(err)
	}
	sure := true
	for i, node := range conjuncts(tree.Node, nil) {
		result.parts[i].reads = readsOf(node)
		// A part behind one that can fail must not keep the rule from being
		// tried: the failure is to be told.
		sure = sure && !canFail(node)
		if d, ok := demandOf(node); ok && sure {
			result.demands = append(result.demands, d)
		}
	}
	result.evidence = allow.evidence
	if err := optimizer.Optimize(&tree.Node, x.config); err != nil {
		return nil, asExprError(err)
	}
	program, err := compiler.Compile(tree, x.config)
	if err != nil {
		return nil, asExprError(err)
	}
	result.program = program
	if failure := result.findConstant(); failure != nil {
		return nil, failure
	}
	return result, nil
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

// conjuncts appends the sides of the top-level "and" of node, left to right.
func conjuncts(node ast.Node, list []ast.Node) []ast.Node {
	if b, ok := node.(*ast.BinaryNode); ok && (b.Operator == "and" || b.Operator == "&&") {
		return conjuncts(b.Right, conjuncts(b.Left, list))
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
		return &exprError{at.From, at.Message, ""}
	}
	return &exprError{0, err.Error(), "a when expression is either true or false"}
}
