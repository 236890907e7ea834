package rules

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/parser"

	"github.com/backout-io/backout"
)

// function is one that a rule may call.
type function struct {
	Fact
	// takes are the arguments: number, text, time, or constant for a text in
	// quotes.
	takes []string
	// make puts plain nodes in the place of the call, so that no code runs but the
	// language's own. Without it the language's own function is called.
	make func(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error)
	// repeats tells that the plain nodes hold an argument twice.
	repeats bool
}

//go:generate go test . -run TestGuideListsEveryFactAndFunction -update

// functions are all that a rule may call, in the order of the guide.
var functions = []function{
	{Fact: Fact{"duration(text)", "duration", `a constant length of time: duration("90s"), duration("2m"), duration("1d")`}, takes: []string{"constant"}, make: makeDuration},
	{Fact: Fact{"since(time)", "duration", "how long ago the time was; 0 for a time that is not known"}, takes: []string{"time"}, make: makeSince, repeats: true},
	{Fact: Fact{"in_window(time)", "bool", "whether the time lies in the change's window, from window_opens to window_closes, if that is known"}, takes: []string{"time"}, make: makeInWindow, repeats: true},
	{Fact: Fact{"share(part, whole)", "float", "part over whole; 0 when whole is 0"}, takes: []string{"number", "number"}, make: makeShare, repeats: true},
	{Fact: Fact{"label(name)", "string", `the alert's label of that constant name, as alert.labels.name; one that is missing reads as empty`}, takes: []string{"constant"}, make: makeLabel},
	{Fact: Fact{"has_label(name)", "bool", "whether the alert has the label and it is not empty"}, takes: []string{"constant"}, make: makeHasLabel},
	{Fact: Fact{"same_label(name)", "bool", "whether the alert and the change both have the label, with the same value"}, takes: []string{"constant"}, make: makeSameLabel},
	{Fact: Fact{"matches(text, pattern)", "bool", `whether the text holds a match of the constant pattern, as text matches "pattern"; ^ and $ bind it to the ends`}, takes: []string{"text", "constant"}, make: makeMatches},
	{Fact: Fact{"len(text)", "int", "the number of characters of a string, or of entries of a list or map"}},
	{Fact: Fact{"lower(text)", "string", "the text in lower case"}},
	{Fact: Fact{"upper(text)", "string", "the text in upper case"}},
	{Fact: Fact{"prom(query)", "float", `the value of one constant PromQL query, with {target} and {address}; asked only when all else holds`}, takes: []string{"constant"}, make: makeProm},
}

// Functions lists what a when expression can call.
func Functions() []Fact {
	list := make([]Fact, len(functions))
	for i, f := range functions {
		list[i] = f.Fact
	}
	return list
}

func functionNamed(name string) (function, bool) {
	i := slices.IndexFunc(functions, func(f function) bool { return f.name() == name })
	if i < 0 {
		return function{}, false
	}
	return functions[i], true
}

func (f function) name() string {
	name, _, _ := strings.Cut(f.Name, "(")
	return name
}

// callable tells whether the language's own function may be called.
func callable(name string) bool {
	_, ok := functionNamed(name)
	return ok
}

// builtinNamed tells whether the language has a function of that name itself.
func builtinNamed(name string) bool {
	_, ok := builtin.Index[name]
	return ok
}

// check says what is wrong with the arguments of a call.
func (f function) check(w *allowList, call ast.Node, args []ast.Node) error {
	if f.takes == nil {
		return nil
	}
	if len(args) != len(f.takes) {
		return refuse(call, fmt.Sprintf("%s takes %s", f.name(), plural(len(f.takes), "argument")), "write "+f.Name)
	}
	for i, want := range f.takes {
		if want == "constant" {
			if _, ok := args[i].(*ast.StringNode); !ok {
				return refuse(args[i], "the text of "+f.name()+" must be constant", "write it in quotes: "+f.name()+`("…")`)
			}
			continue
		}
		got, err := w.types(args[i])
		if err != nil {
			return err
		}
		if kind := argumentKind(got); kind != want {
			return refuse(args[i], fmt.Sprintf("%s takes a %s, got %s", f.name(), want, kindName(got)), "write "+f.Name)
		}
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func kindName(t reflect.Type) string {
	if name := factType(t); name != "" {
		return name
	}
	return t.String()
}

func argumentKind(t reflect.Type) string {
	switch kind := factType(t); kind {
	case "int", "float":
		return "number"
	case "string":
		return "text"
	default:
		return kind
	}
}

// types returns the type of a part of the tree.
func (w *allowList) types(n ast.Node) (reflect.Type, error) {
	config := *w.config
	config.Expect = reflect.Invalid
	return checker.Check(&parser.Tree{Node: n}, &config)
}

// plain gives nodes that stand for a call the place of the call, and keeps the
// list from looking at them: they are no text of a rule.
func (w *allowList) plain(call, n ast.Node) ast.Node {
	n.SetLocation(call.Location())
	w.made[n] = true
	return n
}

func (w *allowList) binary(call ast.Node, left ast.Node, operator string, right ast.Node) ast.Node {
	return w.plain(call, &ast.BinaryNode{Operator: operator, Left: left, Right: right})
}

// fact is the node of a path such as alert.labels.team.
func (w *allowList) fact(call ast.Node, path ...string) ast.Node {
	n := w.plain(call, &ast.IdentifierNode{Value: path[0]})
	for _, name := range path[1:] {
		n = w.plain(call, &ast.MemberNode{Node: n, Property: w.plain(call, &ast.StringNode{Value: name})})
	}
	return n
}

func (w *allowList) constant(call ast.Node, value any) ast.Node {
	n := w.plain(call, &ast.ConstantNode{Value: value})
	n.SetType(reflect.TypeOf(value))
	return n
}

func makeDuration(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	text := args[0].(*ast.StringNode)
	d, err := backout.ParseDuration(text.Value)
	if err != nil {
		return nil, refuse(text, err.Error(), "")
	}
	return w.constant(call, time.Duration(d)), nil
}

func makeSince(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	return w.plain(call, &ast.ConditionalNode{
		Cond: w.binary(call, args[0], "==", w.constant(call, time.Time{})),
		Exp1: w.constant(call, time.Duration(0)),
		Exp2: w.binary(call, w.fact(call, "now"), "-", args[0]),
	}), nil
}

func makeInWindow(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	closes := func() ast.Node { return w.fact(call, "change", "window_closes") }
	return w.binary(call,
		w.binary(call, args[0], ">=", w.fact(call, "change", "window_opens")), "and",
		w.binary(call,
			w.binary(call, args[0], "<=", closes()), "or",
			w.binary(call, closes(), "==", w.constant(call, time.Time{})))), nil
}

func makeShare(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	return w.plain(call, &ast.ConditionalNode{
		Cond: w.binary(call, args[1], "==", w.constant(call, 0)),
		Exp1: w.constant(call, 0.0),
		Exp2: w.binary(call, args[0], "/", args[1]),
	}), nil
}

func makeLabel(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	return w.fact(call, "alert", "labels", args[0].(*ast.StringNode).Value), nil
}

func makeHasLabel(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	label, _ := makeLabel(w, call, args)
	return w.binary(call, label, "!=", w.plain(call, &ast.StringNode{})), nil
}

func makeSameLabel(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	there, _ := makeHasLabel(w, call, args)
	label, _ := makeLabel(w, call, args)
	return w.binary(call, there, "and",
		w.binary(call, label, "==", w.fact(call, "change", "labels", args[0].(*ast.StringNode).Value))), nil
}

func makeMatches(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	n := w.binary(call, args[0], "matches", args[1])
	return n, checkPattern(args[1].(*ast.StringNode), w.source)
}

func makeProm(w *allowList, call ast.Node, args []ast.Node) (ast.Node, error) {
	if err := w.query(call, args[0].(*ast.StringNode)); err != nil {
		return nil, err
	}
	return w.fact(call, queried), nil
}
