package strictyaml

import (
	"reflect"

	"github.com/backout-io/backout"
)

// Pos is a place in a file. Line and Column count from 1, columns in characters;
// Line 0 means the whole file.
type Pos struct {
	File   string
	Line   int
	Column int
}

// Problem says what is wrong at this place and what to do about it.
func (p Pos) Problem(what, fix string) backout.Problem {
	return backout.Problem{File: p.File, Line: p.Line, Column: p.Column, What: what, Fix: fix}
}

// Warning is a [Pos.Problem] that does not stop anything.
func (p Pos) Warning(what, fix string) backout.Problem {
	problem := p.Problem(what, fix)
	problem.Warning = true
	return problem
}

// At is a value that knows where it stands, for checks that come after
// decoding. It is written as the value alone.
type At[T any] struct {
	Value T
	Pos   Pos
}

type located interface {
	locate(p Pos) reflect.Value
	inner() reflect.Type
}

func (a *At[T]) locate(p Pos) reflect.Value {
	a.Pos = p
	return reflect.ValueOf(&a.Value).Elem()
}

func (a *At[T]) inner() reflect.Type { return reflect.TypeFor[T]() }
