package house

import (
	"go/ast"
	"go/token"
	"regexp"
	"testing"
)

// TestPackagesSayWhatTheyAre: one package comment each, in one file.
func TestPackagesSayWhatTheyAre(t *testing.T) {
	docs := map[string][]string{}
	for _, f := range readTree(t).code() {
		if _, ok := docs[f.pkg]; !ok {
			docs[f.pkg] = nil
		}
		if f.ast.Doc != nil {
			docs[f.pkg] = append(docs[f.pkg], f.path)
		}
	}
	for pkg, files := range docs {
		switch {
		case len(files) == 0:
			t.Errorf("%s has no package comment: say what it is and what it promises", name(pkg))
		case len(files) > 1:
			t.Errorf("%s has package comments in %v: keep one", name(pkg), files)
		}
	}
}

// TestExportedNamesAreDocumented: what others use says what it promises.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, f := range readTree(t).code() {
		var previous *ast.FuncDecl
		documented := false
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				documented = d.Doc != nil || documented && sameMethodNextLine(f, previous, d)
				previous = d
				if d.Name.IsExported() && receiverExported(d) && !documented {
					t.Errorf("%s: %s is exported and says nothing: write what it promises, in which unit, with which errors", f.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				previous, documented = nil, false
				undocumentedSpecs(t, f, d)
			}
		}
	}
}

// sameMethodNextLine lets a block of one-line methods of the same name, one for
// each type, share the first one's comment.
func sameMethodNextLine(f *goFile, previous, d *ast.FuncDecl) bool {
	return previous != nil && previous.Recv != nil && d.Recv != nil && previous.Name.Name == d.Name.Name &&
		f.fset.Position(previous.End()).Line+1 == f.fset.Position(d.Pos()).Line
}

func undocumentedSpecs(t *testing.T, f *goFile, d *ast.GenDecl) {
	t.Helper()
	if d.Tok == token.IMPORT {
		return
	}
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			// A group of types needs a comment on each; a single one has it on top.
			if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || len(d.Specs) > 1) {
				t.Errorf("%s: type %s is exported and says nothing: write what it is", f.at(s), s.Name.Name)
			}
		case *ast.ValueSpec:
			if anyExported(s.Names) && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				t.Errorf("%s: %s is exported and says nothing: write what it means", f.at(s), s.Names[0].Name)
			}
		}
	}
}

// TestCommentsOpenNothing: what is not done stands in an issue, not in the code.
func TestCommentsOpenNothing(t *testing.T) {
	open := regexp.MustCompile(`\b(TODO|FIXME)\b|\b(HACK|XXX)[:(]`)
	for _, f := range readTree(t).goFiles {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if found := open.FindString(c.Text); found != "" && f.pkg != "internal/house" {
					t.Errorf("%s: %s in a comment: do it, or open an issue", f.at(c), found)
				}
			}
		}
	}
}
