package house

import (
	"go/ast"
	"testing"
)

const (
	maxFileLines     = 600
	maxFuncLines     = 100
	maxTestFuncLines = 200
)

func TestFilesAndFunctionsStayReadable(t *testing.T) {
	for _, f := range readTree(t).goFiles {
		if f.lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d are allowed: split it by what it is about", f.path, f.lines, maxFileLines)
		}
		limit := maxFuncLines
		if f.test {
			limit = maxTestFuncLines
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > limit {
				t.Errorf("%s: %s has %d lines, at most %d are allowed: give its parts names", f.at(fn), fn.Name.Name, n, limit)
			}
		}
	}
}
